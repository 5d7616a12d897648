//! The console that the toolstack connects (`xen/include/public/io/console.h`): a page with two rings, and an event
//! channel.
//!
//! ```text
//!   offset  bytes  content
//!        0   1024  input
//!     1024   2048  output
//!     3072    4*4  input consumed, input produced, output consumed, output produced
//! ```

use super::super::io;
use super::hypercall::Hypervisor;
use super::{events, shared};
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::page::{PAGE_BYTES, Prot};
use mwasm_host_metal::tables::Kind;
use mwasm_ports::{NANOS_PER_SECOND, Ready};
use mwasm_xen::hypercall::{Hypercalls, NO_MEMORY, Refused};
use mwasm_xen::ring::Ring;

/// Parameters of the domain: the page's frame number, and the event channel.
const PARAM_FRAME: u32 = 17;
const PARAM_PORT: u32 = 18;
const INPUT_BYTES: usize = 1024;
const OUTPUT_BYTES: usize = 2048;
/// The hypervisor's debug port: shows up in `xl dmesg`.
const DEBUG_PORT: u16 = 0xe9;
/// How long the last output may take to be fetched before the domain ends anyway, in nanoseconds.
const DRAIN_NS: u64 = NANOS_PER_SECOND;

/// Layout of the page.
#[repr(C)]
struct Page {
    input: [AtomicU8; INPUT_BYTES],
    output: [AtomicU8; OUTPUT_BYTES],
    input_consumed: AtomicU32,
    input_produced: AtomicU32,
    output_consumed: AtomicU32,
    output_produced: AtomicU32,
}

static PAGE: AtomicUsize = AtomicUsize::new(0);
static PORT: AtomicU32 = AtomicU32::new(0);

/// Maps the page.
pub fn start() -> Result<(), Refused> {
    let what = "the console's page";
    let frame = Hypervisor.hvm_param(what, PARAM_FRAME)?;
    PORT.store(Hypervisor.hvm_param("the console's event channel", PARAM_PORT)? as u32, Relaxed);
    let page = memory::map_physical(frame << 12, PAGE_BYTES, Prot::READ_WRITE, Kind::Memory);
    PAGE.store(page.map_err(|_| Refused { what, error: NO_MEMORY })? as usize, Relaxed);
    Ok(())
}

/// The event channel.
pub fn port() -> u32 {
    PORT.load(Relaxed)
}

fn page() -> Option<&'static Page> {
    let page = PAGE.load(Relaxed);
    // SAFETY: the page stays mapped; all its fields are atomics, since the other side writes to them.
    (page != 0).then(|| unsafe { &*(page as *const Page) })
}

fn output(page: &Page) -> Ring<'_> {
    Ring::new(&page.output, &page.output_consumed, &page.output_produced)
}

fn input(page: &Page) -> Ring<'_> {
    Ring::new(&page.input, &page.input_consumed, &page.input_produced)
}

/// Hands over bytes while there is room. What a broken ring would get is dropped: nobody reads it.
pub fn write(bytes: &[u8]) -> usize {
    let Some(page) = page() else {
        bytes.iter().for_each(|byte| io::write_8(DEBUG_PORT, *byte));
        return bytes.len();
    };
    let taken = output(page).write(bytes).unwrap_or(bytes.len());
    Hypervisor.notify(PORT.load(Relaxed));
    if taken == 0 {
        // Whoever cannot wait for an interrupt now (last words) at least lets the reader run.
        Hypervisor.yield_now();
    }
    taken
}

/// Takes what has arrived.
pub fn read(into: &mut [u8]) -> usize {
    let taken = page().and_then(|page| input(page).read(into).ok()).unwrap_or(0);
    if taken > 0 {
        Hypervisor.notify(PORT.load(Relaxed));
    }
    taken
}

/// What of `interest` is ready; an event comes for the rest.
pub fn ready(interest: Ready) -> Ready {
    let Some(page) = page() else { return Ready::NONE };
    let mut ready = Ready::NONE;
    if interest.contains(Ready::CONSOLE_IN) && input(page).filled().is_ok_and(|filled| filled > 0) {
        ready = ready.with(Ready::CONSOLE_IN);
    }
    if interest.contains(Ready::CONSOLE_OUT) && output(page).room() != Ok(0) {
        ready = ready.with(Ready::CONSOLE_OUT);
    }
    ready
}

/// Waits (not for ever) until the output was fetched: it would be lost with the domain.
pub fn drain() {
    let Some(page) = page() else { return };
    let (port, end) = (PORT.load(Relaxed), shared::now_ns().saturating_add(DRAIN_NS));
    Hypervisor.notify(port);
    loop {
        events::forget(port);
        if output(page).filled().unwrap_or(0) == 0 || shared::now_ns() >= end {
            break;
        }
        Hypervisor.poll(&[port], end);
    }
}
