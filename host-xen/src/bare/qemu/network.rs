//! The network device of QEMU's machines: virtio-net, on virtio-mmio (microvm) or PCI (q35 and pc).

use super::super::interrupts::{VECTOR_NETWORK, VECTOR_NETWORK_STATE};
use super::{apic, pci, power, virtio_windows};
use alloc::sync::Arc;
use mwasm_host_metal::bare::virtio::net;
use mwasm_ports::net_device::NetDevice;

/// The interrupt of microvm's first virtio-mmio window if there is one I/O APIC; if there are two, they begin with the second's.
const FIRST_LINE: u8 = 16;

/// What to say where an app needs a network and there is none.
const NO_DEVICE: &str = "the app needs a network and this machine has no virtio network device; give QEMU -netdev user,id=n,hostfwd=tcp:127.0.0.1:8080-:80 \
    and -device virtio-net-device,netdev=n (microvm) or -device virtio-net-pci,netdev=n (q35, pc)";

/// Starts the first network device.
pub fn open() -> Result<Arc<dyn NetDevice>, &'static str> {
    if let Some(found) = net::open_mmio(virtio_windows())? {
        let first = if power::has_io_apic(u32::from(apic::IO_LINES)) { apic::IO_LINES } else { FIRST_LINE };
        // There are at most 24 windows.
        apic::route(first + found.window as u8, VECTOR_NETWORK, apic::Trigger::Level);
        return Ok(found.device);
    }
    let messages = [VECTOR_NETWORK, VECTOR_NETWORK_STATE].map(u32::from);
    net::open_pci(&pci::Ports, apic::doorbell(), messages)?.ok_or(NO_DEVICE)
}
