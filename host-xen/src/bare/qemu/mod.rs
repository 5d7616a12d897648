//! QEMU's machines: microvm, q35 and pc, emulated or on KVM.

mod apic;
mod clock;
pub mod network;
mod pci;
mod power;
mod rtc;
mod serial;

pub use power::set_root;

use super::interrupts::{VECTOR_CONSOLE, VECTOR_NETWORK, VECTOR_NETWORK_STATE, VECTOR_POWER, VECTOR_TIMER};
use mwasm_host_metal::bare::virtio::net;
use mwasm_host_metal::bare::{NETWORK, fatal, request_stop, timer_rang};
use mwasm_host_metal::board::Board;
use mwasm_host_metal::cpu;
use mwasm_ports::{Outcome, Ready};

/// Where microvm has its virtio-mmio windows: the first physical address, bytes of each, and how many there can be.
const VIRTIO_BASE: u64 = 0xfeb0_0000;
const VIRTIO_BYTES: usize = 512;
const VIRTIO_WINDOWS: u64 = 24;

/// Interrupt line of the first serial port.
const SERIAL_LINE: u8 = 4;

struct Qemu;

static BOARD: Qemu = Qemu;

/// The board; its console works at once, the rest after [`start`].
pub fn board() -> &'static dyn Board {
    serial::start();
    &BOARD
}

/// Starts interrupts, clock and power button. `kvm` is whether KVM runs the machine.
pub fn start(kvm: bool) {
    if let Err(error) = apic::start() {
        fatal::end(Outcome::Failed, format_args!("{error}"));
    }
    clock::start(kvm);
    apic::route(SERIAL_LINE, VECTOR_CONSOLE, apic::Trigger::Edge);
    power::start();
}

/// The windows in which virtio-mmio devices may be.
pub fn virtio_windows() -> impl Iterator<Item = (u64, usize)> {
    // Only microvm has them, and only microvm has a generic event device.
    let windows = if power::is_microvm() { VIRTIO_WINDOWS } else { 0 };
    (0..windows).map(|i| (VIRTIO_BASE + i * VIRTIO_BYTES as u64, VIRTIO_BYTES))
}

/// Handles an interrupt. The serial port's needs nothing: it was sent to wake whoever parks.
pub fn interrupt(vector: u8) {
    match vector {
        VECTOR_TIMER => {
            clock::rang();
            timer_rang(&BOARD);
        }
        VECTOR_CONSOLE => {}
        VECTOR_POWER => {
            if power::was_button() {
                request_stop(&BOARD);
            }
        }
        VECTOR_NETWORK => net::interrupt(),
        VECTOR_NETWORK_STATE => NETWORK.ring_link(),
        // A spurious interrupt is not in service, and acknowledging it would acknowledge another one.
        _ => return,
    }
    apic::acknowledge();
}

impl Board for Qemu {
    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }

    fn resolution_ns(&self) -> u64 {
        clock::RESOLUTION_NS
    }

    fn epoch_offset_ns(&self) -> u64 {
        clock::epoch_offset_ns()
    }

    fn arm(&self, deadline_ns: u64) {
        clock::arm(deadline_ns);
    }

    fn halt(&self) {
        cpu::halt();
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        serial::write(bytes)
    }

    fn console_read(&self, into: &mut [u8]) -> usize {
        serial::read(into)
    }

    fn console_ready(&self, interest: Ready) -> Ready {
        serial::ready(interest)
    }

    fn off(&self, outcome: Outcome) -> ! {
        serial::drain();
        power::off(outcome.code())
    }
}
