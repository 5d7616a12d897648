//! Which addresses mean something, and what: the list that a page fault is judged by.
//!
//! A range says what its pages may be used for and what they hold before they are first written. Ranges are kept
//! sorted, never overlap, and are split where a part changes. Reading the list allocates nothing, so the fault handler
//! can.

use crate::page::{PAGE_BYTES, Prot};
use alloc::vec::Vec;
use core::ops::Range;

/// Addresses between two reservations that stay unused, so that running off the end of one never reaches the next. 64
/// KiB.
const GAP_BYTES: usize = 16 * PAGE_BYTES;

/// What a page holds before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Zeros.
    Zero,
    /// What is at this address, page-aligned, in the image; it never changes.
    Image(usize),
}

impl Backing {
    fn after(self, bytes: usize) -> Self {
        match self {
            Self::Zero => Self::Zero,
            Self::Image(source) => Self::Image(source + bytes),
        }
    }
}

/// Pages in a row with the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first address, page-aligned.
    pub start: usize,
    /// One past the last address, page-aligned.
    pub end: usize,
    /// What is allowed.
    pub prot: Prot,
    /// What is there at first.
    pub backing: Backing,
}

/// The pieces of an address range, sorted.
#[derive(Debug)]
pub struct Ranges {
    pieces: Vec<Piece>,
    window: Range<usize>,
}

impl Ranges {
    /// No pieces yet; they will lie in `window`.
    pub const fn new(window: Range<usize>) -> Self {
        Self { pieces: Vec::new(), window }
    }

    /// Whether the whole of `range` lies in the window.
    pub fn covers(&self, range: &Range<usize>) -> bool {
        self.window.start <= range.start && range.start <= range.end && range.end <= self.window.end
    }

    /// Finds the lowest place for `bytes` (a multiple of the page size) and makes it a piece of zeros; `None` when
    /// there is no place.
    pub fn reserve(&mut self, bytes: usize, prot: Prot) -> Option<usize> {
        let room = bytes.checked_add(GAP_BYTES)?;
        let mut start = self.window.start;
        let mut at = self.pieces.len();
        for (i, piece) in self.pieces.iter().enumerate() {
            // Parts of one reservation have no gap between them, so the next start may lie behind the piece.
            if piece.start.saturating_sub(start) >= room {
                at = i;
                break;
            }
            start = piece.end + GAP_BYTES;
        }
        let end = start.checked_add(bytes).filter(|end| *end <= self.window.end)?;
        self.pieces.insert(at, Piece { start, end, prot, backing: Backing::Zero });
        Some(start)
    }

    /// The piece that holds `address`.
    pub fn find(&self, address: usize) -> Option<Piece> {
        let at = self.pieces.partition_point(|piece| piece.end <= address);
        self.pieces.get(at).filter(|piece| piece.start <= address).copied()
    }

