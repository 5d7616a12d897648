//! The page that Xen and this domain share (`struct shared_info`): pending events, the clock, the time of day.

use super::super::io;
use super::hypercall::Hypervisor;
use crate::pvclock::Snapshot;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_xen::hypercall::{Hypercalls, NO_MEMORY, Refused, Shared};

/// Offsets in bytes: the first processor's part.
const UPCALL_PENDING: usize = 0;
const PENDING_SELECTOR: usize = 8;
const CLOCK: usize = 32;
/// Offsets in bytes: one bit for each event channel.
const EVENTS_PENDING: usize = 2048;
/// Offsets in bytes: the time of day at which the clock showed 0.
const WALL_VERSION: usize = 3072;
const WALL_SECONDS: usize = 3076;
const WALL_NANOSECONDS: usize = 3080;
const WALL_SECONDS_HIGH: usize = 3084;
/// Words of event bits.
pub const EVENT_WORDS: usize = 64;
/// How often a structure that is being written is read again.
const TRIES: u32 = 1000;

/// Address of the page; 0 until it is mapped.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// Maps the page.
pub fn start() -> Result<(), Refused> {
    let what = "the shared information page";
    let page = memory::allocate_pages(1).ok_or(Refused { what, error: NO_MEMORY })?;
    // SAFETY: a fresh page.
    unsafe { Hypervisor.map_shared(what, Shared::Information, page as u64)? };
    PAGE.store(page as usize, Relaxed);
    Ok(())
}

/// A field of the page, if it is mapped.
fn field<T>(offset: usize) -> Option<&'static T> {
    let page = PAGE.load(Relaxed);
    // SAFETY: the page stays mapped; its fields are only used as atomics, since Xen writes to them.
    (page != 0).then(|| unsafe { &*((page + offset) as *const T) })
}

fn word(offset: usize) -> u32 {
    field::<AtomicU32>(offset).map_or(0, |word| word.load(Relaxed))
}

/// Xen's time: nanoseconds since the hypervisor started, as far as this domain knows.
pub fn now_ns() -> u64 {
    let clock = Snapshot::read(|at| word(CLOCK + 4 * at), TRIES);
    clock.map_or(0, |clock| clock.ns_at(io::time_stamp()))
}

/// Nanoseconds from 1970 to the start of [`now_ns`].
pub fn epoch_ns() -> u64 {
    for _ in 0..TRIES {
        let version = word(WALL_VERSION);
        let seconds = u64::from(word(WALL_SECONDS)) | u64::from(word(WALL_SECONDS_HIGH)) << 32;
        let nanoseconds = u64::from(word(WALL_NANOSECONDS));
        if version & 1 == 0 && word(WALL_VERSION) == version {
            return seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanoseconds);
        }
    }
    0
}

/// Takes note that the upcall is being handled; returns the set of words of event bits that have news.
pub fn take_upcall() -> u64 {
    if let Some(pending) = field::<AtomicU8>(UPCALL_PENDING) {
        pending.store(0, core::sync::atomic::Ordering::SeqCst);
    }
    field::<AtomicU64>(PENDING_SELECTOR).map_or(0, |words| words.swap(0, core::sync::atomic::Ordering::SeqCst))
}

/// Takes the pending events of one word (below [`EVENT_WORDS`]).
pub fn take_events(word: usize) -> u64 {
    let bits = if word < EVENT_WORDS { field::<AtomicU64>(EVENTS_PENDING + 8 * word) } else { None };
    bits.map_or(0, |bits| bits.swap(0, core::sync::atomic::Ordering::SeqCst))
}

/// Forgets that an event is pending, before it is waited for by [`Hypercalls::poll`].
pub fn clear_event(port: u32) {
    if let Some(bits) = field::<AtomicU64>(EVENTS_PENDING + 8 * (port as usize / 64 % EVENT_WORDS)) {
        bits.fetch_and(!(1 << (port % 64)), core::sync::atomic::Ordering::SeqCst);
    }
}
