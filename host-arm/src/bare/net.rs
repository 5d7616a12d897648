//! The network device's interrupt, and the device where it is virtio-net on virtio-mmio.
//!
//! The handler of interrupts knows no device: whoever opens one says what its interrupt does. So an image without network has none of it.

use super::gic;
use crate::devices::Devices;
use alloc::sync::Arc;
use mwasm_host_metal::bare::virtio::net;
use mwasm_host_metal::cpu::without_interrupts;
use mwasm_host_metal::exclusive::Exclusive;
use mwasm_ports::net_device::NetDevice;

/// What to say where an app needs a network and there is none.
const NO_DEVICE: &str = "the app needs a network and this machine has no virtio network device; give QEMU \
    -netdev user,id=n,hostfwd=tcp:127.0.0.1:8080-:80 -device virtio-net-device,netdev=n";

/// The device's interrupt, and what it does.
static ROUTE: Exclusive<Option<(u32, fn())>> = Exclusive::new(None);

/// Starts the first network device.
pub fn open(devices: &Devices) -> Result<Arc<dyn NetDevice>, &'static str> {
    let found = net::open_mmio(devices.virtio_windows())?.ok_or(NO_DEVICE)?;
    if let Some(device) = devices.virtio.get(found.window) {
        route(device.interrupt, net::interrupt);
    }
    Ok(found.device)
}

/// Lets the device's interrupt through, to `handler`.
pub fn route(interrupt: u32, handler: fn()) {
    without_interrupts(|| ROUTE.try_with(|route| *route = Some((interrupt, handler))));
    gic::enable(interrupt);
}

/// What is to be done for an interrupt, if it is the device's.
pub fn handler(number: u32) -> Option<fn()> {
    let (interrupt, handler) = ROUTE.try_with(|route| *route).flatten()?;
    (interrupt == number).then_some(handler)
}
