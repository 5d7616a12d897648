//! The address space: what Wasmtime asks of virtual memory, on page tables that are filled when a page is touched.
//!
//! Reserving, protecting and replacing only change the list of [`Ranges`] and what is mapped already. A page gets its
//! frame in [`Space::fault`]: zeroed, or copied from the image the first time it is written. Pages of the image that
//! are only read are mapped as they are. So a 4 GiB reservation costs one entry of a list, and a data segment that
//! nobody writes costs no memory.

use crate::exclusive::Exclusive;
use crate::frames::{Frames, Holder};
use crate::page::{Access, PAGE_BYTES, Prot, page_down};
use crate::ranges::{Backing, Piece, Ranges};
use crate::tables::{Format, Kind, Leaf, OutOfFrames, Tables};
use core::fmt;
use core::ops::Range;

/// Page tables and the frames that they map.
#[derive(Debug)]
pub struct Paging<F> {
    /// The tables that the processor walks.
    pub tables: Tables<F>,
    /// Physical memory.
    pub frames: Frames,
}

/// Virtual memory above the identity map.
#[derive(Debug)]
pub struct Space<F> {
    ranges: Exclusive<Ranges>,
    /// What is mapped. Apart from the list, because the list lives in the heap, and the heap grows by mapping.
    pub paging: Exclusive<Paging<F>>,
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The page is there now: run the instruction again.
    Resolved,
    /// The access is not allowed.
    Denied,
    /// The access is allowed, but no frame is left.
    OutOfFrames,
    /// The code that manages memory faulted itself.
    Reentered,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceError {
    /// The addresses are not pages of this space.
    Addresses,
    /// No addresses are left for so much.
    Full,
    /// Called from within itself.
    Reentered,
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addresses => "these addresses are no pages of guest memory",
            Self::Full => "no addresses are left for a reservation of this size",
            Self::Reentered => "memory management was entered twice",
        })
    }
}

impl core::error::Error for SpaceError {}

impl<F: Format> Space<F> {
    /// An empty space whose reservations will lie in `window`.
    pub const fn new(window: Range<usize>) -> Self {
        Self {
            ranges: Exclusive::new(Ranges::new(window)),
            paging: Exclusive::new(Paging { tables: Tables::new(), frames: Frames::new() }),
        }
    }

    /// New addresses for `bytes` (a multiple of the page size) of zeros.
    pub fn reserve(&self, bytes: usize, prot: Prot) -> Result<usize, SpaceError> {
        if !crate::page::is_page_aligned(bytes) || bytes == 0 {
            return Err(SpaceError::Addresses);
        }
        self.ranges.try_with(|ranges| ranges.reserve(bytes, prot)).ok_or(SpaceError::Reentered)?.ok_or(SpaceError::Full)
    }

    /// Makes `range` new memory with what `backing` says, in place of what was mapped there.
    pub fn replace(&self, range: Range<usize>, prot: Prot, backing: Backing) -> Result<(), SpaceError> {
        self.change(&range, |ranges| ranges.replace(range.clone(), prot, backing))?;
        self.discard(range)
    }

    /// Gives `range` back.
    pub fn remove(&self, range: Range<usize>) -> Result<(), SpaceError> {
        self.change(&range, |ranges| ranges.remove(&range))?;
        self.discard(range)
    }

    /// Changes what is allowed in `range`, all of which must be reserved. What it holds stays.
    pub fn protect(&self, range: Range<usize>, prot: Prot) -> Result<(), SpaceError> {
        self.change(&range, |ranges| ranges.protect(&range, prot))?;
        self.paging.try_with(|paging| paging.tables.protect(range, prot, false)).ok_or(SpaceError::Reentered)
    }

    /// Handles a fault at `address`.
    pub fn fault(&self, address: usize, access: Access) -> Fault {
        let Some(piece) = self.ranges.try_with(|ranges| ranges.find(address)) else { return Fault::Reentered };
        match piece {
            Some(piece) if piece.prot.allows(access) => self
                .paging
                .try_with(|paging| paging.commit(&piece, page_down(address), access))
                .map_or(Fault::Reentered, |done| done.map_or(Fault::OutOfFrames, |()| Fault::Resolved)),
            _ => Fault::Denied,
        }
    }

