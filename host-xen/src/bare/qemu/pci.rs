//! The configuration of PCI devices, by the two I/O ports that q35 and pc have for it. Where they are not, there is no device.

use super::super::io;
use mwasm_host_metal::virtio::pci::{ConfigSpace, Function};

/// Which 32 bits are meant, and their value.
const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
/// Address: the other port is the configuration.
const ENABLE: u32 = 1 << 31;

/// The machine's only segment of PCI.
pub struct Ports;

impl Ports {
    fn select(function: Function, offset: u8) {
        let Function { bus, device, function } = function;
        let place = u32::from(bus) << 16 | u32::from(device & 31) << 11 | u32::from(function & 7) << 8;
        io::write_32(ADDRESS, ENABLE | place | u32::from(offset & !3));
    }
}

impl ConfigSpace for Ports {
    fn read(&self, function: Function, offset: u8) -> u32 {
        Self::select(function, offset);
        io::read_32(DATA)
    }

    fn write(&self, function: Function, offset: u8, value: u32) {
        Self::select(function, offset);
        io::write_32(DATA, value);
    }
}
