//! The heap of an image: small blocks from free lists, everything else from talc.
//!
//! A start is thousands of small allocations (Wasmtime reads what it was told about the app), and each ends up as a few instructions
//! here: the list for its size has a block, or the current chunk has room for one more. A block goes back to the list of its size and
//! stays there, so what lists hold is bounded by what the app once held at the same time. Chunks and large blocks are talc's.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Source;

/// Small blocks are multiples of this, in bytes; it is also the strongest alignment that they have.
const GRAIN_BYTES: usize = 16;
/// The largest small block, in bytes.
const SMALL_BYTES: usize = 512;
const CLASSES: usize = SMALL_BYTES / GRAIN_BYTES;
/// What small blocks are cut from, in bytes.
const CHUNK_BYTES: usize = 8 << 10;

/// A free small block.
struct Free {
    next: *mut Free,
}

/// A heap over memory from `S`.
pub struct Heap<S: Source>(UnsafeCell<Inner<S>>);

struct Inner<S: Source> {
    /// Free blocks, by size: `free[n]` has those of `(n + 1) * GRAIN_BYTES`.
    free: [*mut Free; CLASSES],
    /// What is left of the current chunk.
    chunk: *mut u8,
    chunk_bytes: usize,
    large: Talc<S, DefaultBinning>,
}

// SAFETY: an image has one thread, and no handler of a signal, an exception or an interrupt allocates.
unsafe impl<S: Source> Sync for Heap<S> {}

/// The list of a layout, if it is that of a small block.
const fn class(layout: Layout) -> Option<usize> {
    if layout.size() > SMALL_BYTES || layout.align() > GRAIN_BYTES || layout.size() == 0 {
        return None;
    }
    Some((layout.size() - 1) / GRAIN_BYTES)
}

impl<S: Source> Heap<S> {
    /// An empty heap. It is meant for one global allocator: whoever makes another vouches for one thread as well.
    pub const fn new(source: S) -> Self {
        let free = [ptr::null_mut(); CLASSES];
        Self(UnsafeCell::new(Inner { free, chunk: ptr::null_mut(), chunk_bytes: 0, large: Talc::new(source) }))
    }
}

impl<S: Source> Inner<S> {
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's layout is not empty.
            return unsafe { self.large.allocate(layout) }.map_or(ptr::null_mut(), NonNull::as_ptr);
        };
        let block = self.free[class];
        if !block.is_null() {
            // SAFETY: blocks in a list are free and hold the list's next.
            self.free[class] = unsafe { (*block).next };
            return block.cast();
        }
        let bytes = (class + 1) * GRAIN_BYTES;
        if self.chunk_bytes < bytes && !self.refill() {
            return ptr::null_mut();
        }
        let block = self.chunk;
        // SAFETY: the chunk has at least as many bytes left.
        self.chunk = unsafe { block.add(bytes) };
        self.chunk_bytes -= bytes;
        block
    }

    /// Takes a new chunk; what is left of the old one (less than a small block) stays unused.
    #[cold]
    fn refill(&mut self) -> bool {
        // SAFETY: a power of two and a size that is a multiple of it, neither zero.
        let layout = unsafe { Layout::from_size_align_unchecked(CHUNK_BYTES, GRAIN_BYTES) };
        // SAFETY: the layout is not empty.
        let Some(chunk) = (unsafe { self.large.allocate(layout) }) else { return false };
        (self.chunk, self.chunk_bytes) = (chunk.as_ptr(), CHUNK_BYTES);
        true
    }

    unsafe fn deallocate(&mut self, memory: *mut u8, layout: Layout) {
        match class(layout) {
            Some(class) => {
                let block = memory.cast::<Free>();
                // SAFETY: the block is the caller's to give back, and at least GRAIN_BYTES long and aligned.
                unsafe { (*block).next = self.free[class] };
                self.free[class] = block;
            }
            // SAFETY: the caller passes what it got.
            None => unsafe { self.large.deallocate(memory, layout) },
        }
    }
}