    /// Whether every address of `range` is in some piece.
    pub fn is_full(&self, range: &Range<usize>) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.find(at) {
                Some(piece) => at = piece.end,
                None => return false,
            }
        }
        true
    }

    /// Makes `range` a new piece, in place of what was there.
    pub fn replace(&mut self, range: Range<usize>, prot: Prot, backing: Backing) {
        let at = self.cut(&range);
        if range.start < range.end {
            self.pieces.insert(at, Piece { start: range.start, end: range.end, prot, backing });
        }
    }

    /// Makes `range` mean nothing.
    pub fn remove(&mut self, range: &Range<usize>) {
        self.cut(range);
    }

    /// Changes what is allowed in `range`; holes in it stay holes.
    pub fn protect(&mut self, range: &Range<usize>, prot: Prot) {
        self.split(range.start);
        self.split(range.end);
        for piece in &mut self.pieces {
            if range.start <= piece.start && piece.end <= range.end {
                piece.prot = prot;
            }
        }
        // Neighbours that mean the same become one again: a memory that grows page by page stays one piece.
        self.pieces.dedup_by(|next, piece| {
            let same = piece.end == next.start
                && piece.prot == next.prot
                && piece.backing.after(piece.end - piece.start) == next.backing;
            if same {
                piece.end = next.end;
            }
            same
        });
    }

    /// Removes all pieces in `range`; says where a piece for it belongs.
    fn cut(&mut self, range: &Range<usize>) -> usize {
        self.split(range.start);
        self.split(range.end);
        let first = self.pieces.partition_point(|piece| piece.end <= range.start);
        let last = self.pieces.partition_point(|piece| piece.start < range.end).max(first);
        self.pieces.drain(first..last);
        first
    }

    /// Makes a border at `address`.
    fn split(&mut self, address: usize) {
        let at = self.pieces.partition_point(|piece| piece.end <= address);
        if let Some(piece) = self.pieces.get_mut(at).filter(|piece| piece.start < address) {
            let second = Piece { start: address, backing: piece.backing.after(address - piece.start), ..*piece };
            piece.end = address;
            self.pieces.insert(at + 1, second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGES: usize = 64;

    fn pages(range: Range<usize>) -> Range<usize> {
        range.start * PAGE_BYTES..range.end * PAGE_BYTES
    }

    #[test]
    fn freed_addresses_are_used_again() {
        let mut ranges = Ranges::new(0x10_0000..0x100_0000);
        let first = ranges.reserve(0x1000, Prot::NONE).unwrap();
        let second = ranges.reserve(0x2000, Prot::READ).unwrap();
        assert!(second >= first + 0x1000 + GAP_BYTES);
        ranges.remove(&(first..first + 0x1000));
        assert_eq!(ranges.reserve(0x2000, Prot::NONE).filter(|at| *at < second), None, "too small a gap");
        assert_eq!(ranges.reserve(0x1000, Prot::NONE), Some(first));
        assert_eq!(ranges.reserve(usize::MAX - 4095, Prot::NONE), None);
        assert_eq!(ranges.reserve(0x100_0000, Prot::NONE), None);
    }

    /// A reservation whose first page had been protected looked like endless room before its second part: new memory
    /// was put on top of stacks.
    #[test]
    fn parts_of_a_reservation_leave_no_room_between_them() {
        let mut ranges = Ranges::new(0x10_0000..0x100_0000);
        let first = ranges.reserve(0x4000, Prot::READ_WRITE).unwrap();
        ranges.protect(&(first..first + 0x1000), Prot::NONE);
        let second = ranges.reserve(0x2000, Prot::READ).unwrap();
        assert!(second >= first + 0x4000 + GAP_BYTES, "{second:#x}");
    }

    #[test]
    fn a_memory_that_grows_stays_one_piece() {
        let mut ranges = Ranges::new(0..usize::MAX);
        ranges.replace(pages(0..64), Prot::NONE, Backing::Zero);
        for page in 0..10 {
            ranges.protect(&pages(page..page + 1), Prot::READ_WRITE);
        }
        assert_eq!(ranges.pieces.len(), 2);
    }

    proptest! {
        /// Against the obvious model: one optional meaning a page.
        #[test]
        fn ranges_are_a_map_from_pages(
            steps in prop::collection::vec((0u8..4, 0usize..PAGES, 1usize..PAGES, 0u32..4), 0..24)
        ) {
            let mut ranges = Ranges::new(0..usize::MAX);
            let mut model: [Option<(Prot, Backing)>; 2 * PAGES] = [None; 2 * PAGES];
            for (kind, start, count, prot) in steps {
                let (range, prot) = (pages(start..start + count), Prot::new(prot).unwrap());
                let cells = &mut model[start..start + count];
                match kind {
                    0 => { ranges.replace(range, prot, Backing::Zero); cells.fill(Some((prot, Backing::Zero))); }
                    1 => {
                        let source = 0x10_0000_0000;
                        ranges.replace(range, prot, Backing::Image(source));
                        for (i, cell) in cells.iter_mut().enumerate() {
                            *cell = Some((prot, Backing::Image(source + i * PAGE_BYTES)));
                        }
                    }
                    2 => { ranges.remove(&range); cells.fill(None); }
                    _ => { ranges.protect(&range, prot); for cell in cells.iter_mut().flatten() { cell.0 = prot; } }
                }
            }
            for (page, cell) in model.iter().enumerate() {
                let at = page * PAGE_BYTES;
                let found = ranges.find(at + 17).map(|piece| (piece.prot, piece.backing.after(at - piece.start)));
                prop_assert_eq!(found, *cell, "page {}", page);
                prop_assert_eq!(ranges.is_full(&(at..at + PAGE_BYTES)), cell.is_some());
            }
            prop_assert!(ranges.pieces.windows(2).all(|pair| pair[0].end <= pair[1].start));
            prop_assert!(ranges.pieces.iter().all(|piece| piece.start < piece.end));
        }
    }
}
