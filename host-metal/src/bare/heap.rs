//! The kernel's heap: talc, on addresses of its own that frames are mapped to in whole chunks as it grows.

use super::memory;
use crate::page::PAGE_BYTES;
use core::alloc::Layout;
use core::ptr::NonNull;
use mwasm_host_core::heap::Heap;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// The heap grows by this much at a time, in bytes, if nothing larger is asked for.
const CHUNK_BYTES: usize = 64 << 10;
/// What talc needs around an allocation and at the ends of its heap, in bytes: more than it says, far less than a page.
const OVERHEAD_BYTES: usize = 128;

/// Where the heap grows.
#[derive(Debug)]
struct Grow {
    /// The next address that has no frame yet.
    next: usize,
    /// Talc's own idea of the end.
    end: Option<NonNull<u8>>,
}

// SAFETY: no allocation happens in `acquire`: mapping takes frames only.
unsafe impl Source for Grow {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let first = if talc.source.end.is_none() { talc::min_first_heap_layout::<B>().size() } else { 0 };
        let needed =
            [layout.size(), layout.align(), first, OVERHEAD_BYTES].into_iter().try_fold(0usize, usize::checked_add);
        let needed = needed.and_then(|bytes| bytes.checked_next_multiple_of(PAGE_BYTES)).ok_or(())?;
        let start = talc.source.next;
        let chunk = [needed.max(CHUNK_BYTES), needed]
            .into_iter()
            .find(|bytes| start.checked_add(*bytes).is_some_and(|end| memory::grow_heap(start..end)));
        let bytes = chunk.ok_or(())?;
        talc.source.next = start + bytes;
        let new_end = (start + bytes) as *mut u8;
        talc.source.end = match talc.source.end {
            // SAFETY: the pages were just mapped, are writable, and belong to the heap alone.
            None => unsafe { talc.claim(start as *mut u8, bytes) },
            // SAFETY: as above, and they lie directly behind those that the heap has.
            Some(end) => Some(unsafe { talc.extend(end, new_end) }),
        };
        talc.source.end.map(|_| ()).ok_or(())
    }
}

#[global_allocator]
static HEAP: Heap<Grow> = Heap::new(Grow { next: memory::HEAP.start, end: None });
