//! The clock page that Xen and KVM keep for each virtual processor; both have the same layout.
//!
//! ```text
//!   offset  bytes  content
//!        0      4  version: odd while the hypervisor writes
//!        8      8  time-stamp counter at the last update
//!       16      8  nanoseconds at the last update
//!       24      4  multiplier, 32-bit binary fraction
//!       28      1  shift, signed
//! ```

/// Bytes of the structure.
pub const BYTES: usize = 32;

/// A consistent copy of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Time-stamp counter at the update.
    pub counter: u64,
    /// Nanoseconds at the update.
    pub system_ns: u64,
    /// Nanoseconds a tick, as a 32-bit binary fraction.
    pub multiplier: u32,
    /// Left shift of the ticks before that; negative is right.
    pub shift: i8,
}

impl Snapshot {
    /// Copies the page: `read` gives its 32-bit words. The version tells whether it was the same page all along; `None`
    /// when the hypervisor kept writing for `tries` times.
    pub fn read(read: impl Fn(usize) -> u32, tries: u32) -> Option<Self> {
        (0..tries).find_map(|_| {
            let version = read(0);
            core::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
            let long = |at: usize| u64::from(read(at)) | u64::from(read(at + 1)) << 32;
            let copy = Self { counter: long(2), system_ns: long(4), multiplier: read(6), shift: read(7) as u8 as i8 };
            core::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
            (version & 1 == 0 && read(0) == version).then_some(copy)
        })
    }

    /// Nanoseconds when the time-stamp counter shows `counter`.
    pub fn ns_at(self, counter: u64) -> u64 {
        let ticks = counter.saturating_sub(self.counter);
        let shift = u32::from(self.shift.unsigned_abs()).min(63);
        let ticks = if self.shift < 0 { ticks >> shift } else { ticks << shift };
        let ns = (u128::from(ticks) * u128::from(self.multiplier)) >> 32;
        self.system_ns.saturating_add(ns as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    #[test]
    fn ticks_become_nanoseconds() {
        // 2.5 GHz: 0.4 ns a tick.
        let clock = Snapshot { counter: 1000, system_ns: 5_000_000, multiplier: 0xcccc_cccd, shift: -1 };
        assert_eq!(clock.ns_at(1000 + 2_500_000_000), 5_000_000 + 1_000_000_000);
        assert_eq!(clock.ns_at(999), 5_000_000, "counters of processors differ a little");
        let slow = Snapshot { counter: 0, system_ns: 0, multiplier: 1 << 31, shift: 3 };
        assert_eq!(slow.ns_at(10), 40);
    }

    #[test]
    fn a_page_that_is_being_written_is_read_again() {
        let words = [2, 0, 7, 0, 9, 1, 3, 0xff];
        let reads = Cell::new(0);
        let torn = |at: usize| {
            reads.set(reads.get() + 1);
            if at == 0 && reads.get() < 10 { 1 } else { words[at] }
        };
        let expected = Snapshot { counter: 7, system_ns: 9 | 1 << 32, multiplier: 3, shift: -1 };
        assert_eq!(Snapshot::read(torn, 10), Some(expected));
        assert_eq!(Snapshot::read(|_| 1, 10), None, "odd for ever");
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(counter: u64, at: u64, system_ns: u64, multiplier: u32, shift: i8) {
            Snapshot { counter, system_ns, multiplier, shift }.ns_at(at);
        }
    }
}
