//! A virtio device on PCI: where it is, where its registers are, and how it interrupts (PCI Local Bus 3.0; virtio 1.2, section 4.1).
//!
//! Firmware has given addresses to the registers already. Of what the device says of itself nothing is believed that could lead
//! elsewhere: lists have an end, and whoever maps registers refuses memory.

/// Where a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The bus.
    pub bus: u8,
    /// Its place there, below 32.
    pub device: u8,
    /// One of the functions of the device, below 8.
    pub function: u8,
}

/// How the configuration of functions is read and written.
pub trait ConfigSpace {
    /// The 32 bits at `offset` (a multiple of 4); all ones if there is no such function.
    fn read(&self, function: Function, offset: u8) -> u32;
    /// Writes the 32 bits at `offset` (a multiple of 4).
    fn write(&self, function: Function, offset: u8, value: u32);
}

/// Registers, at a physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first byte.
    pub address: u64,
    /// Bytes.
    pub bytes: u32,
}

/// Where a virtio device has its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The structure for all types of devices.
    pub common: Region,
    /// Where the device is notified.
    pub notify: Region,
    /// Bytes from one queue's place there to the next.
    pub notify_multiplier: u32,
    /// The structure of this type of device.
    pub device: Region,
    /// The table of message-signalled interrupts.
    pub vectors: Region,
    /// Where in the configuration these interrupts are turned on.
    vectors_at: u8,
}

const VENDOR_VIRTIO: u16 = 0x1af4;
/// A network device that legacy drivers could use, too, and one that they could not.
const NETWORK_DEVICES: [u16; 2] = [0x1000, 0x1041];

/// Devices on a bus, and functions of a device.
const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;
/// The configuration, as byte offsets.
const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const HEADER_TYPE: u8 = 0x0c;
const FIRST_BAR: u8 = 0x10;
const BUSES: u8 = 0x18;
const CAPABILITIES: u8 = 0x34;
/// Number of the vendor where no function is.
const NOBODY: u16 = 0xffff;
/// Command: registers in memory answer, and the device may read and write memory.
const MEMORY_AND_MASTER: u32 = 1 << 1 | 1 << 2;
/// Status, in the upper half of the command's word: there are capabilities.
const HAS_CAPABILITIES: u32 = 1 << 20;
/// Header type: a bridge to another bus; more than one function.
const BRIDGE: u8 = 1;
const MANY: u8 = 0x80;
/// The first capability lies behind the standard header, at a multiple of this many bytes; so many fit in the configuration.
const CAPABILITY_ALIGN: u8 = 4;
const MAX_CAPABILITIES: usize = 48;
/// Types of capabilities: of the vendor, and message-signalled interrupts with a table.
const CAPABILITY_VENDOR: u8 = 0x09;
const CAPABILITY_MSIX: u8 = 0x11;
/// Types of virtio's capabilities.
const VIRTIO_COMMON: u8 = 1;
const VIRTIO_NOTIFY: u8 = 2;
const VIRTIO_DEVICE: u8 = 4;
/// BARs of a function, and the types of them: I/O ports; 64 bits of memory address.
const BARS: u8 = 6;
const BAR_PORTS: u32 = 1;
const BAR_TYPE: u32 = 6;
const BAR_64: u32 = 4;
const BAR_FLAGS: u32 = 0xf;
/// MSI-X control: on; all masked; one less than the length of the table.
const MSIX_ON: u32 = 1 << 31;
const MSIX_MASKED: u32 = 1 << 30;
const MSIX_LENGTH: u32 = 0x7ff;
/// Registers behind this many bytes are not looked at.
const MAX_REGION_BYTES: u32 = 64 << 10;
/// Bytes of an entry of the table.
pub const VECTOR_BYTES: u32 = 16;

/// The first virtio network device on any bus that firmware has set up.
pub fn find_network(config: &impl ConfigSpace) -> Option<Function> {
    let mut buses = [false; 256];
    buses[0] = true;
    for bus in 0..=u8::MAX {
        if !buses[usize::from(bus)] {
            continue;
        }
        for device in 0..DEVICES {
            for function in 0..FUNCTIONS {
                let at = Function { bus, device, function };
                let id = config.read(at, ID);
                let header = (config.read(at, HEADER_TYPE) >> 16) as u8;
                match id as u16 {
                    VENDOR_VIRTIO if NETWORK_DEVICES.contains(&((id >> 16) as u16)) => return Some(at),
                    NOBODY => {}
                    _ if header & !MANY == BRIDGE => buses[usize::from((config.read(at, BUSES) >> 8) as u8)] = true,
                    _ => {}
                }
                if function == 0 && (id as u16 == NOBODY || header & MANY == 0) {
                    break;
                }
            }
        }
    }
    None
}

