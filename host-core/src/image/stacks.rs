//! Stacks that guest code and host functions run on, each above a guard page.

use super::code::{PAGE_BYTES, PROT_READ, PROT_WRITE, wasmtime_mmap_new, wasmtime_mprotect, wasmtime_munmap};
use alloc::boxed::Box;
use core::ops::Range;
use wasmtime::{Error, Result, StackCreator, StackMemory};

/// Makes stacks of pages that are committed when they are touched.
pub(super) struct Guarded;

struct Stack {
    base: *mut u8,
    bytes: usize,
}

// SAFETY: a stack owns its mapping, and the pointer is only handed to Wasmtime, which runs one thread.
unsafe impl Send for Stack {}
// SAFETY: as for `Send`; a shared reference only tells addresses.
unsafe impl Sync for Stack {}

// SAFETY: new mappings are page-aligned, zero and not shared; the lowest page is protected.
unsafe impl StackCreator for Guarded {
    fn new_stack(&self, size: usize, _zeroed: bool) -> Result<Box<dyn StackMemory>> {
        let full = || Error::msg("no memory for a stack");
        let bytes = size
            .checked_next_multiple_of(PAGE_BYTES)
            .and_then(|bytes| bytes.checked_add(PAGE_BYTES))
            .ok_or_else(full)?;
        let mut base = core::ptr::null_mut();
        // SAFETY: a fresh mapping; the host fills in the address.
        if unsafe { wasmtime_mmap_new(bytes, PROT_READ | PROT_WRITE, &mut base) } != 0 {
            return Err(full());
        }
        let stack = Stack { base, bytes };
        // SAFETY: the first page of the mapping that was just made.
        if unsafe { wasmtime_mprotect(base, PAGE_BYTES, 0) } != 0 {
            return Err(full());
        }
        Ok(Box::new(stack))
    }
}

// SAFETY: the range is the mapping without its guard page, and lives as long as `self`.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.base.wrapping_add(self.bytes)
    }

    fn range(&self) -> Range<usize> {
        self.base as usize + PAGE_BYTES..self.base as usize + self.bytes
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.base..self.base.wrapping_add(PAGE_BYTES)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping of this stack, on which nothing runs any more.
        unsafe { wasmtime_munmap(self.base, self.bytes) };
    }
}
