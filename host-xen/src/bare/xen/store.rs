//! Xenstore's page (`xen/include/public/io/xs_wire.h`): two rings and an event channel. What is said is in
//! [`crate::xenstore`].
//!
//! ```text
//!   offset  bytes  content
//!        0   1024  requests
//!     1024   1024  replies
//!     2048    4*4  requests consumed, requests produced, replies consumed, replies produced
//! ```

use super::hypercall::{self, Refused};
use super::shared;
use crate::ring::{Broken, Ring};
use crate::xenstore::{Conversation, Event};
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::exclusive::Exclusive;
use mwasm_host_metal::page::{PAGE_BYTES, Prot};
use mwasm_host_metal::tables::Kind;
use mwasm_ports::NANOS_PER_SECOND;

/// Parameters of the domain: the page's frame number, and the event channel.
const PARAM_FRAME: u32 = 1;
const PARAM_PORT: u32 = 2;
const RING_BYTES: usize = 1024;
/// How long xenstore may take to store the exit code before the domain ends anyway, in nanoseconds.
const STORE_NS: u64 = NANOS_PER_SECOND;
/// The error number for "no memory".
const NO_MEMORY: i64 = 12;

/// Layout of the page.
#[repr(C)]
struct Page {
    requests: [AtomicU8; RING_BYTES],
    replies: [AtomicU8; RING_BYTES],
    requests_consumed: AtomicU32,
    requests_produced: AtomicU32,
    replies_consumed: AtomicU32,
    replies_produced: AtomicU32,
}

static PAGE: AtomicUsize = AtomicUsize::new(0);
static PORT: AtomicU32 = AtomicU32::new(0);
static CONVERSATION: Exclusive<Conversation> = Exclusive::new(Conversation::new());

/// Maps the page, and asks to be told of `xl shutdown`.
pub fn start() -> Result<(), Refused> {
    let what = "xenstore's page";
    let frame = hypercall::hvm_param(what, PARAM_FRAME)?;
    let port = hypercall::hvm_param("xenstore's event channel", PARAM_PORT)? as u32;
    let page = memory::map_physical(frame << 12, PAGE_BYTES, Prot::READ_WRITE, Kind::Memory);
    PAGE.store(page.map_err(|_| Refused { what, error: NO_MEMORY })? as usize, Relaxed);
    PORT.store(port, Relaxed);
    // A broken ring only means that nobody will ask this domain to end.
    let _ = rings().map(|(requests, _)| Conversation::watch(&requests));
    hypercall::notify(port);
    Ok(())
}

/// The event channel.
pub fn port() -> u32 {
    PORT.load(Relaxed)
}

/// For the handler: whether what has come asks for the end.
pub fn shutdown_requested() -> bool {
    receive() == Ok(Some(Event::Shutdown))
}

/// Leaves the exit code in xenstore.
pub fn store_exit_code(code: u8) {
    let Some((requests, _)) = rings() else { return };
    let (port, end) = (PORT.load(Relaxed), shared::now_ns().saturating_add(STORE_NS));
    if Conversation::store_exit_code(&requests, code) != Ok(true) {
        return;
    }
    hypercall::notify(port);
    loop {
        shared::clear_event(port);
        if receive() != Ok(None) || shared::now_ns() >= end {
            break;
        }
        hypercall::poll(&[port], end);
    }
}

fn receive() -> Result<Option<Event>, Broken> {
    let (requests, replies) = rings().ok_or(Broken)?;
    let event = CONVERSATION.try_with(|talk| talk.receive(&replies, &requests)).unwrap_or(Ok(None));
    hypercall::notify(PORT.load(Relaxed));
    event
}

fn rings() -> Option<(Ring<'static>, Ring<'static>)> {
    let page = PAGE.load(Relaxed);
    // SAFETY: the page stays mapped; all its fields are atomics, since the other side writes to them.
    let page = (page != 0).then(|| unsafe { &*(page as *const Page) })?;
    Some((
        Ring::new(&page.requests, &page.requests_consumed, &page.requests_produced),
        Ring::new(&page.replies, &page.replies_consumed, &page.replies_produced),
    ))
}
