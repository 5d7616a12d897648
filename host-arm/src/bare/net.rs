//! The network device: virtio-net on virtio-mmio.

use super::gic;
use crate::devices::Devices;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use mwasm_host_metal::bare::virtio::net;
use mwasm_ports::net_device::NetDevice;

/// What to say where an app needs a network and there is none.
const NO_DEVICE: &str = "the app needs a network and this machine has no virtio network device; give QEMU \
    -netdev user,id=n,hostfwd=tcp:127.0.0.1:8080-:80 -device virtio-net-device,netdev=n";

/// The device's interrupt; 0 while there is none, which is no shared one.
static INTERRUPT: AtomicU32 = AtomicU32::new(0);

/// Starts the first network device.
pub fn open(devices: &Devices) -> Result<Arc<dyn NetDevice>, &'static str> {
    let found = net::open_mmio(devices.virtio_windows())?.ok_or(NO_DEVICE)?;
    if let Some(device) = devices.virtio.get(found.window) {
        INTERRUPT.store(device.interrupt, Relaxed);
        gic::enable(device.interrupt);
    }
    Ok(found.device)
}

/// Whether this is the device's interrupt.
pub fn is_interrupt(number: u32) -> bool {
    number == INTERRUPT.load(Relaxed)
}
