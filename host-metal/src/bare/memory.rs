//! The machine's memory: frames, tables and guest addresses of the one kernel that runs.

use crate::cpu::Native;
use crate::exclusive::Exclusive;
use crate::frames::Holder;
use crate::image::Image;
use crate::memory_map::MemoryMap;
use crate::page::{Access, PAGE_BYTES, Prot, page_down, page_up};
use crate::space::{Fault, Paging, Space, SpaceError};
use crate::tables::{Kind, LEVEL_PAGE, Leaf, OutOfFrames};
use core::ops::Range;

/// Addresses of guest memories and stacks. Below them is the identity map of physical memory.
pub const GUESTS: Range<usize> = 0x1000_0000_0000..0x4000_0000_0000;
/// Addresses of the heap.
pub const HEAP: Range<usize> = 0x5000_0000_0000..0x6000_0000_0000;

static SPACE: Space<Native> = Space::new(GUESTS);
static IMAGE: Exclusive<Image> = Exclusive::new(Image::new());

/// Builds the kernel's tables: the free memory of `map` at its own addresses, readable and writable; the image where it
/// is linked, each segment with its own protection. Returns the physical address of the root, for the processor.
///
/// # Safety
/// `map` is free RAM, reachable at its physical addresses now and (in leaves of up to level `largest`) afterwards; the image was
/// loaded at `physical`.
pub unsafe fn start(map: MemoryMap, image: &Image, physical: u64, largest: usize) -> Result<u64, OutOfFrames> {
    IMAGE.try_with(|slot| *slot = *image);
    let built = SPACE.paging.try_with(|paging| {
        // SAFETY: the caller's promise.
        unsafe { paging.frames.take(map) };
        paging.tables.create_root(&mut paging.frames)?;
        map_memory(paging, largest)?;
        for segment in image.segments() {
            let frame = physical + (segment.start - image.start()) as u64;
            let leaf = Leaf { frame, prot: segment.prot, kind: Kind::Memory, owned: false };
            paging.tables.map_range(segment.start..segment.end, leaf, LEVEL_PAGE, &mut paging.frames)?;
        }
        Ok(paging.tables.root())
    });
    built.unwrap_or(Err(OutOfFrames))
}

fn map_memory(paging: &mut Paging<Native>, largest: usize) -> Result<(), OutOfFrames> {
    for i in 0..paging.frames.regions().len() {
        let Some(region) = paging.frames.regions().get(i).copied() else { break };
        let leaf = Leaf { frame: region.start, prot: Prot::READ_WRITE, kind: Kind::Memory, owned: false };
        let range = region.start as usize..region.end as usize;
        paging.tables.map_range(range, leaf, largest, &mut paging.frames)?;
    }
    Ok(())
}

/// Makes the page at `address`, which belongs to the image, fault from now on.
pub fn make_guard(address: usize) {
    let page = page_down(address);
    SPACE.paging.try_with(|paging| paging.tables.clear(page..page + PAGE_BYTES, Holder::Kernel, &mut paging.frames));
}

/// Maps physical memory or device registers at their own addresses, unless they are mapped already; returns `physical`
/// as a pointer. The pages around it come along.
pub fn map_physical(physical: u64, bytes: usize, prot: Prot, kind: Kind) -> Result<*mut u8, OutOfFrames> {
    let address =
        usize::try_from(physical).ok().filter(|at| at.saturating_add(bytes) <= GUESTS.start).ok_or(OutOfFrames)?;
    let mapped = SPACE.paging.try_with(|paging| {
        for page in (page_down(address)..page_up(address + bytes)).step_by(PAGE_BYTES) {
            if paging.tables.get(page).is_none() {
                let leaf = Leaf { frame: page as u64, prot, kind, owned: false };
                paging.tables.map(page, leaf, &mut paging.frames)?;
            }
        }
        Ok(())
    });
    mapped.unwrap_or(Err(OutOfFrames)).map(|()| address as *mut u8)
}

