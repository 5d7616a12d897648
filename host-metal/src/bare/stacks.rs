//! Stacks of the kernel, each above a guard page.

use super::memory;
use crate::page::{PAGE_BYTES, Prot};
use core::cell::UnsafeCell;

/// A new stack of `bytes` (a multiple of the page size), committed page by page; returns its top.
pub fn allocate(bytes: usize) -> Option<usize> {
    let base = memory::space().reserve(bytes + PAGE_BYTES, Prot::READ_WRITE).ok()?;
    memory::space().protect(base..base + PAGE_BYTES, Prot::NONE).ok()?;
    Some(base + PAGE_BYTES + bytes)
}

/// Bytes of a stack for exceptions and interrupts: handlers call a few small functions, and a last message at most.
pub const HANDLER_STACK_BYTES: usize = 16 << 10;

/// A stack that is there from the start, for handlers: the page fault handler's own stack cannot wait for a page fault.
#[repr(C, align(4096))]
pub struct HandlerStack {
    guard: UnsafeCell<[u8; PAGE_BYTES]>,
    stack: UnsafeCell<[u8; HANDLER_STACK_BYTES]>,
}

// SAFETY: only the processor uses it, through the stack pointer.
unsafe impl Sync for HandlerStack {}

impl HandlerStack {
    /// In `.bss`.
    pub const fn new() -> Self {
        Self { guard: UnsafeCell::new([0; PAGE_BYTES]), stack: UnsafeCell::new([0; HANDLER_STACK_BYTES]) }
    }

    /// Where it starts growing down from.
    pub fn top(&'static self) -> usize {
        self.stack.get() as usize + HANDLER_STACK_BYTES
    }

    /// Unmaps the page below it; memory has been started.
    pub fn set_guard(&'static self) {
        memory::make_guard(self.guard.get() as usize);
    }
}

impl Default for HandlerStack {
    fn default() -> Self {
        Self::new()
    }
}
