//! The network device on virtio-mmio, and what its interrupt does.

use super::{Identity, find};
use crate::bare::{NETWORK, fatal};
use crate::cpu;
use crate::virtio::net::VirtioNet;
use alloc::sync::Arc;
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

/// Starts a network device. Its interrupts are to ring [`NETWORK`].
pub fn start<T: Transport + Send + 'static>(transport: T) -> Result<Arc<dyn NetDevice>, &'static str> {
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
