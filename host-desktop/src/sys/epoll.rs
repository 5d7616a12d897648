//! `epoll(7)`: one descriptor that tells of many.

use super::{Errno, Fd, Timespec, call, number};

/// There is something to read, a connection to accept, or the end.
pub const EPOLLIN: u32 = 0x1;
/// There is room to write.
pub const EPOLLOUT: u32 = 0x4;
/// It has failed.
pub const EPOLLERR: u32 = 0x8;
/// Both directions have ended.
pub const EPOLLHUP: u32 = 0x10;
/// The other side sends no more.
pub const EPOLLRDHUP: u32 = 0x2000;
/// Tell of changes, not of states.
pub const EPOLLET: u32 = 1 << 31;

/// `struct epoll_event`, which has no padding on x86-64 alone.
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
#[derive(Clone, Copy, Debug, Default)]
pub struct EpollEvent {
    /// What happened.
    pub events: u32,
    /// Whatever was given to [`epoll_add`].
    pub data: u64,
}

/// `epoll_create1(2)`.
pub fn epoll_create() -> Result<Fd, Errno> {
    // SAFETY: no pointer is passed. The flag is `EPOLL_CLOEXEC`.
    unsafe { call(number::EPOLL_CREATE1, [super::O_CLOEXEC, 0, 0, 0, 0, 0]) }.map(Fd::new)
}

/// `epoll_ctl(2)`: tells of `fd` from now on, until it is closed. If it is ready already, that counts as a change.
pub fn epoll_add(epoll: &Fd, fd: &Fd, events: u32, data: u64) -> Result<(), Errno> {
    const EPOLL_CTL_ADD: usize = 1;
    let event = EpollEvent { events, data };
    let arguments = [epoll.raw() as usize, EPOLL_CTL_ADD, fd.raw() as usize, &raw const event as usize, 0, 0];
    // SAFETY: the kernel reads the event.
    unsafe { call(number::EPOLL_CTL, arguments) }.map(drop)
}

/// `epoll_pwait(2)` that does not wait: how many events were put at the front of `into` (not empty).
pub fn epoll_collect(epoll: &Fd, into: &mut [EpollEvent]) -> Result<usize, Errno> {
    let arguments = [epoll.raw() as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0];
    // SAFETY: the kernel writes to `into`.
    unsafe { call(number::EPOLL_PWAIT, arguments) }
}

/// `epoll_pwait2(2)` (Linux 5.11): as [`epoll_collect`], but waits for a first event; `None` waits for ever.
pub fn epoll_wait(epoll: &Fd, into: &mut [EpollEvent], timeout: Option<Timespec>) -> Result<usize, Errno> {
    let timeout = timeout.as_ref().map_or(0, |time| time as *const Timespec as usize);
    let arguments = [epoll.raw() as usize, into.as_mut_ptr() as usize, into.len(), timeout, 0, 0];
    // SAFETY: the kernel writes to `into` and reads the timeout.
    unsafe { call(number::EPOLL_PWAIT2, arguments) }
}
