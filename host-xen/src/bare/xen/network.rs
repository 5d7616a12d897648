//! The domain's network device: netfront, and the kernel that it finds itself in.

use super::hypercall::Hypervisor;
use super::{events, shared, store};
use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use mwasm_host_metal::bare::{NETWORK, memory};
use mwasm_host_metal::cpu::without_interrupts;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_ports::net_device::NetDevice;
use mwasm_xen::grants::GrantTable;
use mwasm_xen::hypercall::{Hypercalls, Refused, Shared};
use mwasm_xen::kernel::Kernel;
use mwasm_xen::netfront::Netfront;
use mwasm_xen::ring::Ring;
use mwasm_xen::xenstore::Conversation;
use spin::Mutex;

/// How long xenstore may be silent while the device is opened, in nanoseconds. Another domain answers, which may be busy.
const PATIENCE_NS: u64 = 10 * NANOS_PER_SECOND;

static GRANTS: Mutex<GrantTable> = Mutex::new(GrantTable::new());

struct Here;

/// Opens the domain's first network device.
pub fn open() -> Result<Arc<dyn NetDevice>, &'static str> {
    Ok(Arc::new(Netfront::open(&Here)?))
}

impl Kernel for Here {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        memory::allocate_pages(count).and_then(NonNull::new)
    }

    /// Such pages are at their physical addresses.
    fn frame_of(&self, page: NonNull<u8>) -> Option<u32> {
        u32::try_from(page.as_ptr() as usize >> 12).ok()
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
        without_interrupts(|| events::open_network_port(remote))
    }

    fn close_port(&self, port: u32) {
        without_interrupts(|| events::close_network_port(port));
    }

    fn notify(&self, port: u32) {
        Hypervisor.notify(port);
    }

    fn ring(&self) {
        NETWORK.ring();
    }

    fn with_store(&self, f: &mut dyn FnMut(&mut Conversation, &Ring<'_>)) {
        without_interrupts(|| store::talk(f));
    }

    fn store_news(&self) -> &AtomicU32 {
        &store::NEWS
    }

    fn wait_for_store(&self) -> bool {
        without_interrupts(|| store::wait(shared::now_ns().saturating_add(PATIENCE_NS)))
    }
}
