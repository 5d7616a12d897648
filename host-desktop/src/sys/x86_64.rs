//! x86-64: numbers of `asm/unistd_64.h`, the `syscall` instruction, and the signal frame of `ucontext_t`.

use core::arch::asm;

pub mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const MMAP: usize = 9;
    pub const MPROTECT: usize = 10;
    pub const MUNMAP: usize = 11;
    #[cfg(target_os = "none")]
    pub const RT_SIGACTION: usize = 13;
    pub const IOCTL: usize = 16;
    pub const SOCKET: usize = 41;
    pub const CONNECT: usize = 42;
    pub const SENDTO: usize = 44;
    pub const RECVFROM: usize = 45;
    pub const SHUTDOWN: usize = 48;
    pub const BIND: usize = 49;
    pub const LISTEN: usize = 50;
    pub const GETSOCKNAME: usize = 51;
    pub const SETSOCKOPT: usize = 54;
    pub const GETSOCKOPT: usize = 55;
    #[cfg(target_os = "none")]
    pub const SIGALTSTACK: usize = 131;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const EPOLL_CTL: usize = 233;
    pub const OPENAT: usize = 257;
    pub const PPOLL: usize = 271;
    pub const EPOLL_PWAIT: usize = 281;
    pub const ACCEPT4: usize = 288;
    pub const EPOLL_CREATE1: usize = 291;
    pub const GETRANDOM: usize = 318;
    pub const EPOLL_PWAIT2: usize = 441;
}

/// # Safety
/// As `syscall(2)` with these arguments.
pub unsafe fn syscall6(number: usize, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inout("rax") number => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2], in("r10") args[3], in("r8") args[4], in("r9") args[5],
            out("rcx") _, out("r11") _,
            options(nostack),
        );
    }
    result
}

/// What a signal handler is given as its third argument.
#[repr(C)]
pub struct SignalFrame {
    /// `uc_flags`, `uc_link` and `uc_stack`.
    head: [usize; 5],
    /// `uc_mcontext.gregs`.
    registers: [usize; 23],
}

impl SignalFrame {
    /// Address of the instruction.
    pub fn instruction(&self) -> usize {
        self.registers[16]
    }

    /// The frame pointer, rbp.
    pub fn frame_pointer(&self) -> usize {
        self.registers[10]
    }
}

#[cfg(target_os = "none")]
mod image {
    use core::arch::global_asm;

    /// SA_SIGINFO, SA_RESTORER, SA_ONSTACK, SA_NODEFER: Wasmtime leaves the handler by a jump, so the signal must not stay blocked.
    pub const SIGNAL_FLAGS: usize = 0x4 | 0x0400_0000 | 0x0800_0000 | 0x4000_0000;

    global_asm!(
        ".section .text._start, \"ax\"",
        ".global _start",
        "_start:",
        "xor ebp, ebp",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {start}",
        "ud2",
        ".section .text.mwasm_sigreturn, \"ax\"",
        ".global mwasm_sigreturn",
        "mwasm_sigreturn:",
        "mov eax, 15",
        "syscall",
        start = sym crate::none::start::start,
    );

    unsafe extern "C" {
        fn mwasm_sigreturn();
    }

    /// Address of the code that returns from a signal handler.
    pub fn signal_restorer() -> usize {
        mwasm_sigreturn as *const () as usize
    }
}

#[cfg(target_os = "none")]
pub use image::{SIGNAL_FLAGS, signal_restorer};