/// Reads where a device has its registers, and lets them answer.
pub fn open(config: &impl ConfigSpace, function: Function) -> Result<Layout, &'static str> {
    let command = config.read(function, COMMAND);
    config.write(function, COMMAND, command & 0xffff | MEMORY_AND_MASTER);
    let (mut common, mut notify, mut device, mut msix) = (None, None, None, None);
    for at in capabilities(config, function, command) {
        let word = config.read(function, at);
        match (word as u8, (word >> 24) as u8) {
            (CAPABILITY_VENDOR, VIRTIO_COMMON) => common = common.or_else(|| region(config, function, at)),
            (CAPABILITY_VENDOR, VIRTIO_NOTIFY) => {
                let multiplier = at.checked_add(16).map(|at| config.read(function, at));
                notify = notify.or_else(|| region(config, function, at).zip(multiplier));
            }
            (CAPABILITY_VENDOR, VIRTIO_DEVICE) => device = device.or_else(|| region(config, function, at)),
            (CAPABILITY_MSIX, _) => msix = vectors(config, function, at).map(|table| (table, at)),
            _ => {}
        }
    }
    let (notify, notify_multiplier) = notify.ok_or(NO_REGISTERS)?;
    let (vectors, vectors_at) = msix.ok_or("the network device has no message-signalled interrupts (MSI-X)")?;
    let (common, device) = common.zip(device).ok_or(NO_REGISTERS)?;
    Ok(Layout { common, notify, notify_multiplier, device, vectors, vectors_at })
}

const NO_REGISTERS: &str =
    "the network device has no registers as virtio 1.0 wants them, or firmware gave them no addresses";

impl Layout {
    /// A layout without interrupts.
    #[cfg(test)]
    pub(super) fn of(common: Region, notify: Region, notify_multiplier: u32, device: Region) -> Self {
        let vectors = Region { address: 0, bytes: 0 };
        Self { common, notify, notify_multiplier, device, vectors, vectors_at: 0 }
    }

    /// Turns message-signalled interrupts on; the table has been filled in.
    pub fn enable_vectors(&self, config: &impl ConfigSpace, function: Function) {
        let control = config.read(function, self.vectors_at);
        config.write(function, self.vectors_at, control & !MSIX_MASKED | MSIX_ON);
    }
}

/// Offsets of a function's capabilities. The list may lie, but not go on for ever.
fn capabilities(config: &impl ConfigSpace, function: Function, command: u32) -> impl Iterator<Item = u8> {
    let first = if command & HAS_CAPABILITIES != 0 { config.read(function, CAPABILITIES) as u8 } else { 0 };
    let aligned = |at: u8| Some(at & !(CAPABILITY_ALIGN - 1)).filter(|at| *at > CAPABILITIES);
    let next = move |at: &u8| aligned((config.read(function, *at) >> 8) as u8);
    core::iter::successors(aligned(first), next).take(MAX_CAPABILITIES)
}

/// The registers that a capability of virtio's at `at` describes (`struct virtio_pci_cap`).
fn region(config: &impl ConfigSpace, function: Function, at: u8) -> Option<Region> {
    let word = |offset: u8| at.checked_add(offset).map(|at| config.read(function, at));
    let (bar, offset, bytes) = (word(4)? as u8, word(8)?, word(12)?);
    Some(Region {
        address: bar_address(config, function, bar)?.checked_add(offset.into())?,
        bytes: bytes.min(MAX_REGION_BYTES),
    })
}

/// The table of interrupts that the capability at `at` describes; as much of it as is used here.
fn vectors(config: &impl ConfigSpace, function: Function, at: u8) -> Option<Region> {
    let entries = (config.read(function, at) >> 16 & MSIX_LENGTH) + 1;
    let place = config.read(function, at.checked_add(4)?);
    let address = bar_address(config, function, (place & 7) as u8)?.checked_add(u64::from(place & !7))?;
    Some(Region { address, bytes: entries * VECTOR_BYTES })
}