    fn change(&self, range: &Range<usize>, f: impl FnOnce(&mut Ranges)) -> Result<(), SpaceError> {
        let aligned = crate::page::is_page_aligned(range.start) && crate::page::is_page_aligned(range.end);
        let done = self.ranges.try_with(|ranges| {
            let ours = aligned && ranges.covers(range) && ranges.is_full(range);
            ours.then(|| f(ranges))
        });
        done.ok_or(SpaceError::Reentered)?.ok_or(SpaceError::Addresses)
    }

    fn discard(&self, range: Range<usize>) -> Result<(), SpaceError> {
        let done = self.paging.try_with(|paging| paging.tables.clear(range, Holder::Guest, &mut paging.frames));
        done.ok_or(SpaceError::Reentered)
    }
}

impl<F: Format> Paging<F> {
    /// Maps the page at `page` so that `access` works, which `piece` allows.
    fn commit(&mut self, piece: &Piece, page: usize, access: Access) -> Result<(), OutOfFrames> {
        let before = self.tables.get(page);
        if before.is_some_and(|leaf| leaf.prot.allows(access)) {
            crate::cpu::forget_page(page);
            return Ok(());
        }
        let source = match piece.backing {
            Backing::Zero => None,
            Backing::Image(source) => Some(source + (page - piece.start)),
        };
        if let (Some(source), Access::Read | Access::Fetch) = (source, access)
            && let Some(image) = self.tables.get(source)
        {
            let prot = if piece.prot.writable() { Prot::READ } else { piece.prot };
            let leaf = Leaf { frame: image.frame, prot, kind: Kind::Memory, owned: false };
            return self.tables.map(page, leaf, &mut self.frames);
        }
        let frame = self.frames.allocate(Holder::Guest).ok_or(OutOfFrames)?;
        let content = frame as usize as *mut u8;
        match source {
            // SAFETY: a fresh frame, mapped at its own address; the image's pages stay readable for ever.
            Some(source) => unsafe { core::ptr::copy_nonoverlapping(source as *const u8, content, PAGE_BYTES) },
            // SAFETY: as above.
            None => unsafe { core::ptr::write_bytes(content, 0, PAGE_BYTES) },
        }
        let leaf = Leaf { frame, prot: piece.prot, kind: Kind::Memory, owned: true };
        let mapped = self.tables.map(page, leaf, &mut self.frames);
        if mapped.is_err() {
            // SAFETY: the frame was just allocated and is mapped nowhere else.
            unsafe { self.frames.free(frame, Holder::Guest) };
        }
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::tests::frames;
    use crate::x86_64::X86_64;

    const WINDOW: Range<usize> = 0x1000_0000_0000..0x4000_0000_0000;
    const PAGE: usize = PAGE_BYTES;

    fn space(pages: usize) -> Space<X86_64> {
        let space = Space::new(WINDOW);
        space.paging.try_with(|paging| {
            paging.frames = frames(pages);
            paging.tables.create_root(&mut paging.frames).unwrap();
        });
        space
    }

    fn leaf(space: &Space<X86_64>, at: usize) -> Option<Leaf> {
        space.paging.try_with(|paging| paging.tables.get(at)).unwrap()
    }

    fn free(space: &Space<X86_64>) -> u64 {
        space.paging.try_with(|paging| paging.frames.free_frames()).unwrap()
    }

    /// What a processor would read there.
    fn content(space: &Space<X86_64>, at: usize) -> &'static mut [u8] {
        let frame = leaf(space, at).unwrap().frame;
        // SAFETY: frames of tests are leaked memory.
        unsafe { core::slice::from_raw_parts_mut(frame as usize as *mut u8, PAGE) }
    }

