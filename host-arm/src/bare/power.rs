//! The power button: an input of an Arm PL061 (DDI 0190).

use super::gic;
use super::registers::{read_32, write_32};
use crate::devices::Device;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::page::Prot;
use mwasm_host_metal::tables::Kind;

/// Inputs of a PL061.
const INPUTS: u32 = 8;
/// Whether inputs count by level, by both edges, or by the rising one; which interrupt; which did; forget that.
const LEVEL_SENSE: usize = 0x404;
const BOTH_EDGES: usize = 0x408;
const RISING: usize = 0x40c;
const ENABLE: usize = 0x410;
const PENDING: usize = 0x418;
const CLEAR: usize = 0x41c;
const WINDOW_BYTES: usize = 0x1000;

static BASE: AtomicUsize = AtomicUsize::new(0);
static INTERRUPT: AtomicU32 = AtomicU32::new(0);

/// Asks to be told of the button; the number is its input.
pub fn start(button: Option<(Device, u32)>) {
    let Some((device, input)) = button.filter(|(_, input)| *input < INPUTS) else { return };
    let Ok(base) = memory::map_physical(device.window.base, WINDOW_BYTES, Prot::READ_WRITE, Kind::Device) else {
        return;
    };
    let (base, bit) = (base as usize, 1 << input);
    write_32(base, LEVEL_SENSE, 0);
    write_32(base, BOTH_EDGES, 0);
    write_32(base, RISING, bit);
    write_32(base, CLEAR, bit);
    write_32(base, ENABLE, bit);
    BASE.store(base, Relaxed);
    INTERRUPT.store(device.interrupt, Relaxed);
    gic::enable(device.interrupt);
}

/// Whether this is the button's interrupt.
pub fn is_interrupt(number: u32) -> bool {
    BASE.load(Relaxed) != 0 && number == INTERRUPT.load(Relaxed)
}

/// For the handler: whether the button was pressed since the last time.
pub fn was_button() -> bool {
    let base = BASE.load(Relaxed);
    let pending = read_32(base, PENDING);
    write_32(base, CLEAR, pending);
    pending != 0
}
