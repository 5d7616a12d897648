//! The network device, on virtio-mmio or PCI, and what its interrupt does.

use super::{Identity, find};
use crate::bare::{NETWORK, fatal, memory};
use crate::cpu;
use crate::virtio::net::VirtioNet;
use crate::virtio::pci::{self, ConfigSpace, Region};
use crate::virtio::pci_transport::{PciTransport, QUEUES_VECTOR, Registers, STATE_VECTOR};
use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use mwasm_ports::net_device::NetDevice;
use virtio_drivers::transport::{DeviceType, Transport};

/// Registers of virtio-mmio, as byte offsets (virtio 1.2, section 4.2.2): why it interrupts, and that this was handled.
const INTERRUPT_STATUS: usize = 0x60;
const INTERRUPT_ACK: usize = 0x64;
/// Interrupt status: the device has changed its state.
const CONFIGURATION_CHANGED: u32 = 1 << 1;

/// Registers of the network device; 0 while there is none on virtio-mmio.
static REGISTERS: AtomicUsize = AtomicUsize::new(0);

/// A network device on virtio-mmio, in use.
pub struct Mmio {
    /// Which of the windows it is in.
    pub window: usize,
    /// The device.
    pub device: Arc<dyn NetDevice>,
}

/// Starts the first network device among virtio-mmio `windows` (physical address and length in bytes), if there is one. Its interrupt
/// is to be routed to [`interrupt`].
pub fn open_mmio(windows: impl Iterator<Item = (u64, usize)>) -> Result<Option<Mmio>, &'static str> {
    let Some(found) = find(windows, DeviceType::Network) else { return Ok(None) };
    let device = start(found.transport)?;
    REGISTERS.store(found.registers.as_ptr() as usize, Relaxed);
    Ok(Some(Mmio { window: found.window, device }))
}

/// Starts the first network device on PCI, if there is one: its queues interrupt by writing the first number to `doorbell`, its state
/// by writing the second one.
pub fn open_pci(
    config: &impl ConfigSpace,
    doorbell: u64,
    messages: [u32; 2],
) -> Result<Option<Arc<dyn NetDevice>>, &'static str> {
    let Some(function) = pci::find_network(config) else { return Ok(None) };
    let layout = pci::open(config, function)?;
    let vectors = map(layout.vectors).ok_or("the network device's table of interrupts is where none can be")?;
    for (vector, message) in [(QUEUES_VECTOR, messages[0]), (STATE_VECTOR, messages[1])] {
        // Address, message, and that it is not masked.
        let entry = [doorbell as u32, (doorbell >> 32) as u32, message, 0];
        for (at, word) in entry.into_iter().enumerate() {
            vectors.write(usize::from(vector) * pci::VECTOR_BYTES as usize + 4 * at, word);
        }
    }
    layout.enable_vectors(config, function);
    start(PciTransport::new(&layout, map)?).map(Some)
}

/// Makes registers accessible, unless there is memory.
fn map(region: Region) -> Option<Registers> {
    let bytes = region.bytes as usize;
    let start = NonNull::new(memory::map_device(region.address, bytes)?)?;
    // SAFETY: they were just mapped, as registers.
    region.address.is_multiple_of(4).then(|| unsafe { Registers::new(start, bytes) })
}

/// Starts a network device. Its interrupts are to ring [`NETWORK`].
fn start<T: Transport + Send + 'static>(transport: T) -> Result<Arc<dyn NetDevice>, &'static str> {
    Ok(Arc::new(VirtioNet::<Identity, T>::start(transport, &NETWORK, complain)?))
}

fn complain(why: &'static str) {
    fatal::say(format_args!("mwasm: the network device broke its protocol, and is not used any more: {why}\n"));
}

/// For the handler of the device's interrupt: lowers its line, if it has one, and rings the bell.
pub fn interrupt() {
    let registers = REGISTERS.load(Relaxed);
    if registers != 0 {
        // SAFETY: these are registers of a device on virtio-mmio; reading one has no effect, and writing the other lowers its line.
        let status = unsafe {
            let status = cpu::read_register(registers + INTERRUPT_STATUS);
            cpu::write_register(registers + INTERRUPT_ACK, status);
            status
        };
        if status & CONFIGURATION_CHANGED != 0 {
            NETWORK.ring_link();
        }
    }
    NETWORK.ring();
}
