//! Interrupt controllers: the local APIC of the processor (Intel SDM volume 3, chapter 11) and the I/O APIC of the
//! machine.

use super::super::interrupts::{VECTOR_SPURIOUS, VECTOR_TIMER};
use super::super::io;
use core::fmt;
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::page::Prot;
use mwasm_host_metal::tables::Kind;

/// Where the identification register, and the address of a message, have the processor's number.
const ID_SHIFT: u32 = 24;
const DOORBELL_ID_SHIFT: u32 = 12;
/// Where all of QEMU's machines have them.
const LOCAL: u64 = 0xfee0_0000;
const IO: u64 = 0xfec0_0000;
/// microvm has a second one.
const IO_SECOND: u64 = 0xfec1_0000;
/// Interrupts of each I/O APIC; those of the second are counted from here.
pub const IO_LINES: u8 = 24;
/// Registers of the local APIC, as byte offsets.
const ID: usize = 0x20;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const REQUESTS: usize = 0x200;
const TIMER: usize = 0x320;
const LINE_0: usize = 0x350;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;
/// Bytes of its registers.
const LOCAL_BYTES: usize = 0x400;
/// Spurious register: the APIC is on.
const ENABLED: u32 = 1 << 8;
/// Vector table entry: no interrupt.
const MASKED: u32 = 1 << 16;
/// Timer entry: start again at zero.
const PERIODIC: u32 = 1 << 17;
const DIVIDE_BY_1: u32 = 0xb;
/// Registers of the I/O APIC, as byte offsets: which register, and its value.
const IO_SELECT: usize = 0;
const IO_WINDOW: usize = 0x10;
const IO_BYTES: usize = 0x20;
/// The first redirection entry; each has two registers.
const IO_ENTRIES: u32 = 0x10;
const IO_LEVEL: u32 = 1 << 15;
/// The old interrupt controllers' mask registers.
const PIC_MASKS: [u16; 2] = [0x21, 0xa1];
/// Reads as this where nothing is.
const NOTHING: u32 = !0;

/// How an interrupt line counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// When it rises.
    Edge,
    /// While it is high.
    Level,
}

/// There is no local APIC, or no memory to map it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoApic;

impl fmt::Display for NoApic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wanted a local APIC at 0xfee00000 and an I/O APIC at 0xfec00000, found none: use QEMU's microvm, q35 or pc")
    }
}

/// Maps both and turns the local one on; the old controllers are silenced.
pub fn start() -> Result<(), NoApic> {
    for (physical, bytes) in [(LOCAL, LOCAL_BYTES), (IO, IO_BYTES)] {
        memory::map_physical(physical, bytes, Prot::READ_WRITE, Kind::Device).map_err(|_| NoApic)?;
    }
    if read(SPURIOUS) == NOTHING {
        return Err(NoApic);
    }
    for port in PIC_MASKS {
        io::write_8(port, 0xff);
    }
    write(LINE_0, MASKED);
    write(TIMER, MASKED | u32::from(VECTOR_TIMER));
    write(TIMER_DIVIDE, DIVIDE_BY_1);
    write(SPURIOUS, ENABLED | u32::from(VECTOR_SPURIOUS));
    Ok(())
}

/// Sends a line of an I/O APIC to a vector of this processor.
pub fn route(line: u8, vector: u8, trigger: Trigger) {
    let (base, line) = if line < IO_LINES { (IO, line) } else { (IO_SECOND, line - IO_LINES) };
    // The first is mapped already. If there is no memory to map the second, its interrupts do not come, and nothing else fails.
    if memory::map_physical(base, IO_BYTES, Prot::READ_WRITE, Kind::Device).is_err() {
        return;
    }
    let entry = IO_ENTRIES + 2 * u32::from(line);
    let level = if trigger == Trigger::Level { IO_LEVEL } else { 0 };
    io_write(base, entry + 1, read(ID));
    io_write(base, entry, u32::from(vector) | level);
}

/// Where a device writes the number of a vector to interrupt this processor (Intel SDM volume 3, section 11.11.1).
pub fn doorbell() -> u64 {
    LOCAL | u64::from(read(ID) >> ID_SHIFT) << DOORBELL_ID_SHIFT
}

/// Tells that the handler of the current interrupt is done.
pub fn acknowledge() {
    write(END_OF_INTERRUPT, 0);
}

/// Lets the timer count from `initial` to zero; then it interrupts, and starts again if `periodic`.
pub fn timer_start(initial: u32, periodic: bool) {
    write(TIMER, u32::from(VECTOR_TIMER) | if periodic { PERIODIC } else { 0 });
    write(TIMER_INITIAL, initial);
}

/// The timer's count.
pub fn timer_count() -> u32 {
    read(TIMER_CURRENT)
}

/// Whether the timer's interrupt waits to be handled.
pub fn timer_is_pending() -> bool {
    let vector = usize::from(VECTOR_TIMER);
    read(REQUESTS + vector / 32 * 0x10) >> (vector % 32) & 1 != 0
}

fn read(register: usize) -> u32 {
    // SAFETY: `start` mapped the registers; none of those used here has an effect when read.
    unsafe { ((LOCAL as usize + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: `start` mapped the registers; they reach no memory of ours.
    unsafe { ((LOCAL as usize + register) as *mut u32).write_volatile(value) };
}

fn io_write(base: u64, register: u32, value: u32) {
    let base = base as usize;
    // SAFETY: `route` mapped the registers; they reach no memory of ours.
    unsafe {
        ((base + IO_SELECT) as *mut u32).write_volatile(register);
        ((base + IO_WINDOW) as *mut u32).write_volatile(value);
    }
}
