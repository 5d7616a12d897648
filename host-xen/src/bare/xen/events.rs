//! Event channels: Xen's interrupts. All arrive at one vector; bits in the shared page say which.

use super::super::interrupts::VECTOR_XEN;
use super::hypercall::Hypervisor;
use super::{console, shared, store};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use mwasm_xen::hypercall::{Hypercalls, NO_MEMORY, Refused};

/// Parameter of the domain: how upcalls come; the value's top byte 2 says "at this vector".
const PARAM_CALLBACK: u32 = 0;
const CALLBACK_VECTOR: u64 = 2 << 56;
/// The virtual interrupt of the timer.
const VIRQ_TIMER: u32 = 0;
/// The most event channels of the network device: one for each direction.
const NETWORK_PORTS: usize = 2;
/// Ports that this domain may wait for at the same time: timer, console, xenstore, network.
const PORTS: usize = 3 + NETWORK_PORTS;

static TIMER: AtomicU32 = AtomicU32::new(0);
/// The network device's event channels; 0 is none.
static NETWORK: [AtomicU32; NETWORK_PORTS] = [const { AtomicU32::new(0) }; NETWORK_PORTS];

/// Makes upcalls come, and the timer's among them.
pub fn start() -> Result<(), Refused> {
    TIMER.store(Hypervisor.bind_virq("a timer", VIRQ_TIMER)?, Relaxed);
    Hypervisor.stop_periodic_timer();
    Hypervisor.set_hvm_param("interrupts by event channel", PARAM_CALLBACK, CALLBACK_VECTOR | u64::from(VECTOR_XEN))
}

/// The timer's event channel.
pub fn timer() -> u32 {
    TIMER.load(Relaxed)
}

/// Rings at `deadline_ns`.
pub fn arm(deadline_ns: u64) {
    Hypervisor.set_timer(deadline_ns);
}

/// A new event channel to domain `remote`, for the network device.
pub fn open_network_port(remote: u16) -> Result<u32, Refused> {
    let what = "an event channel for the network device";
    let free = NETWORK.iter().find(|port| port.load(Relaxed) == 0).ok_or(Refused { what, error: NO_MEMORY })?;
    let port = Hypervisor.allocate_port(what, remote)?;
    free.store(port, Relaxed);
    Ok(port)
}

/// Closes an event channel of the network device.
pub fn close_network_port(port: u32) {
    for slot in &NETWORK {
        // A port that is closed twice may be somebody else's by then.
        if slot.compare_exchange(port, 0, Relaxed, Relaxed).is_ok() {
            Hypervisor.close_port(port);
        }
    }
}

/// Whether an event is the network device's.
pub fn is_network(port: u32) -> bool {
    NETWORK.iter().any(|slot| slot.load(Relaxed) == port)
}

/// Waits until any event has come that somebody here waits for. Interrupts are off.
pub fn wait() {
    let mut ports = [timer(), console::port(), store::port(), 0, 0];
    let mut count = PORTS - NETWORK_PORTS;
    for port in NETWORK.iter().map(|slot| slot.load(Relaxed)).filter(|port| *port != 0) {
        if let Some(slot) = ports.get_mut(count) {
            *slot = port;
            count += 1;
        }
    }
    Hypervisor.poll(ports.get(..count).unwrap_or_default(), 0);
}

/// Calls `f` with the port of each event that has come.
pub fn take(f: impl Fn(u32)) {
    if let Some(events) = shared::events() {
        events.take(f);
    }
}

/// Forgets that an event is pending, before it is waited for.
pub fn forget(port: u32) {
    if let Some(events) = shared::events() {
        events.forget(port);
    }
}
