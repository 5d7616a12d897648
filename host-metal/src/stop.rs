//! The end that somebody outside asked for.
//!
//! A power button or `xl shutdown` comes as an interrupt. Its handler calls [`Stop::request`]; from then on every
//! [`park`](mwasm_ports::Idle::park) says [`STOP`](mwasm_ports::Ready::STOP), and the app is ended in order. An app
//! that computes for ever never parks: it has [`GRACE_NS`] until the timer's handler finds it overdue
//! ([`Stop::is_overdue`]) and switches off.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use mwasm_ports::NANOS_PER_SECOND;

/// How long an app may go on after it was asked to end, in nanoseconds.
pub const GRACE_NS: u64 = 2 * NANOS_PER_SECOND;

/// Whether the end was asked for, and until when it must have come.
#[derive(Debug, Default)]
pub struct Stop {
    /// On the board's clock; 0 is: not asked for.
    deadline_ns: AtomicU64,
}

impl Stop {
    /// Nobody asked.
    pub const fn new() -> Self {
        Self { deadline_ns: AtomicU64::new(0) }
    }

    /// Somebody asks at `now_ns`; later requests change nothing. Says when the grace is over.
    pub fn request(&self, now_ns: u64) -> u64 {
        let deadline = now_ns.saturating_add(GRACE_NS);
        self.deadline_ns.compare_exchange(0, deadline, Relaxed, Relaxed).err().unwrap_or(deadline)
    }

    /// When the grace is over, if somebody asked.
    pub fn deadline_ns(&self) -> Option<u64> {
        Some(self.deadline_ns.load(Relaxed)).filter(|deadline| *deadline != 0)
    }

    /// Whether the grace is over.
    pub fn is_overdue(&self, now_ns: u64) -> bool {
        self.deadline_ns().is_some_and(|deadline| now_ns >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_counts() {
        let stop = Stop::new();
        assert!(stop.deadline_ns().is_none() && !stop.is_overdue(u64::MAX));
        assert_eq!(stop.request(5), 5 + GRACE_NS);
        assert_eq!(stop.request(100), 5 + GRACE_NS);
        assert!(!stop.is_overdue(4 + GRACE_NS) && stop.is_overdue(5 + GRACE_NS));
    }
}
