//! Page tables: four levels of 512 entries over 48 bits of address, as both x86-64 and aarch64 (4 KiB granule) have
//! them.
//!
//! What differs is how an entry says things, which is a [`Format`] ([`crate::x86_64`], [`crate::aarch64`]). The walk,
//! the making and freeing of tables and the splitting of ranges are here, once. Tables live in frames and are reached
//! through the identity map, so in a test a table is just a page of ordinary memory.
//!
//! Each leaf remembers (in a bit that the processor ignores) whether its frame belongs to the mapping. A frame that
//! does not, such as a page of the image or of a device, is never freed when the mapping goes, and never becomes
//! writable when the mapping's protection changes: writing to it means copying it first, which is the fault handler's
//! work.

use crate::frames::{Frames, Holder};
use crate::page::{PAGE_BYTES, PAGE_SHIFT, Prot};
use core::marker::PhantomData;
use core::ops::Range;

/// Entries in a table.
pub const ENTRIES: usize = 512;
/// log2 of [`ENTRIES`].
const INDEX_BITS: usize = 9;
/// The level of a 4 KiB leaf; a leaf at level `n` maps `4 KiB << (9 * n)`.
pub const LEVEL_PAGE: usize = 0;
/// The level of a 2 MiB leaf.
pub const LEVEL_2M: usize = 1;
/// The level of a 1 GiB leaf.
pub const LEVEL_1G: usize = 2;
/// The level of the root table.
const LEVEL_ROOT: usize = 3;

/// How memory behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RAM: cached.
    Memory,
    /// Device registers: neither cached nor reordered.
    Device,
}

/// What a leaf says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Physical address of the first byte.
    pub frame: u64,
    /// What is allowed; a leaf with [`Prot::NONE`] still holds its frame.
    pub prot: Prot,
    /// How it behaves.
    pub kind: Kind,
    /// Whether the frame goes back when the mapping goes.
    pub owned: bool,
}

/// How one architecture writes entries.
pub trait Format {
    /// An entry that points to a table.
    fn table(frame: u64) -> u64;
    /// A leaf for this level.
    fn leaf(leaf: Leaf, level: usize) -> u64;
    /// What an entry at this level is.
    fn decode(entry: u64, level: usize) -> Entry;
    /// Makes the processor forget what it knows about the page at `address`.
    fn forget(address: usize);
}

/// A decoded entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Maps nothing.
    Empty,
    /// Points to the table in this frame.
    Table(u64),
    /// Maps memory.
    Leaf(Leaf),
}

/// There was no frame left for a page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;

/// A tree of page tables.
#[derive(Debug)]
pub struct Tables<F> {
    root: u64,
    format: PhantomData<fn() -> F>,
}

/// Bytes that one entry of a table at `level` maps.
const fn span(level: usize) -> usize {
    PAGE_BYTES << (INDEX_BITS * level)
}

impl<F: Format> Tables<F> {
    /// A tree whose root does not exist yet; [`Tables::create_root`] makes it.
    pub const fn new() -> Self {
        Self { root: 0, format: PhantomData }
    }

    /// Makes an empty root table.
    pub fn create_root(&mut self, frames: &mut Frames) -> Result<(), OutOfFrames> {
        self.root = new_table(frames)?;
        Ok(())
    }

    /// Physical address of the root table.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// The leaf that maps `address`, with the frame of just its page.
    pub fn get(&self, address: usize) -> Option<Leaf> {
        let mut table = self.root;
        for level in (LEVEL_PAGE..=LEVEL_ROOT).rev() {
            // SAFETY: `table` is a table of this tree.
            match F::decode(unsafe { entry(table, index(address, level)).read() }, level) {
                Entry::Empty => return None,
                Entry::Table(next) => table = next,
                Entry::Leaf(leaf) => {
                    let within = (address & (span(level) - 1)) >> PAGE_SHIFT << PAGE_SHIFT;
                    return Some(Leaf { frame: leaf.frame + within as u64, ..leaf });
                }
            }
        }
        None
    }

