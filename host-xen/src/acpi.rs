//! The few words of ACPI that switch a machine off, tell that its power button was pressed, and where its interrupts go.
//!
//! Root pointer -> (extended) root table -> fixed description table (FADT) and interrupt controllers (MADT), all of the ACPI
//! specification 6.4, section 5.2. No AML is run: where the FADT leaves something to AML, the two kinds of machines that QEMU emulates are known
//! (`hw/acpi`): q35 and pc have fixed registers, and sleep type 0 is off; microvm is "hardware-reduced", with a generic
//! event device (GED).

use crate::bytes::{u16_at, u32_at, u64_at};

/// Bytes of the root pointer, revision 2.
pub const RSDP_BYTES: usize = 36;
/// Bytes of the header of every table.
pub const HEADER_BYTES: usize = 36;
/// The largest table that is looked at, in bytes.
pub const MAX_TABLE_BYTES: usize = 4096;
/// FADT flag: no fixed registers.
const HARDWARE_REDUCED: u32 = 1 << 20;
/// Where QEMU's GED has its event register, relative to its sleep register, in bytes.
const GED_EVENTS_BEFORE_SLEEP: u64 = 0x200;

/// Where the entries of the table of interrupt controllers begin, in bytes; the type of an I/O APIC, and where that entry has its
/// first interrupt.
const MADT_ENTRIES: usize = 44;
const MADT_IO_APIC: u8 = 1;
const MADT_FIRST_INTERRUPT: usize = 8;

/// A pointer to the table of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its physical address.
    pub address: u64,
    /// Bytes of each pointer in it: 4 or 8.
    pub pointer_bytes: usize,
}

/// How a machine is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// The fixed registers of a PC.
    Fixed {
        /// I/O port of PM1a status; PM1a enable is two ports behind it.
        events: u16,
        /// I/O port of PM1a control.
        control: u16,
        /// I/O port, and the value to write there, to have events delivered as interrupts; port 0 if that is always so.
        enable: (u16, u8),
        /// Pin of the I/O APIC.
        interrupt: u8,
    },
    /// QEMU's generic event device.
    Generic {
        /// Physical address of the event register.
        events: u64,
        /// Physical address of the sleep control register.
        sleep: u64,
    },
}

/// Reads the root pointer.
pub fn parse_root(bytes: &[u8]) -> Option<Root> {
    if !bytes.starts_with(b"RSD PTR ") || !sums_to_zero(bytes.get(..20)?) {
        return None;
    }
    let extended = (bytes.get(15).is_some_and(|revision| *revision >= 2)).then(|| u64_at(bytes, 24)).flatten();
    match extended.filter(|address| *address != 0) {
        Some(address) => Some(Root { address, pointer_bytes: 8 }),
        None => Some(Root { address: u64::from(u32_at(bytes, 16)?), pointer_bytes: 4 }),
    }
}

/// Signature and length of the table that starts with `header`.
pub fn parse_header(header: &[u8]) -> Option<([u8; 4], usize)> {
    let length = usize::try_from(u32_at(header, 4)?).ok()?;
    (HEADER_BYTES..=MAX_TABLE_BYTES).contains(&length).then_some(())?;
    Some((crate::bytes::array(header, 0)?, length))
}

/// The physical addresses in the root table.
pub fn tables(table: &[u8], pointer_bytes: usize) -> impl Iterator<Item = u64> {
    let pointers = table.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(pointer_bytes.max(1));
    pointers.filter_map(|pointer| u64_at(pointer, 0).or_else(|| u32_at(pointer, 0).map(u64::from)))
}

/// Reads the fixed description table (`FACP`).
pub fn parse_fixed(table: &[u8]) -> Option<Power> {
    if !table.starts_with(b"FACP") || !sums_to_zero(table) {
        return None;
    }
    if u32_at(table, 112)? & HARDWARE_REDUCED != 0 {
        let sleep = u64_at(table, 248).filter(|address| *address > GED_EVENTS_BEFORE_SLEEP)?;
        return Some(Power::Generic { events: sleep - GED_EVENTS_BEFORE_SLEEP, sleep });
    }
    let port = |at| u32_at(table, at).and_then(|port| u16::try_from(port).ok());
    Some(Power::Fixed {
        events: port(56).filter(|port| *port != 0)?,
        control: port(64).filter(|port| *port != 0)?,
        enable: (port(48)?, *table.get(52)?),
        interrupt: u8::try_from(u16_at(table, 46)?).ok()?,
    })
}