/// The physical address that firmware gave to registers in memory.
fn bar_address(config: &impl ConfigSpace, function: Function, bar: u8) -> Option<u64> {
    let read = |bar: u8| (bar < BARS).then(|| config.read(function, FIRST_BAR + 4 * bar));
    let low = read(bar)?;
    let high = match low & (BAR_PORTS | BAR_TYPE) {
        0 => 0,
        BAR_64 => read(bar + 1)?,
        _ => return None,
    };
    Some(u64::from(high) << 32 | u64::from(low & !BAR_FLAGS)).filter(|address| *address != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::vec;
    use std::vec::Vec;

    /// Functions by place, each with its 256 bytes.
    #[derive(Default)]
    struct Machine(RefCell<HashMap<(u8, u8, u8), Vec<u8>>>);

    impl Machine {
        fn put(&self, function: Function, words: &[(u8, u32)]) {
            let mut bytes = vec![0; 256];
            for (at, word) in words {
                bytes[usize::from(*at)..][..4].copy_from_slice(&word.to_le_bytes());
            }
            self.0.borrow_mut().insert((function.bus, function.device, function.function), bytes);
        }
    }

    impl ConfigSpace for Machine {
        fn read(&self, function: Function, offset: u8) -> u32 {
            assert!(offset.is_multiple_of(4));
            let functions = self.0.borrow();
            let bytes = functions.get(&(function.bus, function.device, function.function));
            bytes.map_or(!0, |bytes| u32::from_le_bytes(bytes[usize::from(offset)..][..4].try_into().unwrap()))
        }

        fn write(&self, function: Function, offset: u8, value: u32) {
            let mut functions = self.0.borrow_mut();
            let bytes = functions.get_mut(&(function.bus, function.device, function.function)).unwrap();
            bytes[usize::from(offset)..][..4].copy_from_slice(&value.to_le_bytes());
        }
    }

    const AT: Function = Function { bus: 3, device: 5, function: 1 };

    /// QEMU's virtio-net-pci behind a bridge.
    fn machine() -> Machine {
        let machine = Machine::default();
        machine.put(Function { bus: 0, device: 0, function: 0 }, &[(ID, 0x29c0_8086)]);
        machine.put(
            Function { bus: 0, device: 2, function: 0 },
            &[(ID, 0x000c_1b36), (HEADER_TYPE, 1 << 16), (BUSES, 0x0003_0300)],
        );
        machine.put(Function { bus: 3, device: 5, function: 0 }, &[(ID, 0x1005_1af4), (HEADER_TYPE, 0x80 << 16)]);
        machine.put(
            AT,
            &[
                (ID, 0x1041_1af4),
                (COMMAND, HAS_CAPABILITIES | 1),
                (FIRST_BAR + 4, 0xfebd_1000),
                (FIRST_BAR + 16, 0xfe00_000c),
                (FIRST_BAR + 20, 0x7),
                (CAPABILITIES, 0x98),
                (0x98, 0x0002_8411),
                (0x9c, 1),
                (0x84, 0x0510_7009),
                (0x70, 0x0214_6009),
                (0x74, 4),
                (0x78, 0x3000),
                (0x7c, 0x1000),
                (0x80, 4),
                (0x60, 0x0410_5009),
                (0x64, 4),
                (0x68, 0x2000),
                (0x6c, 0x1000),
                (0x50, 0x0110_0009),
                (0x54, 4),
                (0x58, 0),
                (0x5c, 0x1000),
            ],
        );
        machine
    }

    #[test]
    fn qemus_device_is_found_behind_a_bridge() {
        let machine = machine();
        assert_eq!(find_network(&machine), Some(AT));
        let layout = open(&machine, AT).unwrap();
        let region = |address, bytes| Region { address, bytes };
        assert_eq!((layout.common, layout.device), (region(0x7_fe00_0000, 0x1000), region(0x7_fe00_2000, 0x1000)));
        assert_eq!((layout.notify, layout.notify_multiplier), (region(0x7_fe00_3000, 0x1000), 4));
        assert_eq!(layout.vectors, region(0xfebd_1000, 48));
        assert_eq!(machine.read(AT, COMMAND), 7);
        layout.enable_vectors(&machine, AT);
        assert_eq!(machine.read(AT, 0x98), 0x8002_8411);
    }

    #[test]
    fn what_is_missing_is_said() {
        for (at, value, why) in
            [(0x98, 0x0002_84ff, "MSI-X"), (0x50, 0, "registers"), (FIRST_BAR + 16, 0xc001, "registers")]
        {
            let machine = machine();
            machine.write(AT, at, value);
            assert!(open(&machine, AT).unwrap_err().contains(why));
        }
        assert_eq!(find_network(&Machine::default()), None);
    }

    #[test]
    fn a_list_in_a_circle_ends() {
        let machine = machine();
        machine.write(AT, 0x50, 0x0110_9809);
        assert!(open(&machine, AT).is_ok());
        assert_eq!(capabilities(&machine, AT, HAS_CAPABILITIES).count(), MAX_CAPABILITIES);
    }

    proptest! {
        #[test]
        fn damage_never_panics(changes in prop::collection::vec((0u8..64, any::<u32>()), 0..20)) {
            let machine = machine();
            for (word, value) in changes {
                machine.write(AT, 4 * word, value);
            }
            if let Some(function) = find_network(&machine) {
                let _ = open(&machine, function);
            }
        }
    }
}