    /// Maps one page, in place of what was there. The old frame is not freed.
    pub fn map(&mut self, address: usize, leaf: Leaf, frames: &mut Frames) -> Result<(), OutOfFrames> {
        let table = self.make_table(address, LEVEL_PAGE, frames)?;
        write::<F>(entry(table, index(address, LEVEL_PAGE)), leaf, LEVEL_PAGE, address);
        crate::cpu::publish_mappings();
        Ok(())
    }

    /// Maps `range` to the physical memory from `leaf.frame` on with the largest leaves that fit, none above `largest`.
    /// Both must be page-aligned; what was mapped there before must be absent or have the same shape.
    pub fn map_range(
        &mut self,
        range: Range<usize>,
        leaf: Leaf,
        largest: usize,
        frames: &mut Frames,
    ) -> Result<(), OutOfFrames> {
        let mut at = range.start;
        while at < range.end {
            let offset = leaf.frame.wrapping_sub(range.start as u64);
            let fits = |level: &usize| {
                let mask = span(*level) - 1;
                at & mask == 0 && (at as u64).wrapping_add(offset) as usize & mask == 0 && range.end - at > mask
            };
            let level = (LEVEL_PAGE + 1..=largest).rev().find(fits).unwrap_or(LEVEL_PAGE);
            let table = self.make_table(at, level, frames)?;
            // All leaves of this size up to the end of the table, or to where a larger one fits.
            let above = span(level + 1) - 1;
            let end = range.end.min((at | above).saturating_add(1));
            while at < end && (end - at) >= span(level) {
                let frame = (at as u64).wrapping_add(offset);
                write::<F>(entry(table, index(at, level)), Leaf { frame, ..leaf }, level, at);
                at += span(level);
            }
        }
        crate::cpu::publish_mappings();
        Ok(())
    }

    /// The table at `level` for `address`; those above it are made, and large leaves above it are split.
    fn make_table(&mut self, address: usize, level: usize, frames: &mut Frames) -> Result<u64, OutOfFrames> {
        let mut table = self.root;
        for above in (level + 1..=LEVEL_ROOT).rev() {
            let at = entry(table, index(address, above));
            // SAFETY: `at` is an entry of a table of this tree.
            table = match F::decode(unsafe { at.read() }, above) {
                Entry::Table(next) => next,
                Entry::Empty => {
                    let next = new_table(frames)?;
                    // SAFETY: as above; the new table is empty, so nothing changes yet.
                    unsafe { at.write(F::table(next)) };
                    next
                }
                Entry::Leaf(large) => {
                    let next = split::<F>(large, above, frames)?;
                    // SAFETY: as above; the new table maps what the large leaf mapped.
                    unsafe { at.write(F::table(next)) };
                    F::forget(address);
                    next
                }
            };
        }
        Ok(table)
    }

    /// Gives every mapped page in `range` the protection `prot`; pages whose frames are not owned stay read-only unless
    /// `in_place`.
    pub fn protect(&mut self, range: Range<usize>, prot: Prot, in_place: bool) {
        let mut change = |at, leaf: Leaf, address| {
            let prot = if prot.writable() && !leaf.owned && !in_place { Prot::READ } else { prot };
            write::<F>(at, Leaf { prot, ..leaf }, LEVEL_PAGE, address);
        };
        Visit { range, page: &mut change, table: &mut |_, _, _| {} }.visit::<F>(self.root, LEVEL_ROOT, 0);
        crate::cpu::publish_mappings();
    }

