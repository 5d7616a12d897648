//! The network: the TCP/IP stack on the machine's device.
//!
//! Only a host's `mwasm_port_network` refers to this, so an image whose app uses no network has none of it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use mwasm_net::{RawCard, Stack};
use mwasm_plan::Plan;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::{Entropy, Ports};

/// Gives the app the machine's card itself, without a stack. A machine that loses its card does not get another one.
pub fn open_raw(ports: &mut Ports, device: Arc<dyn NetDevice>) {
    ports.network = Some(RawCard::new(device, ports.clock.clone(), Box::new(|| None)));
}

/// Gives `ports` a network on `device`, as the plan says. Its secrets come from the app's source of randomness, or, if the app has
/// none, from one that `open_entropy` opens.
pub fn open(
    ports: &mut Ports,
    plan: &Plan<'static>,
    device: Arc<dyn NetDevice>,
    open_entropy: impl FnOnce() -> Option<Arc<dyn Entropy>>,
) -> Result<(), &'static str> {
    let mut seed = [0; 8];
    let source = ports.entropy.clone().or_else(open_entropy);
    let filled = source.is_some_and(|source| source.fill(&mut seed).is_ok());
    let mut seed = u64::from_le_bytes(seed);
    if !filled {
        // Better than the same numbers at every start, and all there is.
        let wall = ports.clock.wall();
        let address = device.info().mac.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        seed = ports.clock.monotonic_ns() ^ wall.as_ns().rotate_left(32) ^ address.rotate_left(16);
    }
    ports.network = Some(Stack::new(device, ports.clock.clone(), seed, &plan.net));
    Ok(())
}
