//! Frames: physical pages, handed out one by one, and the account of who was promised how many.
//!
//! Free frames that were never used cost nothing, not even a write: each region is consumed from its start. Frames that
//! come back go on a list that is threaded through the frames themselves. All of it stands on the identity map: a
//! frame's physical address is also the address under which the kernel reaches it.
//!
//! The account keeps a promise of [`mwasm_ports::Memory::reserve`]: what a guest was granted can be touched, whatever
//! the kernel's heap wants meanwhile. Page tables are taken from frames at any time, the heap only while `kernel +
//! promised + margin <= total`, and a guest is only promised more while that leaves the margin twice. One margin is for
//! guest stacks, which nobody reserves and which are touched as deep as calls go; the other for the heap.

use crate::memory_map::{MemoryMap, Region};
use crate::page::{PAGE_BYTES, PAGE_SHIFT};

/// The margin is this fraction of all memory, within the two limits below.
const MARGIN_DIVISOR: u64 = 16;
/// The smallest margin, in frames: 256 KiB.
const MARGIN_MIN: u64 = 64;
/// The largest margin, in frames: 8 MiB.
const MARGIN_MAX: u64 = 2048;
/// Pages that one last-level table maps: what a promise of so many pages costs in tables is one frame.
const PAGES_PER_TABLE: u64 = 512;

/// Who holds a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Page tables, heap, device memory: for ever, or until it is freed.
    Kernel,
    /// Memory that was touched under a promise: linear memories and stacks.
    Guest,
}

/// All physical memory that the image may use.
#[derive(Debug)]
pub struct Frames {
    regions: MemoryMap,
    /// Index of the region that is being consumed, and how far.
    current: usize,
    next: u64,
    /// First frame of the list of returned ones; 0 is the end of the list.
    returned: u64,
    total: u64,
    kernel: u64,
    guest: u64,
    promised: u64,
}

impl Frames {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { regions: MemoryMap::new(), current: 0, next: 0, returned: 0, total: 0, kernel: 0, guest: 0, promised: 0 }
    }

    /// Takes over the free memory of `map`.
    ///
    /// # Safety
    /// All of it is RAM that nothing else uses, and it is or will be mapped at its physical address before a frame is freed.
    pub unsafe fn take(&mut self, map: MemoryMap) {
        self.total = map.bytes() >> PAGE_SHIFT;
        self.next = map.regions().first().map_or(0, |region| region.start);
        self.regions = map;
    }

    /// The memory that was taken over.
    pub fn regions(&self) -> &[Region] {
        self.regions.regions()
    }

    /// One frame, with whatever it held before; `None` when there is none left.
    pub fn allocate(&mut self, holder: Holder) -> Option<u64> {
        let frame = if self.returned == 0 {
            self.consume(1)?
        } else {
            let frame = self.returned;
            // SAFETY: a frame on the list is free RAM, mapped at its own address (`take`), and holds the next of the
            // list.
            self.returned = unsafe { (frame as usize as *const u64).read() };
            frame
        };
        *self.count(holder) += 1;
        Some(frame)
    }

    /// `count` frames in a row, for a device. Only memory that was never used is looked at.
    pub fn allocate_run(&mut self, count: u64) -> Option<u64> {
        let frame = self.consume(count)?;
        self.kernel += count;
        Some(frame)
    }

    /// Takes a frame back.
    ///
    /// # Safety
    /// The frame came from here, is held by `holder`, and nobody uses it any more.
    pub unsafe fn free(&mut self, frame: u64, holder: Holder) {
        // SAFETY: the frame is unused RAM, mapped at its own address.
        unsafe { (frame as usize as *mut u64).write(self.returned) };
        self.returned = frame;
        let count = self.count(holder);
        *count = count.saturating_sub(1);
    }

    /// Whether the heap may take `count` frames more.
    pub fn heap_may_take(&self, count: u64) -> bool {
        self.kernel.saturating_add(self.promised).saturating_add(count).saturating_add(self.margin()) <= self.total
    }

    /// Promises `bytes` more to guests, if that can be kept.
    pub fn promise(&mut self, bytes: u64) -> bool {
        let wanted = self.promised.saturating_add(pages_for(bytes));
        let fits = self.kernel.saturating_add(wanted).saturating_add(2 * self.margin()) <= self.total;
        if fits {
            self.promised = wanted;
        }
        fits
    }

    /// Takes a promise of `bytes` back.
    pub fn release(&mut self, bytes: u64) {
        self.promised = self.promised.saturating_sub(pages_for(bytes));
    }

    /// The most that guests can be promised in total, in bytes, as things are.
    pub fn promisable_bytes(&self) -> u64 {
        self.total.saturating_sub(self.kernel).saturating_sub(2 * self.margin()) << PAGE_SHIFT
    }

    /// All frames, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.total << PAGE_SHIFT
    }

    /// Frames that nobody holds.
    pub fn free_frames(&self) -> u64 {
        self.total.saturating_sub(self.kernel).saturating_sub(self.guest)
    }

    fn margin(&self) -> u64 {
        (self.total / MARGIN_DIVISOR).clamp(MARGIN_MIN, MARGIN_MAX)
    }

    fn count(&mut self, holder: Holder) -> &mut u64 {
        match holder {
            Holder::Kernel => &mut self.kernel,
            Holder::Guest => &mut self.guest,
        }
    }

    /// Never used frames in a row. The rest of a region that is too short for a run is lost to runs, not to single
    /// frames: it goes on the list.
    fn consume(&mut self, count: u64) -> Option<u64> {
        let bytes = count << PAGE_SHIFT;
        loop {
            let region = *self.regions.regions().get(self.current)?;
            if region.end - self.next >= bytes {
                let frame = self.next;
                self.next += bytes;
                return Some(frame);
            }
            while self.next < region.end {
                // SAFETY: the frame is free RAM that was taken over, mapped at its own address.
                unsafe { (self.next as usize as *mut u64).write(self.returned) };
                self.returned = self.next;
                self.next += PAGE_BYTES as u64;
            }
            self.current += 1;
            self.next = self.regions.regions().get(self.current)?.start;
        }
    }
}