/// Reads from the table of interrupt controllers (`APIC`) whether an I/O APIC has the interrupts from `first` on.
pub fn has_io_apic(table: &[u8], first: u32) -> bool {
    if !table.starts_with(b"APIC") || !sums_to_zero(table) {
        return false;
    }
    let mut rest = table.get(MADT_ENTRIES..).unwrap_or_default();
    while let [kind, length, ..] = rest {
        if *kind == MADT_IO_APIC && u32_at(rest, MADT_FIRST_INTERRUPT) == Some(first) {
            return true;
        }
        // An entry has at least these two bytes.
        rest = rest.get(usize::from(*length).max(2)..).unwrap_or_default();
    }
    false
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn summed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
        bytes[at] = 0;
        bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        bytes
    }

    fn fixed(flags: u32) -> Vec<u8> {
        let mut table = vec![0; 268];
        table[..4].copy_from_slice(b"FACP");
        table[4..8].copy_from_slice(&268u32.to_le_bytes());
        table[46] = 9;
        table[48] = 0xb2;
        table[52] = 2;
        table[56..60].copy_from_slice(&0x600u32.to_le_bytes());
        table[64..68].copy_from_slice(&0x604u32.to_le_bytes());
        table[112..116].copy_from_slice(&flags.to_le_bytes());
        table[248..256].copy_from_slice(&0xfea0_0200u64.to_le_bytes());
        summed(table, 9)
    }

    #[test]
    fn both_kinds_of_machines_are_known() {
        let pc = Power::Fixed { events: 0x600, control: 0x604, enable: (0xb2, 2), interrupt: 9 };
        assert_eq!(parse_fixed(&fixed(0)), Some(pc));
        let microvm = Power::Generic { events: 0xfea0_0000, sleep: 0xfea0_0200 };
        assert_eq!(parse_fixed(&fixed(HARDWARE_REDUCED)), Some(microvm));
        let mut damaged = fixed(0);
        damaged[60] ^= 1;
        assert_eq!(parse_fixed(&damaged), None);
    }

    #[test]
    fn the_root_pointer_is_read() {
        let mut bytes = [0; RSDP_BYTES];
        bytes[..8].copy_from_slice(b"RSD PTR ");
        bytes[16..20].copy_from_slice(&0x7f_e000u32.to_le_bytes());
        let old = summed(bytes[..20].to_vec(), 8);
        assert_eq!(parse_root(&old), Some(Root { address: 0x7f_e000, pointer_bytes: 4 }));
        bytes[15] = 2;
        bytes[24..32].copy_from_slice(&0x1_0000_0000u64.to_le_bytes());
        let mut new = summed(bytes[..20].to_vec(), 8);
        new.extend(&bytes[20..]);
        assert_eq!(parse_root(&new), Some(Root { address: 0x1_0000_0000, pointer_bytes: 8 }));
        new[9] ^= 1;
        assert_eq!(parse_root(&new), None);
    }

    #[test]
    fn the_root_table_lists_tables() {
        let mut table = vec![0; HEADER_BYTES];
        table.extend([0x00, 0x10, 0, 0, 0x00, 0x20, 0, 0]);
        assert_eq!(tables(&table, 4).collect::<Vec<_>>(), [0x1000, 0x2000]);
        assert_eq!(tables(&table, 8).collect::<Vec<_>>(), [0x2000_0000_1000]);
        assert_eq!(parse_header(&table), None, "a length of 0");
    }

    #[test]
    fn the_second_io_apic_is_found() {
        let mut table = vec![0; MADT_ENTRIES];
        table[..4].copy_from_slice(b"APIC");
        table.extend([0, 8, 0, 0, 1, 0, 0, 0]);
        for (number, first) in [(0, 0), (1, 24)] {
            table.extend([1, 12, number, 0, 0, number, 0xc0, 0xfe, first, 0, 0, 0]);
        }
        let table = summed(table, 9);
        assert!(has_io_apic(&table, 0) && has_io_apic(&table, 24) && !has_io_apic(&table, 48));
        let one = summed(table[..table.len() - 12].to_vec(), 9);
        assert!(!has_io_apic(&one, 24));
        let endless = summed([&one[..], &[7, 0, 7]].concat(), 9);
        assert!(has_io_apic(&endless, 0) && !has_io_apic(&endless, 24));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), pointer_bytes in 0usize..9) {
            let _ = (parse_root(&bytes), parse_header(&bytes), parse_fixed(&bytes), tables(&bytes, pointer_bytes).count());
            let mut table = summed([fixed(0)[..4].to_vec(), bytes, vec![0]].concat(), 4);
            let _ = parse_fixed(&table);
            table[..4].copy_from_slice(b"APIC");
            let _ = has_io_apic(&summed(table.clone(), 4), 1);
            table.truncate(60);
            let _ = parse_fixed(&table);
        }
    }
}