// SAFETY: blocks are not handed out twice: lists hold free blocks only, chunks are cut once, and talc keeps the contract. An empty
// layout never comes here.
unsafe impl<S: Source> GlobalAlloc for Heap<S> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see `Sync`; the caller's layout is not empty.
        unsafe { (*self.0.get()).allocate(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: see `Sync`; the caller passes what it got.
        unsafe { (*self.0.get()).deallocate(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        // SAFETY: the caller's size makes a valid layout with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(new_bytes, layout.align()) };
        if class(layout).is_some() && class(layout) == class(new) {
            return memory;
        }
        // SAFETY: the caller passes what it got; both blocks have the bytes that are copied, and the new one is new.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(memory, moved, layout.size().min(new_bytes));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use talc::source::Manual;

    /// A heap over `bytes` of leaked memory.
    fn heap(bytes: usize) -> Heap<Manual> {
        let memory = Vec::leak(alloc::vec![0u8; bytes]);
        let heap = Heap::new(Manual);
        // SAFETY: the memory is the heap's alone.
        unsafe { (*heap.0.get()).large.claim(memory.as_mut_ptr(), bytes) }.unwrap();
        heap
    }

    /// Blocks of all sizes, freed and grown in an order that looks like none: each keeps its bytes and its alignment.
    #[test]
    fn blocks_keep_their_bytes() {
        let heap = heap(8 << 20);
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut seed = 1u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let check = |(memory, layout, mark): (*mut u8, Layout, u8)| {
            assert_eq!(memory as usize % layout.align(), 0);
            // SAFETY: the block is held.
            let bytes = unsafe { core::slice::from_raw_parts(memory, layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == mark));
        };
        for round in 0..20_000u64 {
            let mark = round as u8;
            if next(3) > 0 && held.len() < 1000 {
                let most = if next(8) == 0 { 20_000 } else { 700 };
                let bytes = 1 + next(most) as usize;
                let layout = Layout::from_size_align(bytes, 1 << next(7)).unwrap();
                // SAFETY: the layout is not empty, and the block is new.
                let memory = unsafe { heap.alloc(layout) };
                assert!(!memory.is_null());
                // SAFETY: as above.
                unsafe { memory.write_bytes(mark, bytes) };
                held.push((memory, layout, mark));
            } else if !held.is_empty() {
                let at = next(held.len() as u64) as usize;
                let (memory, layout, mark) = held.swap_remove(at);
                check((memory, layout, mark));
                let bytes = 1 + next(2000) as usize;
                // SAFETY: the block is held, and is not used by its old address again.
                unsafe {
                    if next(2) == 0 {
                        heap.dealloc(memory, layout);
                    } else {
                        let moved = heap.realloc(memory, layout, bytes);
                        let kept = layout.size().min(bytes);
                        check((moved, Layout::from_size_align(kept, layout.align()).unwrap(), mark));
                        moved.write_bytes(mark, bytes);
                        held.push((moved, Layout::from_size_align(bytes, layout.align()).unwrap(), mark));
                    }
                }
            }
        }
        held.into_iter().for_each(check);
    }

    #[test]
    fn a_freed_small_block_is_the_next_one_of_its_size() {
        let heap = heap(64 << 10);
        let layout = Layout::from_size_align(40, 8).unwrap();
        let same = Layout::from_size_align(48, 16).unwrap();
        // SAFETY: layouts are not empty, and blocks are given back once.
        unsafe {
            let first = heap.alloc(layout);
            let second = heap.alloc(layout);
            assert_eq!(second as usize - first as usize, 48, "blocks lie side by side");
            heap.dealloc(first, layout);
            assert_eq!(heap.alloc(same), first);
        }
    }

    #[test]
    fn memory_that_is_used_up_is_refused() {
        let heap = heap(64 << 10);
        let small = Layout::from_size_align(512, 16).unwrap();
        // SAFETY: the layout is not empty.
        let blocks = (0..1000).take_while(|_| unsafe { !heap.alloc(small).is_null() }).count();
        assert!((64..128).contains(&blocks), "{blocks}");
    }
}
