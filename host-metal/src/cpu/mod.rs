//! The few things that only instructions of one processor can do, under the same names for each.

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod aarch64;
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod copy;
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

/// Runs `f` with interrupts off, and puts them back as they were.
pub fn without_interrupts<R>(f: impl FnOnce() -> R) -> R {
    let before = interrupts_off();
    let result = f();
    interrupts_restore(before);
    result
}
