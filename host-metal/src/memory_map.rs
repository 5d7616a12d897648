//! Which physical memory there is and which of it is free: the firmware's list, minus what is already in use.
//!
//! The boot code of a host adds what the machine calls usable ([`MemoryMap::add`]) and removes what must stay as it is:
//! the image, the device tree, the first megabyte ([`MemoryMap::remove`]). The frame allocator then takes the rest. It
//! works before there is a heap, so its size is fixed; a machine with more pieces than fit loses the smallest ones, not
//! its start.

use crate::page::{PAGE_BYTES, PAGE_SHIFT};

/// The most separate pieces of memory that are kept.
pub const MAX_REGIONS: usize = 32;

/// A piece of physical memory, in bytes, page-aligned at both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Region {
    /// Bytes in it.
    pub const fn bytes(self) -> u64 {
        self.end - self.start
    }
}

/// Free physical memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryMap {
    regions: [Region; MAX_REGIONS],
    count: usize,
}

impl MemoryMap {
    /// No memory at all.
    pub const fn new() -> Self {
        Self { regions: [Region { start: 0, end: 0 }; MAX_REGIONS], count: 0 }
    }

    /// The pieces, in the order in which they were added.
    pub fn regions(&self) -> &[Region] {
        self.regions.get(..self.count).unwrap_or_default()
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.regions().iter().map(|region| region.bytes()).sum()
    }

    /// Adds usable memory: the whole pages in `start..start + bytes` that are not known yet.
    pub fn add(&mut self, start: u64, bytes: u64) {
        let end = start.saturating_add(bytes);
        let (start, end) = (up(start), down(end));
        self.remove_pages(start, end);
        self.push(Region { start, end });
    }

    /// Takes memory out: every page that `start..start + bytes` touches.
    pub fn remove(&mut self, start: u64, bytes: u64) {
        self.remove_pages(down(start), up(start.saturating_add(bytes)));
    }

    fn remove_pages(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let before = self.clone();
        self.count = 0;
        for region in before.regions() {
            self.push(Region { start: region.start, end: region.end.min(start) });
            self.push(Region { start: region.start.max(end), end: region.end });
        }
    }

    /// Keeps a piece if it is not empty; when there is no room, in place of the smallest one if that is smaller.
    fn push(&mut self, region: Region) {
        if region.start >= region.end {
            return;
        }
        if let Some(slot) = self.regions.get_mut(self.count) {
            *slot = region;
            self.count += 1;
        } else if let Some(smallest) = self.regions.iter_mut().min_by_key(|region| region.bytes())
            && smallest.bytes() < region.bytes()
        {
            *smallest = region;
        }
    }
}

const fn down(address: u64) -> u64 {
    address >> PAGE_SHIFT << PAGE_SHIFT
}

const fn up(address: u64) -> u64 {
    down(address.saturating_add(PAGE_BYTES as u64 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_image_is_cut_out_of_memory() {
        let mut map = MemoryMap::new();
        map.add(0x10_0000, 0x70_0000);
        map.remove(0x20_0001, 0xfff);
        let expected = [Region { start: 0x10_0000, end: 0x20_0000 }, Region { start: 0x20_1000, end: 0x80_0000 }];
        assert_eq!(map.regions(), expected);
        assert_eq!(map.bytes(), 0x6f_f000);
    }

    #[test]
    fn only_whole_pages_are_used() {
        let mut map = MemoryMap::new();
        map.add(1, 8190);
        assert_eq!(map.regions(), []);
        map.add(u64::MAX - 10, 100);
        assert_eq!(map.regions(), []);
    }

    #[test]
    fn a_full_map_loses_the_smallest_piece() {
        let mut map = MemoryMap::new();
        for i in 0..MAX_REGIONS as u64 {
            map.add(i << 20, 4096 * (i + 1));
        }
        map.add(1 << 40, 1 << 30);
        assert_eq!(map.regions().len(), MAX_REGIONS);
        assert!(map.regions().iter().any(|region| region.start == 1 << 40));
        assert!(map.regions().iter().all(|region| region.bytes() > 4096));
    }

    proptest! {
        /// Against the obvious model: one flag a page.
        #[test]
        fn adding_and_removing_is_a_set_of_pages(steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..24), 0..12)) {
            let (mut map, mut model) = (MemoryMap::new(), [false; 96]);
            for (add, page, pages) in steps {
                let (start, bytes) = (page << PAGE_SHIFT, pages << PAGE_SHIFT);
                if add { map.add(start, bytes) } else { map.remove(start, bytes) }
                model[page as usize..(page + pages) as usize].fill(add);
            }
            for (page, free) in model.iter().enumerate() {
                let at = (page as u64) << PAGE_SHIFT;
                let count = map.regions().iter().filter(|region| (region.start..region.end).contains(&at)).count();
                prop_assert_eq!(count, usize::from(*free));
            }
        }
    }
}
