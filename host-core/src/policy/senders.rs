//! Who sent a datagram lately, and so may be answered.

use alloc::collections::{BTreeMap, VecDeque};
use core::net::SocketAddr;

/// The most senders that a socket remembers; the one that was heard longest ago is forgotten first.
pub const MAX_SENDERS: usize = 4096;

/// The senders that a socket has heard last.
///
/// A sender that is heard again is not moved in the queue, but queued once more; what is queued before counts no more. So a datagram
/// costs one look-up, however many senders there are.
#[derive(Default)]
pub struct Senders {
    /// When each was heard last, counted in datagrams.
    heard: BTreeMap<SocketAddr, u64>,
    queue: VecDeque<(u64, SocketAddr)>,
    count: u64,
}

impl Senders {
    /// Remembers a sender.
    pub fn remember(&mut self, sender: SocketAddr) {
        self.count += 1;
        if self.queue.back().is_some_and(|(_, last)| *last == sender) {
            return;
        }
        self.heard.insert(sender, self.count);
        self.queue.push_back((self.count, sender));
        while self.heard.len() > MAX_SENDERS || self.queue.len() > 2 * MAX_SENDERS {
            let Some((when, oldest)) = self.queue.pop_front() else { return };
            if self.heard.get(&oldest) == Some(&when) {
                self.heard.remove(&oldest);
            }
        }
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: &SocketAddr) -> bool {
        self.heard.contains_key(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 53))
    }

    #[test]
    fn the_one_that_was_heard_longest_ago_is_forgotten() {
        let mut senders = Senders::default();
        (0..MAX_SENDERS).for_each(|number| senders.remember(sender(number)));
        senders.remember(sender(0));
        senders.remember(sender(MAX_SENDERS));
        assert!(senders.contains(&sender(0)) && senders.contains(&sender(MAX_SENDERS)));
        assert!(!senders.contains(&sender(1)) && senders.contains(&sender(2)));
    }

    /// Two peers that take turns must not push each other out, nor fill the queue.
    #[test]
    fn memory_is_bounded() {
        let mut senders = Senders::default();
        (0..10 * MAX_SENDERS).for_each(|number| senders.remember(sender(number % 2)));
        assert!(senders.contains(&sender(0)) && senders.contains(&sender(1)));
        assert!(senders.queue.len() <= 2 * MAX_SENDERS && senders.heard.len() == 2);
        (0..10 * MAX_SENDERS).for_each(|number| senders.remember(sender(number)));
        assert!(senders.heard.len() <= MAX_SENDERS && senders.queue.len() <= 2 * MAX_SENDERS);
    }
}