    #[test]
    fn a_linear_memory_is_committed_page_by_page() {
        let space = space(64);
        let base = space.reserve(8 << 30, Prot::NONE).unwrap();
        assert_eq!(space.fault(base, Access::Read), Fault::Denied);
        space.protect(base..base + 2 * PAGE, Prot::READ_WRITE).unwrap();
        assert_eq!(space.fault(base + 5, Access::Write), Fault::Resolved);
        content(&space, base)[5] = 7;
        assert_eq!((space.fault(base + 2 * PAGE, Access::Write), leaf(&space, base + PAGE)), (Fault::Denied, None));
        assert_eq!(space.fault(base, Access::Fetch), Fault::Denied);
        // Growing keeps the content; replacing does not, and gives the frame back.
        space.protect(base..base + 3 * PAGE, Prot::READ_WRITE).unwrap();
        assert_eq!((space.fault(base + 2 * PAGE, Access::Read), content(&space, base)[5]), (Fault::Resolved, 7));
        let before = free(&space);
        space.replace(base..base + PAGE, Prot::READ_WRITE, Backing::Zero).unwrap();
        assert_eq!(free(&space), before + 1);
        assert_eq!((space.fault(base, Access::Read), content(&space, base)[5]), (Fault::Resolved, 0));
        space.remove(base..base + (8 << 30)).unwrap();
        assert_eq!((space.fault(base, Access::Read), leaf(&space, base)), (Fault::Denied, None));
    }

    #[test]
    fn everything_comes_back() {
        let space = space(64);
        let mut before = None;
        for _ in 0..100 {
            let base = space.reserve(4 << 20, Prot::READ_WRITE).unwrap();
            for page in 0..20 {
                assert_eq!(space.fault(base + page * PAGE, Access::Write), Fault::Resolved);
            }
            space.remove(base..base + (4 << 20)).unwrap();
            assert_eq!(*before.get_or_insert(free(&space)), free(&space));
        }
    }

    #[test]
    fn image_pages_are_shared_until_written() {
        let space = space(64);
        let image = vec![9u8; 3 * PAGE].leak();
        let source = crate::page::page_up(image.as_ptr() as usize);
        space.paging.try_with(|paging| {
            let shared = Leaf { frame: source as u64, prot: Prot::READ, kind: Kind::Memory, owned: false };
            paging.tables.map_range(source..source + 2 * PAGE, shared, 0, &mut paging.frames).unwrap();
        });
        let base = space.reserve(4 * PAGE, Prot::NONE).unwrap();
        space.replace(base + PAGE..base + 3 * PAGE, Prot::READ_WRITE, Backing::Image(source)).unwrap();
        let before = free(&space);
        assert_eq!(space.fault(base + 2 * PAGE, Access::Read), Fault::Resolved);
        assert_eq!(leaf(&space, base + 2 * PAGE).map(|leaf| leaf.frame as usize), Some(source + PAGE));
        let tables_only = free(&space);
        assert!(before - tables_only <= 3);
        assert_eq!(space.fault(base + 2 * PAGE, Access::Write), Fault::Resolved);
        content(&space, base + 2 * PAGE)[0] = 1;
        assert_eq!((image[2 * PAGE], content(&space, base + 2 * PAGE)[1], free(&space)), (9, 9, tables_only - 1));
        // Another read maps the other page shared; making both writable must not make the image writable.
        assert_eq!(space.fault(base + PAGE, Access::Read), Fault::Resolved);
        space.protect(base + PAGE..base + 3 * PAGE, Prot::READ_WRITE).unwrap();
        assert_eq!(leaf(&space, base + PAGE).map(|leaf| leaf.prot), Some(Prot::READ));
        assert_eq!(leaf(&space, base + 2 * PAGE).map(|leaf| leaf.prot), Some(Prot::READ_WRITE));
    }

    #[test]
    fn the_end_of_memory_is_said() {
        let space = space(8);
        let base = space.reserve(64 * PAGE, Prot::READ_WRITE).unwrap();
        let ends: Vec<Fault> = (0..9).map(|page| space.fault(base + page * PAGE, Access::Write)).collect();
        assert_eq!(ends.iter().filter(|end| **end == Fault::Resolved).count(), 4, "the rest are four tables");
        assert_eq!(ends.last(), Some(&Fault::OutOfFrames));
    }

    #[test]
    fn foreign_addresses_are_refused() {
        let space = space(8);
        let base = space.reserve(2 * PAGE, Prot::READ).unwrap();
        let refused = Err(SpaceError::Addresses);
        assert_eq!(space.protect(0x10_0000..0x10_1000, Prot::READ), refused, "not in the window");
        assert_eq!(space.protect(base..base + 3 * PAGE, Prot::READ), refused, "not reserved");
        assert_eq!(space.remove(base + 1..base + PAGE), refused, "no page");
        assert_eq!(space.reserve(17, Prot::READ), Err(SpaceError::Addresses));
        assert_eq!(space.reserve(1 << 46, Prot::READ), Err(SpaceError::Full));
    }
}
