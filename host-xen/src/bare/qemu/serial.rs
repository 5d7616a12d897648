//! The first serial port: a 16550A at I/O port 0x3f8.

use super::super::io;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};
use mwasm_ports::Ready;

const BASE: u16 = 0x3f8;
/// Received and transmitted bytes.
const DATA: u16 = BASE;
/// Which events interrupt.
const INTERRUPT_ENABLE: u16 = BASE + 1;
const FIFO_CONTROL: u16 = BASE + 2;
const LINE_CONTROL: u16 = BASE + 3;
const MODEM_CONTROL: u16 = BASE + 4;
const LINE_STATUS: u16 = BASE + 5;
/// Holds any byte: tells whether there is a port at all.
const SCRATCH: u16 = BASE + 7;

/// FIFO control: on, and an interrupt for input when 14 of its 16 bytes are there, or when no more has come for the time of
/// four bytes. QEMU hands over no more than that at a time, so less would make input slow.
const FIFO_ON: u8 = 1 | 3 << 6;
/// Line control: 8 bits, no parity, 1 stop bit.
const LINE_8N1: u8 = 3;
/// Line control: the first two registers are the divisor of 115200 baud.
const LINE_DIVISOR: u8 = 1 << 7;
/// Modem control: the receiver is connected to the transmitter, not to the line.
const MODEM_LOOP: u8 = 1 << 4;
/// Modem control: ready, and the interrupt line connected (OUT2).
const MODEM_READY: u8 = 1 | 2 | 8;
const ENABLE_RECEIVED: u8 = 1;
const ENABLE_EMPTY: u8 = 2;
const STATUS_RECEIVED: u8 = 1;
const STATUS_EMPTY: u8 = 1 << 5;
const STATUS_IDLE: u8 = 1 << 6;
/// Bytes that the transmitter takes when it says that it is empty.
const FIFO_BYTES: usize = 16;
/// How often the last byte's departure is looked for before the machine goes off anyway.
const DRAIN_TRIES: u32 = 1_000_000;
/// A byte that a port holds and that no port (all ones) does not.
const PROBE: u8 = 0x5a;

/// Says in [`EARLY`] that there is a byte.
const IS_BYTE: u16 = 1 << 8;

static PRESENT: AtomicBool = AtomicBool::new(false);
/// The byte that arrived before the FIFO was on, if one did: turning the FIFO on throws it away.
static EARLY: AtomicU16 = AtomicU16::new(0);

/// Sets the port up, if there is one, for its highest speed (of which only the wait for more input is real on QEMU).
///
/// Without its FIFO the port holds one byte, and what comes next waits on the line until that is read. So the line is taken
/// off for as long as it takes to read the byte and to turn the FIFO on.
pub fn start() {
    io::write_8(SCRATCH, PROBE);
    if io::read_8(SCRATCH) == PROBE {
        io::write_8(INTERRUPT_ENABLE, 0);
        io::write_8(LINE_CONTROL, LINE_DIVISOR);
        io::write_8(DATA, 1);
        io::write_8(INTERRUPT_ENABLE, 0);
        io::write_8(LINE_CONTROL, LINE_8N1);
        io::write_8(MODEM_CONTROL, MODEM_LOOP);
        if io::read_8(LINE_STATUS) & STATUS_RECEIVED != 0 {
            EARLY.store(IS_BYTE | u16::from(io::read_8(DATA)), Relaxed);
        }
        io::write_8(FIFO_CONTROL, FIFO_ON);
        io::write_8(MODEM_CONTROL, MODEM_READY);
        PRESENT.store(true, Relaxed);
    }
}

/// Hands over bytes while the transmitter takes them. Without a port nobody listens, and all are taken.
pub fn write(bytes: &[u8]) -> usize {
    if !PRESENT.load(Relaxed) {
        return bytes.len();
    }
    let mut taken = 0;
    for chunk in bytes.chunks(FIFO_BYTES) {
        if io::read_8(LINE_STATUS) & STATUS_EMPTY == 0 {
            break;
        }
        for byte in chunk {
            io::write_8(DATA, *byte);
        }
        taken += chunk.len();
    }
    taken
}

/// Takes what has arrived.
pub fn read(into: &mut [u8]) -> usize {
    let mut taken = 0;
    for slot in into {
        let Some(byte) = take_early().or_else(take) else { break };
        *slot = byte;
        taken += 1;
    }
    taken
}

fn take_early() -> Option<u8> {
    let early = EARLY.swap(0, Relaxed);
    (early & IS_BYTE != 0).then_some(early as u8)
}

fn take() -> Option<u8> {
    let has_input = PRESENT.load(Relaxed) && io::read_8(LINE_STATUS) & STATUS_RECEIVED != 0;
    has_input.then(|| io::read_8(DATA))
}

/// What of `interest` is ready; an interrupt comes for the rest.
pub fn ready(interest: Ready) -> Ready {
    if !PRESENT.load(Relaxed) {
        return if interest.contains(Ready::CONSOLE_OUT) { Ready::CONSOLE_OUT } else { Ready::NONE };
    }
    let mut enable = 0;
    let mut ready = Ready::NONE;
    for (event, status, interrupt) in
        [(Ready::CONSOLE_IN, STATUS_RECEIVED, ENABLE_RECEIVED), (Ready::CONSOLE_OUT, STATUS_EMPTY, ENABLE_EMPTY)]
    {
        if interest.contains(event) {
            enable |= interrupt;
            let is_early = event == Ready::CONSOLE_IN && EARLY.load(Relaxed) != 0;
            if is_early || io::read_8(LINE_STATUS) & status != 0 {
                ready = ready.with(event);
            }
        }
    }
    // The line to the interrupt controller only counts when it rises, so it must fall in between.
    io::write_8(INTERRUPT_ENABLE, 0);
    io::write_8(INTERRUPT_ENABLE, enable);
    ready
}

/// Waits (not for ever) until the last byte has left.
pub fn drain() {
    if PRESENT.load(Relaxed) {
        let _ = (0..DRAIN_TRIES).find(|_| io::read_8(LINE_STATUS) & STATUS_IDLE != 0);
    }
}
