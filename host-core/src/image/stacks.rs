//! Stacks that guest code and host functions run on, each above a guard page.
//!
//! A server that makes an instance for each request needs a stack for each, too. Mapping one costs more than a short request, so a few
//! are kept when they are given back.

use super::code::{PAGE_BYTES, PROT_READ, PROT_WRITE, wasmtime_mmap_new, wasmtime_mprotect, wasmtime_munmap};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use spin::Mutex;
use wasmtime::{Error, Result, StackCreator, StackMemory};

/// How many stacks are kept that nothing runs on.
const MAX_KEPT: usize = 16;

/// Makes stacks of pages that are committed when they are touched.
#[derive(Default)]
pub(super) struct Guarded {
    kept: Arc<Mutex<Vec<Stack>>>,
}

/// A stack that is in use.
struct Lent {
    /// Taken out when it is given back.
    stack: Option<Stack>,
    kept: Arc<Mutex<Vec<Stack>>>,
}

/// A mapping.
struct Stack {
    base: *mut u8,
    bytes: usize,
}

// SAFETY: a stack owns its mapping, and the pointer is only handed to Wasmtime, which runs one thread.
unsafe impl Send for Stack {}
// SAFETY: as for `Send`; a shared reference only tells addresses.
unsafe impl Sync for Stack {}

impl Stack {
    fn new(bytes: usize) -> Result<Self> {
        let full = || Error::msg("no memory for a stack");
        let mut base = core::ptr::null_mut();
        // SAFETY: a fresh mapping; the host fills in the address.
        if unsafe { wasmtime_mmap_new(bytes, PROT_READ | PROT_WRITE, &mut base) } != 0 {
            return Err(full());
        }
        let stack = Self { base, bytes };
        // SAFETY: the first page of the mapping that was just made.
        if unsafe { wasmtime_mprotect(base, PAGE_BYTES, 0) } != 0 {
            return Err(full());
        }
        Ok(stack)
    }
}

// SAFETY: mappings are page-aligned and of one stack at a time; the lowest page is protected; new ones are zero.
unsafe impl StackCreator for Guarded {
    fn new_stack(&self, size: usize, zeroed: bool) -> Result<Box<dyn StackMemory>> {
        let bytes = size
            .checked_next_multiple_of(PAGE_BYTES)
            .and_then(|bytes| bytes.checked_add(PAGE_BYTES))
            .ok_or_else(|| Error::msg("no memory for a stack"))?;
        let kept = if zeroed { None } else { self.kept.lock().pop_if(|stack| stack.bytes == bytes) };
        let stack = match kept {
            Some(stack) => stack,
            None => Stack::new(bytes)?,
        };
        Ok(Box::new(Lent { stack: Some(stack), kept: self.kept.clone() }))
    }
}

// SAFETY: the range is the mapping without its guard page, and lives as long as `self`; a stack is taken out only when `self` ends.
unsafe impl StackMemory for Lent {
    fn top(&self) -> *mut u8 {
        self.guard_range().start.wrapping_add(self.stack.as_ref().map_or(0, |stack| stack.bytes))
    }

    fn range(&self) -> Range<usize> {
        self.guard_range().end as usize..self.top() as usize
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let base = self.stack.as_ref().map_or(core::ptr::null_mut(), |stack| stack.base);
        base..base.wrapping_add(PAGE_BYTES)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.kept.lock();
        if kept.len() < MAX_KEPT {
            kept.extend(self.stack.take());
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping of this stack, on which nothing runs any more.
        unsafe { wasmtime_munmap(self.base, self.bytes) };
    }
}
