//! The page that Xen and this domain share (`struct shared_info`): pending events, the clock, the time of day.

use super::super::io;
use super::hypercall::Hypervisor;
use crate::pvclock::Snapshot;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_xen::events::{Events, X86_PENDING};
use mwasm_xen::hypercall::{Hypercalls, NO_MEMORY, Refused, Shared};

/// Offset in bytes: the first processor's clock.
const CLOCK: usize = 32;
/// Offsets in bytes: the time of day at which the clock showed 0.
const WALL_VERSION: usize = 3072;
const WALL_SECONDS: usize = 3076;
const WALL_NANOSECONDS: usize = 3080;
const WALL_SECONDS_HIGH: usize = 3084;
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

/// A word of the page; 0 before it is mapped.
fn word(offset: usize) -> u32 {
    let page = PAGE.load(Relaxed);
    // SAFETY: the page stays mapped; its fields are only used as atomics, since Xen writes to them.
    if page == 0 { 0 } else { unsafe { &*((page + offset) as *const AtomicU32) }.load(Relaxed) }
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

/// The pending events, if the page is mapped.
pub fn events() -> Option<Events> {
    let page = NonNull::new(PAGE.load(Relaxed) as *mut u8)?;
    // SAFETY: the page stays mapped.
    Some(unsafe { Events::at(page, X86_PENDING) })
}
