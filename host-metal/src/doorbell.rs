//! What interrupt handlers note of the network device.
//!
//! A handler does not know the network and touches none of its memory, so that an image without network carries none of it: it
//! rings this bell. [`park`](mwasm_ports::Idle::park) asks the bell with interrupts off before it halts, so no ring is lost between.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A bell that interrupt handlers ring, and whoever parks hears once.
#[derive(Debug, Default)]
pub struct Doorbell {
    rung: AtomicBool,
    link: AtomicBool,
}

impl Doorbell {
    /// Silent.
    pub const fn new() -> Self {
        Self { rung: AtomicBool::new(false), link: AtomicBool::new(false) }
    }

    /// The device's queues may have something to do.
    pub fn ring(&self) {
        self.rung.store(true, Relaxed);
    }

    /// The device has changed its state: the cable, say.
    pub fn ring_link(&self) {
        self.link.store(true, Relaxed);
        self.ring();
    }

    /// Whether it was rung since the last time.
    pub fn take(&self) -> bool {
        self.rung.swap(false, Relaxed)
    }

    /// Whether the device has changed its state since the last time.
    pub fn take_link(&self) -> bool {
        self.link.swap(false, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ring_is_heard_once() {
        let bell = Doorbell::new();
        assert!(!bell.take());
        bell.ring_link();
        bell.ring();
        assert_eq!((bell.take(), bell.take()), (true, false));
        assert_eq!((bell.take_link(), bell.take_link()), (true, false));
    }
}