/// What a promise of `bytes` can cost in frames, with the tables that map them.
const fn pages_for(bytes: u64) -> u64 {
    let pages = bytes.div_ceil(PAGE_BYTES as u64);
    pages + pages.div_ceil(PAGES_PER_TABLE)
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `pages` pages of real memory, leaked, as frames.
    pub fn frames(pages: usize) -> Frames {
        let bytes = vec![0u8; (pages + 1) * PAGE_BYTES].leak();
        let start = crate::page::page_up(bytes.as_ptr() as usize) as u64;
        let mut map = MemoryMap::new();
        map.add(start, (pages * PAGE_BYTES) as u64);
        let mut frames = Frames::new();
        // SAFETY: the memory was leaked for this.
        unsafe { frames.take(map) };
        frames
    }

    #[test]
    fn each_frame_is_handed_out_once_and_comes_back() {
        let mut frames = frames(8);
        let mut held: Vec<u64> = (0..8).map(|_| frames.allocate(Holder::Guest).unwrap()).collect();
        assert_eq!((frames.allocate(Holder::Guest), frames.free_frames()), (None, 0));
        let freed = held.swap_remove(3);
        // SAFETY: it came from there and is unused.
        unsafe { frames.free(freed, Holder::Guest) };
        assert_eq!(frames.allocate(Holder::Kernel), Some(freed));
        held.push(freed);
        held.sort_unstable();
        held.dedup();
        assert_eq!(held.len(), 8);
    }

    #[test]
    fn a_run_is_contiguous_and_wastes_nothing() {
        let mut frames = frames(4);
        let first = frames.allocate(Holder::Kernel).unwrap();
        assert_eq!(frames.allocate_run(2), Some(first + PAGE_BYTES as u64));
        assert_eq!(frames.allocate_run(2), None);
        assert!(frames.allocate(Holder::Kernel).is_some(), "the frame that was too short for a run");
        assert_eq!(frames.allocate(Holder::Kernel), None);
    }

    #[test]
    fn a_promise_leaves_room_and_the_heap_respects_it() {
        let mut frames = frames(1024);
        assert!(!frames.promise(1 << 30));
        let all = frames.promisable_bytes();
        assert_eq!(all, (1024 - 128) * 4096);
        assert!(!frames.promise(all), "tables for it do not fit");
        assert!(frames.promise(all - 2 * 4096));
        assert!(!frames.promise(4096));
        frames.release(4096);
        assert!(frames.promise(4096), "what is given back can be promised again");
        assert!(frames.heap_may_take(64), "one margin is the heap's");
        assert!(!frames.heap_may_take(65));
        // What was promised can be touched even after the heap took its part and stacks took theirs.
        for _ in 0..64 + 2 {
            frames.allocate(Holder::Kernel).unwrap();
        }
        for _ in 0..(all / 4096 - 2) + 64 {
            frames.allocate(Holder::Guest).unwrap();
        }
        assert_eq!(frames.free_frames(), 0);
    }
}
