//! Which socket is worth another try, and who wants to know.
//!
//! Every socket has a *slot* here, and its number and generation are what `epoll(7)` hands back with an event. A slot has two ways, in
//! and out, each with what is known of it and the last waker:
//!
//! ```text
//!            an operation took or gave all that there was                an event
//!   Unknown ----------------------------------------------> Blocked -----------------> Ready
//!      ^          the kernel said EAGAIN: registered           ^                         |
//!      |                                                       +---- EAGAIN, all taken --+
//!      +---------------- an operation left something over -------------------------------+
//! ```
//!
//! Blocked is known without a system call. It is safe to assume after a short `recv` or `send`, because events are edges: the kernel tells
//! of every change after the operation (`epoll(7)`, question 9). Only an end that came with the last bytes has no edge of its own; so a
//! way that has ended is never blocked again.
//!
//! A socket is registered when it first has to wait, which a short-lived one may never do, and forgotten by the kernel when it is closed.

use crate::ports::Process;
use crate::sys::{self, EAGAIN, EINTR, ENOSYS, EpollEvent, Errno, Fd, PollFd, Timespec};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::task::{Context, Poll, Waker};
use mwasm_ports::{Clock, Ready};
use spin::Mutex;

/// The most events that one call collects.
const MAX_EVENTS: usize = 256;
/// How long a listener rests that cannot take a connection for want of descriptors or memory, in nanoseconds.
const STARVED_NS: u64 = 100_000_000;

/// What a socket is registered for.
const EVENTS: u32 = sys::EPOLLIN | sys::EPOLLOUT | sys::EPOLLRDHUP | sys::EPOLLET;
/// Events after which something can be received, accepted, or seen to have ended.
const IN: u32 = sys::EPOLLIN | ENDED;
/// Events after which something can be sent, or seen to have failed.
const OUT: u32 = sys::EPOLLOUT | sys::EPOLLERR | sys::EPOLLHUP;
/// Events after which receiving will never wait again.
const ENDED: u32 = sys::EPOLLRDHUP | sys::EPOLLERR | sys::EPOLLHUP;

/// All sockets of a network.
pub struct Poller {
    epoll: Fd,
    slots: Mutex<Slots>,
    events: Mutex<Events>,
}

#[derive(Default)]
struct Slots {
    list: Vec<Slot>,
    free: Vec<u32>,
    /// Listeners that rest, and until when.
    starved: Vec<u32>,
    starved_until_ns: Option<u64>,
}

#[derive(Default)]
struct Slot {
    /// Tells this use of the slot from earlier ones.
    generation: u32,
    registered: bool,
    ended: bool,
    ways: [Half; 2],
}

/// A way of a socket.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// What comes: bytes, datagrams, connections.
    In = 0,
    /// What goes.
    Out = 1,
}

#[derive(Default)]
struct Half {
    known: Known,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Unknown,
    Ready,
    Blocked,
}

struct Events {
    buffer: Vec<EpollEvent>,
    /// How many in front are not handled yet.
    count: usize,
    /// Whether they were collected by a park just now.
    fresh: bool,
    /// Room to gather wakers in.
    woken: Vec<Waker>,
}

impl Poller {
    /// No sockets.
    pub fn new() -> Result<Self, Errno> {
        let buffer = alloc::vec![EpollEvent::default(); MAX_EVENTS];
        let events = Events { buffer, count: 0, fresh: false, woken: Vec::new() };
        Ok(Self { epoll: sys::epoll_create()?, slots: Mutex::default(), events: Mutex::new(events) })
    }

    /// Readable when an event waits.
    pub fn raw_fd(&self) -> i32 {
        self.epoll.raw()
    }

    /// Sleeps until an event comes, and keeps it for [`Poller::advance`]. `None`: this kernel cannot (before Linux 5.11).
    pub fn wait(&self, timeout: Option<Timespec>) -> Option<Ready> {
        let mut events = self.events.lock();
        let Events { buffer, count, fresh, .. } = &mut *events;
        match sys::epoll_wait(&self.epoll, buffer, timeout) {
            Err(ENOSYS) => return None,
            result => *count = result.unwrap_or(0),
        }
        *fresh = true;
        Some(if *count > 0 { Ready::NETWORK } else { Ready::NONE })
    }

    /// Handles all events, and wakes whom they concern.
    pub fn advance(&self) {
        loop {
            let mut events = self.events.lock();
            if !mem::take(&mut events.fresh) {
                events.count = sys::epoll_collect(&self.epoll, &mut events.buffer).unwrap_or(0);
            }
            let count = mem::take(&mut events.count);
            let mut woken = mem::take(&mut events.woken);
            let mut slots = self.slots.lock();
            for event in events.buffer.iter().take(count) {
                slots.note(*event, &mut woken);
            }
            slots.feed_starved(&mut woken);
            drop((slots, events));
            // No lock is held: a waker may be the last of a task, whose sockets go with it.
            for waker in woken.drain(..) {
                waker.wake();
            }
            self.events.lock().woken = woken;
            if count < MAX_EVENTS {
                return;
            }
        }
    }

    /// When a listener that rests may try again.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.slots.lock().starved_until_ns
    }
}

impl Slots {
    fn note(&mut self, event: EpollEvent, woken: &mut Vec<Waker>) {
        let EpollEvent { events, data } = event;
        let (index, generation) = ((data >> 32) as u32, data as u32);
        let Some(slot) = self.list.get_mut(index as usize).filter(|slot| slot.generation == generation) else { return };
        slot.ended |= events & ENDED != 0;
        for (half, mask) in slot.ways.iter_mut().zip([IN, OUT]) {
            if events & mask != 0 {
                half.known = Known::Ready;
                woken.extend(half.waker.take());
            }
        }
    }