    /// Unmaps every page in `range`, frees owned frames of `holder`, and frees the tables that lie wholly in it.
    pub fn clear(&mut self, range: Range<usize>, holder: Holder, frames: &mut Frames) {
        let frames = core::cell::RefCell::new(frames);
        let free = |at: *mut u64, address: usize, freed: Option<(u64, Holder)>| {
            // SAFETY: `Visit` gives entries of this tree. A frame is freed after nothing maps it any more: an owned one
            // is used by this mapping alone, and a table by the one entry above it.
            unsafe {
                at.write(0);
                F::forget(address);
                if let Some((frame, holder)) = freed {
                    frames.borrow_mut().free(frame, holder);
                }
            }
        };
        let mut page = |at, leaf: Leaf, address| free(at, address, leaf.owned.then_some((leaf.frame, holder)));
        let mut table = |at, table, address| free(at, address, Some((table, Holder::Kernel)));
        Visit { range, page: &mut page, table: &mut table }.visit::<F>(self.root, LEVEL_ROOT, 0);
    }
}

/// A way through all tables of a range.
struct Visit<'a> {
    range: Range<usize>,
    /// Called with each 4 KiB leaf: its entry, what it says, its address. Large leaves are skipped: they are the
    /// kernel's own and never change.
    page: &'a mut dyn FnMut(*mut u64, Leaf, usize),
    /// Called with each table that lies wholly in the range, after its entries were visited: the entry that points to
    /// it, its frame, its first address.
    table: &'a mut dyn FnMut(*mut u64, u64, usize),
}

impl Visit<'_> {
    /// Visits the part of the range that `table` at `level`, whose first address is `base`, maps.
    fn visit<F: Format>(&mut self, table: u64, level: usize, base: usize) {
        let first = self.range.start.max(base);
        let end = self.range.end.min(base.saturating_add(span(level + 1)));
        let mut at = first & !(span(level) - 1);
        while at < end {
            let here = entry(table, index(at, level));
            // SAFETY: `table` is a table of the tree that is visited.
            match unsafe { here.read() } {
                0 => {}
                value => match F::decode(value, level) {
                    Entry::Table(next) => {
                        self.visit::<F>(next, level - 1, at);
                        if self.range.start <= at && at.saturating_add(span(level)) <= self.range.end {
                            (self.table)(here, next, at);
                        }
                    }
                    Entry::Leaf(leaf) if level == LEVEL_PAGE => (self.page)(here, leaf, at),
                    Entry::Leaf(_) | Entry::Empty => {}
                },
            }
            at += span(level);
        }
    }
}

impl<F: Format> Default for Tables<F> {
    fn default() -> Self {
        Self::new()
    }
}

const fn index(address: usize, level: usize) -> usize {
    address >> (PAGE_SHIFT + INDEX_BITS * level) & (ENTRIES - 1)
}

/// The address of an entry; tables are mapped at their physical addresses.
fn entry(table: u64, index: usize) -> *mut u64 {
    (table as usize as *mut u64).wrapping_add(index)
}

/// Writes a leaf for `address`. A changed mapping may not be seen half old, half new: first it is nothing, then the new
/// one.
fn write<F: Format>(at: *mut u64, leaf: Leaf, level: usize, address: usize) {
    // SAFETY: the caller passes an entry of a table of its tree.
    unsafe {
        if at.read() != 0 {
            at.write(0);
            F::forget(address);
        }
        at.write(F::leaf(leaf, level));
    }
}

fn new_table(frames: &mut Frames) -> Result<u64, OutOfFrames> {
    let frame = frames.allocate(Holder::Kernel).ok_or(OutOfFrames)?;
    // SAFETY: a fresh frame, mapped at its own address.
    unsafe { core::ptr::write_bytes(frame as usize as *mut u8, 0, PAGE_BYTES) };
    Ok(frame)
}

