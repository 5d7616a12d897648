//! Xenstore: its page ([`mwasm_xen::store_page`]) and its event channel. What is said is in [`mwasm_xen::xenstore`].

use super::hypercall::Hypervisor;
use super::{events, shared};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::exclusive::Exclusive;
use mwasm_host_metal::page::{PAGE_BYTES, Prot};
use mwasm_host_metal::tables::Kind;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_xen::hypercall::{Hypercalls, NO_MEMORY, PARAM_STORE_FRAME, PARAM_STORE_PORT, Refused};
use mwasm_xen::ring::{Broken, Ring};
use mwasm_xen::store_page::StorePage;
use mwasm_xen::xenstore::{Conversation, Event};

/// How long xenstore may take to store the exit code before the domain ends anyway, in nanoseconds.
const STORE_NS: u64 = NANOS_PER_SECOND;

static PAGE: AtomicUsize = AtomicUsize::new(0);
static PORT: AtomicU32 = AtomicU32::new(0);
/// Counts the port's events, for drivers that wait for an answer.
pub static NEWS: AtomicU32 = AtomicU32::new(0);
static CONVERSATION: Exclusive<Conversation> = Exclusive::new(Conversation::new());

/// Maps the page, and asks to be told of `xl shutdown`.
pub fn start() -> Result<(), Refused> {
    let what = "xenstore's page";
    let frame = Hypervisor.hvm_param(what, PARAM_STORE_FRAME)?;
    let port = Hypervisor.hvm_param("xenstore's event channel", PARAM_STORE_PORT)? as u32;
    let page = memory::map_physical(frame << 12, PAGE_BYTES, Prot::READ_WRITE, Kind::Memory);
    PAGE.store(page.map_err(|_| Refused { what, error: NO_MEMORY })? as usize, Relaxed);
    PORT.store(port, Relaxed);
    // A broken ring only means that nobody will ask this domain to end.
    let _ = rings().map(|(requests, _)| Conversation::watch(&requests));
    Hypervisor.notify(port);
    Ok(())
}

/// The event channel.
pub fn port() -> u32 {
    PORT.load(Relaxed)
}

/// For the handler: takes in what has come; whether it asks for the end.
pub fn shutdown_requested() -> bool {
    let requested = receive() == Ok(Some(Event::Shutdown));
    NEWS.fetch_add(1, Relaxed);
    requested
}

/// Lets a driver ask, and look for its answer. Interrupts are off.
pub fn talk(f: &mut dyn FnMut(&mut Conversation, &Ring<'_>)) {
    let Some((requests, _)) = rings() else { return };
    CONVERSATION.try_with(|talk| {
        let before = requests.filled();
        f(talk, &requests);
        if requests.filled() != before {
            Hypervisor.notify(PORT.load(Relaxed));
        }
    });
}

/// Waits until an event has come, or until `end_ns`; whether it came. What it brought is handled as if it had interrupted
/// the app. Interrupts are off.
pub fn wait(end_ns: u64) -> bool {
    let before = NEWS.load(Relaxed);
    let port = PORT.load(Relaxed);
    if port != 0 {
        Hypervisor.poll(&[port], end_ns);
    }
    super::interrupt();
    NEWS.load(Relaxed) != before
}

/// Leaves the exit code in xenstore.
pub fn store_exit_code(code: u8) {
    let Some((requests, _)) = rings() else { return };
    let (port, end) = (PORT.load(Relaxed), shared::now_ns().saturating_add(STORE_NS));
    if Conversation::store_exit_code(&requests, code) != Ok(true) {
        return;
    }
    Hypervisor.notify(port);
    loop {
        events::forget(port);
        if receive() != Ok(None) || shared::now_ns() >= end {
            break;
        }
        Hypervisor.poll(&[port], end);
    }
}

fn receive() -> Result<Option<Event>, Broken> {
    let (requests, replies) = rings().ok_or(Broken)?;
    let event = CONVERSATION.try_with(|talk| talk.receive(&replies, &requests)).unwrap_or(Ok(None));
    Hypervisor.notify(PORT.load(Relaxed));
    event
}

fn rings() -> Option<(Ring<'static>, Ring<'static>)> {
    let page = NonNull::new(PAGE.load(Relaxed) as *mut u8)?;
    // SAFETY: the page stays mapped.
    let page = unsafe { StorePage::at(page) };
    Some((page.requests(), page.replies()))
}
