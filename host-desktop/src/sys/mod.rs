//! Linux system calls, each with the types of its manual page (section 2), an error as its positive `errno`.
//!
//! The numbers and the calling sequence differ by architecture and live in a module each; everything else is the same. Calls of sockets
//! are in [`socket`](self::socket), those of `epoll(7)` in [`epoll`](self::epoll), those of files and devices in [`file`](self::file).

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod arch;

mod address;
mod epoll;
mod errno;
mod file;
mod socket;

pub use address::RawAddress;
pub use arch::SignalFrame;
#[cfg(target_os = "none")]
pub use arch::{SIGNAL_FLAGS, signal_restorer};
pub use epoll::*;
pub use errno::*;
pub use file::*;
pub use socket::*;

use arch::{number, syscall6};
use core::mem::MaybeUninit;

/// The largest error number that the kernel returns.
const MAX_ERRNO: isize = 4095;

/// # Safety
/// The arguments must be those of the call `number`; pointers among them must be valid for what the call does with them.
unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: the caller passes the arguments of this call.
    let result = unsafe { syscall6(number, args) };
    if (-MAX_ERRNO..0).contains(&result) { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

/// `write(2)`.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `bytes`.
    unsafe { call(number::WRITE, [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) }
}

/// `read(2)`.
pub fn read(fd: i32, into: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes to `into`.
    unsafe { call(number::READ, [fd as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) }
}

/// `struct timespec`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Timespec {
    /// Whole seconds.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanoseconds: i64,
}

/// A clock of `clock_gettime(2)`.
#[derive(Clone, Copy, Debug)]
pub enum ClockId {
    /// `CLOCK_REALTIME`.
    Realtime = 0,
    /// `CLOCK_MONOTONIC`.
    Monotonic = 1,
}

/// `clock_gettime(2)`; these two clocks always work.
pub fn clock_gettime(clock: ClockId) -> Timespec {
    let mut time = Timespec::default();
    // SAFETY: the kernel writes a timespec.
    let _ = unsafe { call(number::CLOCK_GETTIME, [clock as usize, &raw mut time as usize, 0, 0, 0, 0]) };
    time
}

/// `struct pollfd`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PollFd {
    /// What is waited on; negative is ignored.
    pub fd: i32,
    /// [`POLLIN`], [`POLLOUT`].
    pub events: i16,
    /// What happened.
    pub revents: i16,
}

/// There is something to read, or the end.
pub const POLLIN: i16 = 1;
/// There is room to write.
pub const POLLOUT: i16 = 4;

/// `ppoll(2)` without a signal mask; `None` waits for ever.
pub fn poll(fds: &mut [PollFd], timeout: Option<Timespec>) -> Result<usize, Errno> {
    let timeout = timeout.as_ref().map_or(0, |time| time as *const Timespec as usize);
    // SAFETY: the kernel reads and writes `fds` and reads the timeout.
    unsafe { call(number::PPOLL, [fds.as_mut_ptr() as usize, fds.len(), timeout, 0, 0, 0]) }
}

/// `getrandom(2)` from the urandom source, blocking until it is seeded.
pub fn getrandom(into: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes to `into`.
    unsafe { call(number::GETRANDOM, [into.as_mut_ptr() as usize, into.len(), 0, 0, 0, 0]) }
}

/// Whether a file descriptor is a terminal (`TCGETS` of `ioctl_tty(2)`).
pub fn is_terminal(fd: i32) -> bool {
    const TCGETS: usize = 0x5401;
    const TERMIOS_BYTES: usize = 64;
    let mut termios = MaybeUninit::<[u8; TERMIOS_BYTES]>::uninit();
    // SAFETY: the kernel writes a `struct termios`, which has 36 bytes.
    unsafe { call(number::IOCTL, [fd as usize, TCGETS, termios.as_mut_ptr() as usize, 0, 0, 0]) }.is_ok()
}