/// A table of leaves one level down that maps the same as `large`.
fn split<F: Format>(large: Leaf, level: usize, frames: &mut Frames) -> Result<u64, OutOfFrames> {
    let table = new_table(frames)?;
    for i in 0..ENTRIES {
        let frame = large.frame + (i * span(level - 1)) as u64;
        // SAFETY: an entry of the fresh table.
        unsafe { entry(table, i).write(F::leaf(Leaf { frame, ..large }, level - 1)) };
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aarch64::Aarch64;
    use crate::frames::tests::frames;
    use crate::x86_64::X86_64;

    const AT: usize = 0x1000_0000_0000;

    fn leaf(frame: u64, prot: Prot, owned: bool) -> Leaf {
        Leaf { frame, prot, kind: Kind::Memory, owned }
    }

    fn tables<F: Format>(frames: &mut Frames) -> Tables<F> {
        let mut tables = Tables::new();
        tables.create_root(frames).unwrap();
        tables
    }

    fn maps_protects_and_clears<F: Format>() {
        let mut frames = frames(16);
        let mut tables = tables::<F>(&mut frames);
        let one = frames.allocate(Holder::Guest).unwrap();
        tables.map(AT, leaf(one, Prot::READ_WRITE, true), &mut frames).unwrap();
        tables.map(AT + 0x20_0000, leaf(0x5000, Prot::READ, false), &mut frames).unwrap();
        assert_eq!(tables.get(AT + 5), Some(leaf(one, Prot::READ_WRITE, true)));
        assert_eq!(tables.get(AT + 0x1000), None);

        tables.protect(AT..AT + 0x40_0000, Prot::NONE, false);
        assert_eq!(tables.get(AT), Some(leaf(one, Prot::NONE, true)), "the frame is kept");
        tables.protect(AT..AT + 0x40_0000, Prot::READ_WRITE, false);
        assert_eq!(tables.get(AT), Some(leaf(one, Prot::READ_WRITE, true)));
        assert_eq!(tables.get(AT + 0x20_0000), Some(leaf(0x5000, Prot::READ, false)), "shared frames stay read-only");

        let free = frames.free_frames();
        tables.clear(AT + 0x1000..AT + 0x20_0000, Holder::Guest, &mut frames);
        assert_eq!((tables.get(AT).is_some(), frames.free_frames()), (true, free), "nothing was in that part");
        tables.clear(AT..AT + 0x40_0000, Holder::Guest, &mut frames);
        assert_eq!((tables.get(AT), tables.get(AT + 0x20_0000)), (None, None));
        assert_eq!(frames.free_frames(), free + 3, "the owned frame and two tables, not the shared frame");
    }

    #[test]
    fn pages_are_mapped_protected_and_cleared() {
        maps_protects_and_clears::<X86_64>();
        maps_protects_and_clears::<Aarch64>();
    }

    fn large_leaves<F: Format>() {
        let mut frames = frames(16);
        let mut tables = tables::<F>(&mut frames);
        let all = leaf(0x3fff_f000, Prot::READ_WRITE, false);
        let free = frames.free_frames();
        tables.map_range(0x3fff_f000..0x8040_1000, all, LEVEL_1G, &mut frames).unwrap();
        for at in [0x3fff_f000, 0x4000_0000, 0x7fff_f000, 0x8020_3000, 0x8040_0000usize] {
            assert_eq!(tables.get(at + 7), Some(leaf(at as u64, Prot::READ_WRITE, false)));
        }
        assert_eq!((tables.get(0x3fff_e000), tables.get(0x8040_1000)), (None, None));
        assert_eq!(free - frames.free_frames(), 5, "one table below the root, and two at each end");
        // A page inside a large leaf can be changed, and its neighbours stay.
        tables.map(0x8020_3000, leaf(0x7000, Prot::READ, false), &mut frames).unwrap();
        assert_eq!(tables.get(0x8020_3000), Some(leaf(0x7000, Prot::READ, false)));
        assert_eq!(tables.get(0x8020_4000), Some(leaf(0x8020_4000, Prot::READ_WRITE, false)));
    }

    #[test]
    fn ranges_use_the_largest_leaves_that_fit() {
        large_leaves::<X86_64>();
        large_leaves::<Aarch64>();
    }

    #[test]
    fn without_frames_nothing_is_half_mapped() {
        let mut frames = frames(3);
        let mut tables = tables::<X86_64>(&mut frames);
        assert_eq!(tables.map(AT, leaf(0x1000, Prot::READ, false), &mut frames), Err(OutOfFrames));
        assert_eq!(tables.get(AT), None);
    }
}
