//! The few things that only instructions of one processor can do, under the same names for each.

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod aarch64;
#[cfg(not(target_os = "none"))]
mod none;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
mod x86_64;

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
pub use aarch64::*;
#[cfg(not(target_os = "none"))]
pub use none::*;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
pub use x86_64::*;

use crate::page::PAGE_BYTES;

/// Stack that is made sure to be there before a lock is taken that the fault handler needs, too. In bytes; the code under such a
/// lock uses far less.
const TOUCHED_STACK_BYTES: usize = 2 * PAGE_BYTES;

/// Touches the stack that the caller is about to use. Stacks are committed page by page; code that holds what the fault handler
/// needs must not be the first to touch one.
#[inline]
pub fn touch_stack() {
    let here = core::hint::black_box(0u8);
    let top = &raw const here;
    for below in (0..=TOUCHED_STACK_BYTES).step_by(PAGE_BYTES) {
        // SAFETY: a read of this thread's own stack, below what is in use: each stack of the kernel has this much left wherever
        // memory is managed, or ends in a guard page, and then the fault is the right end.
        unsafe { top.wrapping_sub(below).read_volatile() };
    }
}

/// Runs `f` with interrupts off, and puts them back as they were.
pub fn without_interrupts<R>(f: impl FnOnce() -> R) -> R {
    let before = interrupts_off();
    let result = f();
    interrupts_restore(before);
    result
}
