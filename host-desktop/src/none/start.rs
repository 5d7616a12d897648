//! The way from the kernel's hands to the app.

use super::{die, traps};
use crate::ports::Process;
use alloc::vec::Vec;
use core::ffi::CStr;
use mwasm_host_core::image;
use mwasm_ports::Power;

/// Called by `_start` with the initial stack: the number of arguments, then that many pointers to C strings (System V ABI,
/// "Process Initialization").
pub(crate) extern "C" fn start(stack: *const usize) -> ! {
    traps::install();
    // SAFETY: the kernel put the arguments there.
    let args = unsafe { arguments(stack) };
    // A desktop image prefers the arguments of its command line to those compiled in.
    let outcome = image::run_with_args(Process::ports(), if args.is_empty() { None } else { Some(args) });
    Process.off(outcome);
    die(format_args!("the process did not end"))
}

/// The arguments after the program's name.
///
/// # Safety
/// `stack` must be the initial stack of a process.
unsafe fn arguments(stack: *const usize) -> Vec<&'static str> {
    // SAFETY: the first word is the number of arguments.
    let count = unsafe { *stack };
    (1..count)
        .map(|index| {
            // SAFETY: as many pointers to C strings follow, and they stay for the whole run.
            let text = unsafe { CStr::from_ptr(*stack.add(1 + index) as *const core::ffi::c_char) };
            text.to_str().unwrap_or_else(|_| die(format_args!("argument {index} is not UTF-8: {text:?}")))
        })
        .collect()
}