/// Memory that may be read and written (`mmap(2)` bits).
pub const PROT_READ_WRITE: usize = 3;
/// Pages of nobody else, not of a file, and not counted before they are touched.
pub const MAP_PRIVATE_ANONYMOUS_NORESERVE: usize = 0x4022;
/// Replace what is at the address.
pub const MAP_FIXED: usize = 0x10;

/// `mmap(2)` of anonymous memory; returns its address.
///
/// # Safety
/// With [`MAP_FIXED`] nothing may use what is at `address..address + bytes`.
pub unsafe fn mmap(address: usize, bytes: usize, protection: usize, flags: usize) -> Result<usize, Errno> {
    // SAFETY: as the caller's.
    unsafe { call(number::MMAP, [address, bytes, protection, flags, usize::MAX, 0]) }
}

/// `munmap(2)`.
///
/// # Safety
/// Nothing may use the range any more.
pub unsafe fn munmap(address: usize, bytes: usize) -> Result<(), Errno> {
    // SAFETY: as the caller's.
    unsafe { call(number::MUNMAP, [address, bytes, 0, 0, 0, 0]) }.map(drop)
}

/// `mprotect(2)`.
///
/// # Safety
/// Nothing may rely on an access to the range that `protection` forbids.
pub unsafe fn mprotect(address: usize, bytes: usize, protection: usize) -> Result<(), Errno> {
    // SAFETY: as the caller's.
    unsafe { call(number::MPROTECT, [address, bytes, protection, 0, 0, 0]) }.map(drop)
}

/// `exit_group(2)`.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { call(number::EXIT_GROUP, [usize::from(code), 0, 0, 0, 0, 0]) };
    }
}

/// A signal that the processor raises, or that is ignored.
pub type Signal = usize;
/// Illegal instruction: Wasmtime's traps on purpose.
pub const SIGILL: Signal = 4;
/// Breakpoint: some of Wasmtime's traps on aarch64.
pub const SIGTRAP: Signal = 5;
/// Access to what is not mapped, in a file.
pub const SIGBUS: Signal = 7;
/// Division by zero.
pub const SIGFPE: Signal = 8;
/// Access to what is not mapped.
pub const SIGSEGV: Signal = 11;
/// Nobody reads the pipe.
pub const SIGPIPE: Signal = 13;

/// `struct kernel_sigaction` and `sigaltstack`, which only an image needs: `mwasm run` has Wasmtime's own handlers.
#[cfg(target_os = "none")]
mod signals {
    use super::{Errno, SIGNAL_FLAGS, Signal, call, number, signal_restorer};

    #[repr(C)]
    struct SigAction {
        handler: usize,
        flags: usize,
        restorer: usize,
        mask: u64,
    }

    #[repr(C)]
    struct SigAltStack {
        base: usize,
        flags: i32,
        bytes: usize,
    }

    /// `SIG_IGN`.
    pub const IGNORE: usize = 1;

    /// `rt_sigaction(2)`: `handler` is [`IGNORE`] or a function that takes number, information and context.
    ///
    /// # Safety
    /// The handler must cope with being called between any two instructions.
    pub unsafe fn sigaction(signal: Signal, handler: usize) -> Result<(), Errno> {
        let action = SigAction { handler, flags: SIGNAL_FLAGS, restorer: signal_restorer(), mask: 0 };
        // SAFETY: the kernel reads the action; the size is that of its mask.
        unsafe { call(number::RT_SIGACTION, [signal, &raw const action as usize, 0, 8, 0, 0]) }.map(drop)
    }

    /// `sigaltstack(2)`: handlers run on `base..base + bytes`.
    ///
    /// # Safety
    /// The memory must be the handlers' alone for the rest of the run.
    pub unsafe fn sigaltstack(base: usize, bytes: usize) -> Result<(), Errno> {
        let stack = SigAltStack { base, flags: 0, bytes };
        // SAFETY: the kernel reads the description.
        unsafe { call(number::SIGALTSTACK, [&raw const stack as usize, 0, 0, 0, 0, 0]) }.map(drop)
    }
}

#[cfg(target_os = "none")]
pub use signals::{IGNORE, sigaction, sigaltstack};