    /// Lets listeners try again whose rest is over.
    fn feed_starved(&mut self, woken: &mut Vec<Waker>) {
        if self.starved_until_ns.is_some_and(|until_ns| until_ns <= Process.monotonic_ns()) {
            self.starved_until_ns = None;
            for index in mem::take(&mut self.starved) {
                // A slot that has another socket by now only tries once in vain.
                if let Some(Slot { ways: [half, _], .. }) = self.list.get_mut(index as usize) {
                    half.known = Known::Unknown;
                    woken.extend(half.waker.take());
                }
            }
        }
    }
}

impl Slot {
    /// Notes that a way is blocked, and has its changes told.
    fn block(&mut self, way: Way, watched: &Watched) -> Result<(), Errno> {
        if !self.registered {
            let data = u64::from(watched.slot) << 32 | u64::from(self.generation);
            sys::epoll_add(&watched.poller.epoll, &watched.fd, EVENTS, data)?;
            self.registered = true;
        }
        self.ways[way as usize].known = Known::Blocked;
        Ok(())
    }

    /// Keeps a waker; returns the one before, to be dropped where no lock is held.
    fn keep(&mut self, way: Way, context: &Context<'_>) -> Option<Waker> {
        let kept = &mut self.ways[way as usize].waker;
        match kept {
            Some(waker) if waker.will_wake(context.waker()) => None,
            _ => kept.replace(context.waker().clone()),
        }
    }
}

/// A socket with its slot; closed when it is dropped.
pub struct Watched {
    poller: Arc<Poller>,
    fd: Fd,
    slot: u32,
}

impl Watched {
    /// Gives a socket a slot.
    pub fn new(poller: Arc<Poller>, fd: Fd) -> Self {
        let mut slots = poller.slots.lock();
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.list.push(Slot::default());
            (slots.list.len() - 1) as u32
        });
        drop(slots);
        Self { poller, fd, slot }
    }

    /// The socket.
    pub fn fd(&self) -> &Fd {
        &self.fd
    }

    /// The poller of this socket, for another one.
    pub fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    /// Works on the slot. The lock is held meanwhile, so that no event falls between an operation and the note of its result.
    fn with<T>(&self, work: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.poller.slots.lock().list.get_mut(self.slot as usize).map(work)
    }

    /// Tries an operation; waits if there is nothing for it now. `exhausts` says of a result that there is nothing more after it.
    pub fn attempt<T>(
        &self,
        way: Way,
        context: &Context<'_>,
        mut operation: impl FnMut(&Fd) -> Result<T, Errno>,
        exhausts: impl FnOnce(&T) -> bool,
    ) -> Poll<Result<T, Errno>> {
        let mut replaced = None;
        let result = self.with(|slot| {
            if slot.ways[way as usize].known != Known::Blocked {
                match retry(|| operation(&self.fd)) {
                    Err(EAGAIN) => slot.block(way, self)?,
                    result => {
                        let blocked = slot.registered && !slot.ended && result.as_ref().is_ok_and(exhausts);
                        slot.ways[way as usize].known = if blocked { Known::Blocked } else { Known::Unknown };
                        return result.map(Some);
                    }
                }
            }
            replaced = slot.keep(way, context);
            Ok(None)
        });
        drop(replaced);
        match result.and_then(Result::transpose) {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }

    /// Whether something came, or can go. Of the way out, doubt is enough: whoever then tries and is told to wait, blocks it.
    pub fn poll_ready(&self, way: Way, context: &Context<'_>) -> Poll<()> {
        let mut replaced = None;
        let ready = self.with(|slot| {
            let doubt = matches!(way, Way::In) && slot.ways[way as usize].known == Known::Unknown;
            // Without memory to register it, whoever waits tries, and is told.
            if doubt && !self.has_something() && slot.block(way, self).is_err() {
                return true;
            }
            let ready = slot.ways[way as usize].known != Known::Blocked;
            if !ready {
                replaced = slot.keep(way, context);
            }
            ready
        });
        drop(replaced);
        if ready == Some(false) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether something came, by the kernel.
    fn has_something(&self) -> bool {
        let mut fds = [PollFd { fd: self.fd.raw(), events: sys::POLLIN, revents: 0 }];
        !matches!(sys::poll(&mut fds, Some(Timespec::default())), Ok(0) | Err(EINTR))
    }

    /// Notes that a way is blocked, as one is known to be that is being connected.
    pub fn block(&self, way: Way) -> Result<(), Errno> {
        self.with(|slot| slot.block(way, self)).unwrap_or(Ok(()))
    }

    /// Lets a listener rest for a while, of which connections cannot be taken now.
    pub fn starve(&self) {
        let mut slots = self.poller.slots.lock();
        if let Some(slot) = slots.list.get_mut(self.slot as usize) {
            slot.ways[Way::In as usize].known = Known::Blocked;
        }
        slots.starved.push(self.slot);
        slots.starved_until_ns.get_or_insert_with(|| Process.monotonic_ns().saturating_add(STARVED_NS));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut slots = self.poller.slots.lock();
        let old = slots.list.get_mut(self.slot as usize).map(|slot| {
            let generation = slot.generation.wrapping_add(1);
            mem::replace(slot, Slot { generation, ..Slot::default() })
        });
        slots.free.push(self.slot);
        drop(slots);
        // Its wakers may be the last of a task, whose sockets go with it.
        drop(old);
    }
}

/// Does again what a signal interrupted.
fn retry<T>(mut operation: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match operation() {
            Err(EINTR) => {}
            result => return result,
        }
    }
}
