//! aarch64: numbers of `asm-generic/unistd.h`, the `svc` instruction, and the signal frame of `ucontext_t`.

use core::arch::asm;

pub mod number {
    pub const EPOLL_CREATE1: usize = 20;
    pub const EPOLL_CTL: usize = 21;
    pub const EPOLL_PWAIT: usize = 22;
    pub const IOCTL: usize = 29;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PPOLL: usize = 73;
    pub const EXIT_GROUP: usize = 94;
    pub const CLOCK_GETTIME: usize = 113;
    #[cfg(target_os = "none")]
    pub const SIGALTSTACK: usize = 132;
    #[cfg(target_os = "none")]
    pub const RT_SIGACTION: usize = 134;
    pub const SOCKET: usize = 198;
    pub const BIND: usize = 200;
    pub const LISTEN: usize = 201;
    pub const CONNECT: usize = 203;
    pub const GETSOCKNAME: usize = 204;
    pub const SENDTO: usize = 206;
    pub const RECVFROM: usize = 207;
    pub const SETSOCKOPT: usize = 208;
    pub const GETSOCKOPT: usize = 209;
    pub const SHUTDOWN: usize = 210;
    pub const MUNMAP: usize = 215;
    pub const MMAP: usize = 222;
    pub const MPROTECT: usize = 226;
    pub const ACCEPT4: usize = 242;
    pub const GETRANDOM: usize = 278;
    pub const EPOLL_PWAIT2: usize = 441;
}

/// # Safety
/// As `syscall(2)` with these arguments.
pub unsafe fn syscall6(number: usize, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps all registers but x0.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5],
            options(nostack),
        );
    }
    result
}

/// What a signal handler is given as its third argument.
#[repr(C)]
pub struct SignalFrame {
    /// `uc_flags`, `uc_link`, `uc_stack`, `uc_sigmask` (1024 bits) and padding to 16 bytes.
    head: [usize; 22],
    /// `fault_address`.
    fault: usize,
    /// x0 to x30.
    registers: [usize; 31],
    stack_pointer: usize,
    program_counter: usize,
}

impl SignalFrame {
    /// Address of the instruction.
    pub fn instruction(&self) -> usize {
        self.program_counter
    }

    /// The frame pointer, x29.
    pub fn frame_pointer(&self) -> usize {
        self.registers[29]
    }
}

#[cfg(target_os = "none")]
mod image {
    use core::arch::global_asm;

    /// SA_SIGINFO, SA_ONSTACK, SA_NODEFER: Wasmtime leaves the handler by a jump, so the signal must not stay blocked. The kernel
    /// has its own code to return from a handler.
    pub const SIGNAL_FLAGS: usize = 0x4 | 0x0800_0000 | 0x4000_0000;

    global_asm!(
        ".section .text._start, \"ax\"",
        ".global _start",
        "_start:",
        "mov x29, #0",
        "mov x30, #0",
        "mov x0, sp",
        "bl {start}",
        "brk #1",
        start = sym crate::none::start::start,
    );

    /// Not used on this architecture, whose kernel ignores the field.
    pub fn signal_restorer() -> usize {
        0
    }
}

#[cfg(target_os = "none")]
pub use image::{SIGNAL_FLAGS, signal_restorer};
