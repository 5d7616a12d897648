//! The real-time clock: an Arm PL031 (DDI 0224), which counts seconds since 1970.

use super::registers::read_32;
use crate::devices::Window;
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::page::Prot;
use mwasm_host_metal::tables::Kind;
use mwasm_ports::NANOS_PER_SECOND;

const DATA: usize = 0;
const WINDOW_BYTES: usize = 0x1000;

/// Nanoseconds since 1970.
pub fn now_ns(window: Window) -> Option<u64> {
    let base = memory::map_physical(window.base, WINDOW_BYTES, Prot::READ, Kind::Device).ok()?;
    Some(u64::from(read_32(base as usize, DATA)) * NANOS_PER_SECOND)
}