/// Maps device registers whose address the device itself has told, as [`map_physical`] does; `None` if there is memory.
pub fn map_device(physical: u64, bytes: usize) -> Option<*mut u8> {
    let start = map_physical(physical, bytes, Prot::READ_WRITE, Kind::Device).ok()?;
    let is_device = |page| {
        let leaf = SPACE.paging.try_with(|paging| paging.tables.get(page)).flatten();
        leaf.is_some_and(|leaf| leaf.kind == Kind::Device)
    };
    let mut pages = (page_down(start as usize)..page_up(start as usize + bytes)).step_by(PAGE_BYTES);
    pages.all(is_device).then_some(start)
}

/// Where the processor finds the byte at `address`, if it is mapped.
pub fn physical_of(address: usize) -> Option<u64> {
    let leaf = SPACE.paging.try_with(|paging| paging.tables.get(address)).flatten()?;
    Some(leaf.frame + (address % PAGE_BYTES) as u64)
}

/// Pages in a row, zeroed, for a device or a hypervisor; they are not given back. Their addresses are physical, too.
pub fn allocate_pages(count: usize) -> Option<*mut u8> {
    let run = SPACE.paging.try_with(|paging| paging.frames.allocate_run(count as u64)).flatten()?;
    let start = run as usize as *mut u8;
    // SAFETY: fresh frames, mapped at their own addresses.
    unsafe { core::ptr::write_bytes(start, 0, count * PAGE_BYTES) };
    Some(start)
}

/// Maps fresh frames to `range` of the heap's addresses, unless they are promised to guests.
pub(super) fn grow_heap(range: Range<usize>) -> bool {
    let grown = SPACE.paging.try_with(|paging| {
        if range.end > HEAP.end || !paging.frames.heap_may_take((range.len() / PAGE_BYTES) as u64) {
            return false;
        }
        range.step_by(PAGE_BYTES).all(|page| {
            paging.frames.allocate(Holder::Kernel).is_some_and(|frame| {
                let leaf = Leaf { frame, prot: Prot::READ_WRITE, kind: Kind::Memory, owned: true };
                paging.tables.map(page, leaf, &mut paging.frames).is_ok()
            })
        })
    });
    grown == Some(true)
}

/// The space of guest memory.
pub(super) fn space() -> &'static Space<Native> {
    &SPACE
}

/// The image's own addresses.
pub(super) fn image() -> Image {
    IMAGE.try_with(|image| *image).unwrap_or_default()
}

/// Changes the protection of constants of the image: to code, and back.
pub(super) fn protect_image(range: Range<usize>, prot: Prot) -> Result<(), SpaceError> {
    if prot.writable() || !image().is_constant(range.start, range.end) {
        return Err(SpaceError::Addresses);
    }
    let done = SPACE.paging.try_with(|paging| paging.tables.protect(range, prot, true));
    done.ok_or(SpaceError::Reentered)
}

/// Handles a page fault.
pub fn fault(address: usize, access: Access) -> Fault {
    SPACE.fault(address, access)
}

/// All memory of the machine that the kernel manages, and what of it is free, in bytes.
pub fn account() -> (u64, u64) {
    let account =
        |paging: &mut Paging<Native>| (paging.frames.total_bytes(), paging.frames.free_frames() * PAGE_BYTES as u64);
    SPACE.paging.try_with(account).unwrap_or((0, 0))
}

/// The memory port.
pub(super) struct Guests;

impl mwasm_ports::Memory for Guests {
    fn reserve(&self, bytes: u64) -> bool {
        SPACE.paging.try_with(|paging| paging.frames.promise(bytes)) == Some(true)
    }

    fn release(&self, bytes: u64) {
        SPACE.paging.try_with(|paging| paging.frames.release(bytes));
    }

    fn total_bytes(&self) -> u64 {
        SPACE.paging.try_with(|paging| paging.frames.promisable_bytes()).unwrap_or(0)
    }
}
