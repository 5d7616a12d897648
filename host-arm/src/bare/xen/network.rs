//! The domain's network device under Xen: netfront, and what it finds itself in: event channels, xenstore, grants.
//!
//! Only an image whose app uses the network has this. One interrupt, which Xen's node of the device tree names, tells of all event channels.
//! Xenstore also brings requests to end (`xl shutdown`), so such an image hears of them.

use super::super::{BOARD, net, timer};
use super::{Hypervisor, shared_page};
use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use mwasm_host_metal::bare::{NETWORK, memory, request_stop};
use mwasm_host_metal::cpu::{self, without_interrupts};
use mwasm_host_metal::exclusive::Exclusive;
use mwasm_host_metal::page::{PAGE_BYTES, Prot};
use mwasm_host_metal::tables::Kind;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_ports::net_device::NetDevice;
use mwasm_xen::events::{ARM_PENDING, Events};
use mwasm_xen::grants::GrantTable;
use mwasm_xen::hypercall::{Hypercalls, PARAM_STORE_FRAME, PARAM_STORE_PORT, Refused, Shared};
use mwasm_xen::kernel::Kernel;
use mwasm_xen::netfront::{NO_DEVICE, Netfront};
use mwasm_xen::ring::Ring;
use mwasm_xen::store_page::StorePage;
use mwasm_xen::xenstore::{Conversation, Event};
use spin::Mutex;

/// How long xenstore may be silent while the device is opened, in nanoseconds. Another domain answers, which may be busy.
const PATIENCE_NS: u64 = 10 * NANOS_PER_SECOND;
const NO_PAGE: &str = "the app uses the network, and Xen gives this domain no page to share with it";

static GRANTS: Mutex<GrantTable> = Mutex::new(GrantTable::new());
/// Counts the events of xenstore.
static NEWS: AtomicU32 = AtomicU32::new(0);
/// What the handler needs.
static WIRES: Exclusive<Option<Wires>> = Exclusive::new(None);

/// What this domain shares with Xen and with xenstore.
struct Wires {
    events: Events,
    store: &'static StorePage,
    /// Xenstore's event channel.
    port: u32,
    talk: Conversation,
}

struct Here;

/// Opens the domain's first network device; `interrupt` is that of the event channels.
pub fn open(interrupt: u32) -> Result<Arc<dyn NetDevice>, &'static str> {
    let page = shared_page().ok_or(NO_PAGE)?;
    // SAFETY: the shared page, which stays mapped.
    let events = unsafe { Events::at(page, ARM_PENDING) };
    let (store, port) = store().ok_or(NO_DEVICE)?;
    // A broken ring only means that nobody will ask this domain to end.
    let _ = Conversation::watch(&store.requests());
    let wires = Wires { events, store, port, talk: Conversation::new() };
    without_interrupts(|| WIRES.try_with(|slot| *slot = Some(wires)));
    net::route(interrupt, self::interrupt);
    Hypervisor.notify(port);
    Ok(Arc::new(Netfront::open(&Here)?))
}

/// Xenstore's page and event channel. A domain that Xen started by itself, without a control domain, has none.
fn store() -> Option<(&'static StorePage, u32)> {
    let frame = Hypervisor.hvm_param("xenstore's page", PARAM_STORE_FRAME).ok().filter(|frame| *frame != 0)?;
    let port = Hypervisor.hvm_param("xenstore's event channel", PARAM_STORE_PORT).ok()?;
    let port = u32::try_from(port).ok().filter(|port| *port != 0)?;
    let address = frame.checked_mul(PAGE_BYTES as u64)?;
    let page = memory::map_physical(address, PAGE_BYTES, Prot::READ_WRITE, Kind::Memory).ok()?;
    // SAFETY: what Xen calls xenstore's page; it stays mapped.
    Some((unsafe { StorePage::at(NonNull::new(page)?) }, port))
}

/// Handles the interrupt of the event channels: the network device's may have come, or xenstore's, or both.
fn interrupt() {
    let mut ends = false;
    WIRES.try_with(|wires| {
        let Some(Wires { events, store, port, talk }) = wires else { return };
        let mut has_news = false;
        events.take(|taken| has_news |= taken == *port);
        if has_news {
            while let Ok(Some(event)) = talk.receive(&store.replies(), &store.requests()) {
                ends |= event == Event::Shutdown;
            }
            Hypervisor.notify(*port);
            NEWS.fetch_add(1, Relaxed);
        }
    });
    NETWORK.ring();
    if ends {
        request_stop(&BOARD);
    }
}

impl Kernel for Here {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        memory::allocate_pages(count).and_then(NonNull::new)
    }

    /// Such pages are at their physical addresses.
    fn frame_of(&self, page: NonNull<u8>) -> Option<u32> {
        u32::try_from(page.as_ptr() as usize / PAGE_BYTES).ok()
    }

    fn map_grants(&self, index: u32, page: NonNull<u8>) -> Result<(), Refused> {
        let what = "a page of the grant table";
        // SAFETY: a page that was allocated for this.
        unsafe { Hypervisor.map_shared(what, Shared::Grants(index), page.as_ptr() as u64) }
    }

    fn grants(&self) -> &Mutex<GrantTable> {
        &GRANTS
    }

    fn allocate_port(&self, remote: u16) -> Result<u32, Refused> {
        Hypervisor.allocate_port("an event channel for the network device", remote)
    }

    fn close_port(&self, port: u32) {
        Hypervisor.close_port(port);
    }

    fn notify(&self, port: u32) {
        Hypervisor.notify(port);
    }

    fn ring(&self) {
        NETWORK.ring();
    }

    fn with_store(&self, f: &mut dyn FnMut(&mut Conversation, &Ring<'_>)) {
        without_interrupts(|| {
            WIRES.try_with(|wires| {
                let Some(Wires { store, port, talk, .. }) = wires else { return };
                let requests = store.requests();
                let before = requests.filled();
                f(talk, &requests);
                if requests.filled() != before {
                    Hypervisor.notify(*port);
                }
            })
        });
    }

    fn store_news(&self) -> &AtomicU32 {
        &NEWS
    }

    fn wait_for_store(&self) -> bool {
        without_interrupts(|| {
            let (before, end) = (NEWS.load(Relaxed), timer::now_ns().saturating_add(PATIENCE_NS));
            while NEWS.load(Relaxed) == before && timer::now_ns() < end {
                timer::arm(end);
                cpu::halt();
            }
            NEWS.load(Relaxed) != before
        })
    }
}
