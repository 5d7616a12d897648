//! The heap: talc over blocks of anonymous memory.

use crate::sys;
use core::alloc::Layout;
use mwasm_host_core::heap::Heap;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// The heap grows by at least this much, in bytes. Untouched pages cost nothing.
const BLOCK_BYTES: usize = 4 << 20;
/// What talc needs around an allocation and at the ends of a block, in bytes: more than it says, far less than a page.
const OVERHEAD_BYTES: usize = 256;

#[derive(Debug)]
struct Mmap;

// SAFETY: no allocation happens in `acquire`.
unsafe impl Source for Mmap {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let parts = [layout.size(), layout.align(), talc::min_first_heap_layout::<B>().size(), OVERHEAD_BYTES];
        let bytes = parts.into_iter().try_fold(0usize, usize::checked_add);
        let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(BLOCK_BYTES)).ok_or(())?;
        // SAFETY: a fresh mapping.
        let base =
            unsafe { sys::mmap(0, bytes, sys::PROT_READ_WRITE, sys::MAP_PRIVATE_ANONYMOUS_NORESERVE) }.map_err(drop)?;
        // SAFETY: the mapping is new, writable and the heap's alone.
        unsafe { talc.claim(base as *mut u8, bytes) }.map(drop).ok_or(())
    }
}

#[global_allocator]
static HEAP: Heap<Mmap> = Heap::new(Mmap);
