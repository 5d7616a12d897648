//! The serial port: an Arm PL011 (DDI 0183), or the part of it that the Server Base System Architecture prescribes.

use super::registers::{read_32, write_32};
use crate::devices::Device;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::page::Prot;
use mwasm_host_metal::tables::Kind;
use mwasm_ports::Ready;

const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const LINE_CONTROL: usize = 0x2c;
const CONTROL: usize = 0x30;
/// Which events interrupt.
const INTERRUPT_MASK: usize = 0x38;
const INTERRUPT_CLEAR: usize = 0x44;
/// Bytes of the registers.
const WINDOW_BYTES: usize = 0x1000;

const FLAG_BUSY: u32 = 1 << 3;
const FLAG_INPUT_EMPTY: u32 = 1 << 4;
const FLAG_OUTPUT_FULL: u32 = 1 << 5;
/// Line control: 8 bits, with FIFOs.
const LINE_8_FIFO: u32 = 3 << 5 | 1 << 4;
/// Control: on, transmitting and receiving.
const CONTROL_ON: u32 = 1 | 1 << 8 | 1 << 9;
/// Received something, or a while ago.
const EVENT_INPUT: u32 = 1 << 4 | 1 << 6;
const EVENT_OUTPUT: u32 = 1 << 5;
/// How often the last byte's departure is looked for before the machine goes off anyway.
const DRAIN_TRIES: u32 = 1_000_000;

/// Address of the registers; 0 while there is no port.
static BASE: AtomicUsize = AtomicUsize::new(0);

/// Sets the port up. The flag is whether it is a whole PL011. The speed stays as firmware left it.
pub fn start(port: Option<(Device, bool)>) {
    let Some((device, whole)) = port else { return };
    let Ok(base) = memory::map_physical(device.window.base, WINDOW_BYTES, Prot::READ_WRITE, Kind::Device) else {
        return;
    };
    let base = base as usize;
    write_32(base, INTERRUPT_MASK, 0);
    write_32(base, INTERRUPT_CLEAR, EVENT_OUTPUT);
    if whole {
        write_32(base, CONTROL, 0);
        write_32(base, LINE_CONTROL, LINE_8_FIFO);
        write_32(base, CONTROL, CONTROL_ON);
    }
    BASE.store(base, Relaxed);
}

fn base() -> Option<usize> {
    Some(BASE.load(Relaxed)).filter(|base| *base != 0)
}

/// Hands over bytes while the transmitter takes them. Without a port nobody listens, and all are taken.
pub fn write(bytes: &[u8]) -> usize {
    let Some(base) = base() else { return bytes.len() };
    let mut taken = 0;
    for byte in bytes {
        if read_32(base, FLAGS) & FLAG_OUTPUT_FULL != 0 {
            break;
        }
        write_32(base, DATA, u32::from(*byte));
        taken += 1;
    }
    taken
}

/// Takes what has arrived.
pub fn read(into: &mut [u8]) -> usize {
    let Some(base) = base() else { return 0 };
    let mut taken = 0;
    for slot in into {
        if read_32(base, FLAGS) & FLAG_INPUT_EMPTY != 0 {
            break;
        }
        *slot = read_32(base, DATA) as u8;
        taken += 1;
    }
    taken
}

/// What of `interest` is ready; an interrupt comes for the rest.
pub fn ready(interest: Ready) -> Ready {
    let Some(base) = base() else {
        return if interest.contains(Ready::CONSOLE_OUT) { Ready::CONSOLE_OUT } else { Ready::NONE };
    };
    let (mut ready, mut events) = (Ready::NONE, 0);
    for (event, busy, interrupts) in
        [(Ready::CONSOLE_IN, FLAG_INPUT_EMPTY, EVENT_INPUT), (Ready::CONSOLE_OUT, FLAG_OUTPUT_FULL, EVENT_OUTPUT)]
    {
        if interest.contains(event) {
            events |= interrupts;
            if read_32(base, FLAGS) & busy == 0 {
                ready = ready.with(event);
            }
        }
    }
    write_32(base, INTERRUPT_MASK, events);
    ready
}

/// For the handler: no more interrupts until [`ready`] asks for them again.
pub fn silence() {
    if let Some(base) = base() {
        write_32(base, INTERRUPT_MASK, 0);
    }
}

/// Waits (not for ever) until the last byte has left.
pub fn drain() {
    if let Some(base) = base() {
        let _ = (0..DRAIN_TRIES).find(|_| read_32(base, FLAGS) & FLAG_BUSY == 0);
    }
}
