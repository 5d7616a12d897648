//! The byte rings through which Xen's console and xenstore talk.
//!
//! A ring is a buffer with two free-running 32-bit counters, one that the producer advances and one that the consumer
//! advances. The other side is another domain and may write anything at any time. So each shared counter is read once
//! and checked: more bytes in flight than the buffer holds is a broken ring, from which nothing more is read or
//! written.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// One direction of a pair of rings, in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    buffer: &'a [AtomicU8],
    consumed: &'a AtomicU32,
    produced: &'a AtomicU32,
}

/// The other side's counter makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl<'a> Ring<'a> {
    /// A ring over `buffer`, whose length is a power of two.
    pub fn new(buffer: &'a [AtomicU8], consumed: &'a AtomicU32, produced: &'a AtomicU32) -> Self {
        Self { buffer, consumed, produced }
    }

    /// Bytes that wait to be consumed.
    pub fn filled(&self) -> Result<usize, Broken> {
        let produced = self.produced.load(Ordering::Acquire);
        let filled = produced.wrapping_sub(self.consumed.load(Ordering::Acquire)) as usize;
        if filled <= self.buffer.len() { Ok(filled) } else { Err(Broken) }
    }

    /// Bytes that can be produced.
    pub fn room(&self) -> Result<usize, Broken> {
        self.filled().map(|filled| self.buffer.len() - filled)
    }

    /// Produces from the front of `bytes`; says how many fitted.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Broken> {
        let room = self.room()?;
        // Ours alone to advance.
        let at = self.produced.load(Ordering::Relaxed);
        let count = bytes.len().min(room);
        for (i, byte) in bytes.iter().take(count).enumerate() {
            if let Some(slot) = self.slot(at.wrapping_add(i as u32)) {
                slot.store(*byte, Ordering::Relaxed);
            }
        }
        self.produced.store(at.wrapping_add(count as u32), Ordering::Release);
        Ok(count)
    }

    /// Consumes into `into`; says how many bytes there were.
    pub fn read(&self, into: &mut [u8]) -> Result<usize, Broken> {
        let count = self.filled()?.min(into.len());
        let at = self.consumed.load(Ordering::Relaxed);
        for (i, byte) in into.iter_mut().take(count).enumerate() {
            if let Some(slot) = self.slot(at.wrapping_add(i as u32)) {
                *byte = slot.load(Ordering::Relaxed);
            }
        }
        self.consumed.store(at.wrapping_add(count as u32), Ordering::Release);
        Ok(count)
    }

    fn slot(&self, counter: u32) -> Option<&AtomicU8> {
        self.buffer.get(counter as usize & (self.buffer.len().wrapping_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(count: usize) -> Vec<AtomicU8> {
        (0..count).map(|_| AtomicU8::new(0)).collect()
    }

    #[test]
    fn counters_wrap_around() {
        let (buffer, consumed, produced) = (bytes(8), AtomicU32::new(u32::MAX - 2), AtomicU32::new(u32::MAX - 2));
        let ring = Ring::new(&buffer, &consumed, &produced);
        assert_eq!(ring.write(b"0123456789"), Ok(8));
        assert_eq!((ring.room(), ring.write(b"x")), (Ok(0), Ok(0)));
        let mut out = [0; 16];
        assert_eq!((ring.read(&mut out[..3]), &out[..3]), (Ok(3), &b"012"[..]));
        assert_eq!(ring.write(b"ab"), Ok(2));
        assert_eq!((ring.read(&mut out), &out[..7]), (Ok(7), &b"34567ab"[..]));
        assert_eq!(ring.read(&mut out), Ok(0));
    }

    #[test]
    fn a_hostile_counter_is_refused() {
        let (buffer, consumed, produced) = (bytes(8), AtomicU32::new(0), AtomicU32::new(9));
        let ring = Ring::new(&buffer, &consumed, &produced);
        assert_eq!((ring.read(&mut [0; 4]), ring.write(b"x"), ring.room()), (Err(Broken), Err(Broken), Err(Broken)));
        consumed.store(10, Ordering::Relaxed);
        assert_eq!(ring.write(b"x"), Err(Broken), "consumed more than was produced");
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(steps in prop::collection::vec((any::<bool>(), 0usize..12), 0..60), start: u32) {
            let (buffer, consumed, produced) = (bytes(16), AtomicU32::new(start), AtomicU32::new(start));
            let ring = Ring::new(&buffer, &consumed, &produced);
            let (mut next, mut expected) = (0u8, 0u8);
            for (write, count) in steps {
                if write {
                    let chunk: Vec<u8> = (0..count).map(|i| next.wrapping_add(i as u8)).collect();
                    next = next.wrapping_add(ring.write(&chunk).unwrap() as u8);
                } else {
                    let mut out = vec![0; count];
                    let got = ring.read(&mut out).unwrap();
                    for byte in &out[..got] {
                        prop_assert_eq!(*byte, expected);
                        expected = expected.wrapping_add(1);
                    }
                }
            }
            prop_assert_eq!(ring.filled().unwrap() as u8, next.wrapping_sub(expected));
        }
    }
}
