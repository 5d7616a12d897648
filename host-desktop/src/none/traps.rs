//! Traps: the processor faults, the kernel sends a signal, Wasmtime decides.
//!
//! If the fault is guest code's, Wasmtime's handler does not return: it jumps to where the guest was called. A fault that it does
//! not know is the host's own, and ends the process with a message.

use super::die;
use crate::sys::{self, SignalFrame};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Stack of the handlers, in bytes.
const STACK_BYTES: usize = 64 << 10;

#[repr(align(4096))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the kernel and the handlers that it starts use it.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

type Handler = extern "C" fn(instruction: usize, frame: usize, has_address: bool, address: usize);

static WASMTIME: AtomicUsize = AtomicUsize::new(0);

#[unsafe(no_mangle)]
extern "C" fn wasmtime_init_traps(handler: Handler) -> i32 {
    WASMTIME.store(handler as usize, Relaxed);
    0
}

/// Installs the handlers. A pipe that nobody reads is an error of `write`, not a death.
pub(super) fn install() {
    // SAFETY: the stack is the handlers' alone; the handler allocates nothing and touches no lock.
    let installed = unsafe {
        sys::sigaltstack(STACK.0.get() as usize, STACK_BYTES)
            .and_then(|()| sys::sigaction(sys::SIGPIPE, sys::IGNORE))
            .and_then(|()| {
                [sys::SIGSEGV, sys::SIGBUS, sys::SIGILL, sys::SIGFPE, sys::SIGTRAP]
                    .into_iter()
                    .try_for_each(|signal| sys::sigaction(signal, on_signal as *const () as usize))
            })
    };
    if let Err(error) = installed {
        die(format_args!("Linux refuses signal handlers: {error:?}"));
    }
}

/// Offset of `si_addr` in `siginfo_t`, in bytes.
const SI_ADDR: usize = 16;

unsafe extern "C" fn on_signal(signal: i32, info: *const u8, frame: *const SignalFrame) {
    // SAFETY: the kernel passes both for handlers with SA_SIGINFO.
    let (instruction, frame_pointer, address) =
        unsafe { ((*frame).instruction(), (*frame).frame_pointer(), info.add(SI_ADDR).cast::<usize>().read()) };
    let has_address = matches!(signal as usize, sys::SIGSEGV | sys::SIGBUS);
    match WASMTIME.load(Relaxed) {
        0 => {}
        handler => {
            // SAFETY: only `wasmtime_init_traps` stores there, and it stores a function of this type.
            let handler: Handler = unsafe { core::mem::transmute(handler) };
            handler(instruction, frame_pointer, has_address, if has_address { address } else { 0 });
        }
    }
    die(format_args!("signal {signal} at instruction {instruction:#x}, address {address:#x}"))
}
