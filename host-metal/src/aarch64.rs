//! Page-table entries of aarch64, 4 KiB granule, EL1&0 regime, stage 1 (Arm ARM, section D8.3).

use crate::page::Prot;
use crate::tables::{Entry, Format, Kind, LEVEL_PAGE, Leaf};

const VALID: u64 = 1;
/// In a table entry, and in a leaf of the last level.
const TABLE_OR_PAGE: u64 = 1 << 1;
/// Index into MAIR_EL1, in bits 2..5: see [`MAIR`].
const ATTRIBUTES_SHIFT: u64 = 2;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
/// The access flag; without it the first access faults.
const ACCESSED: u64 = 1 << 10;
const NO_EXECUTE_EL1: u64 = 1 << 53;
const NO_EXECUTE_EL0: u64 = 1 << 54;
/// Ignored by the processor: the frame belongs to this mapping.
const OWNED: u64 = 1 << 55;
/// Ignored by the processor: a leaf that allows nothing. It is not valid, so it needs a bit to differ from an empty
/// entry.
const HELD: u64 = 1 << 56;
const FRAME: u64 = 0x0000_ffff_ffff_f000;

/// Index of device memory in [`MAIR`].
const DEVICE: u64 = 0;
/// Index of normal memory in [`MAIR`].
const NORMAL: u64 = 1;
/// The value of MAIR_EL1: attribute 0 is Device-nGnRnE, attribute 1 is Normal, write-back, allocating.
pub const MAIR: u64 = 0x00 << (8 * DEVICE) | 0xff << (8 * NORMAL);

/// The format of aarch64.
#[derive(Debug)]
pub struct Aarch64;

impl Format for Aarch64 {
    fn table(frame: u64) -> u64 {
        frame | TABLE_OR_PAGE | VALID
    }

    fn leaf(leaf: Leaf, level: usize) -> u64 {
        let set = |condition: bool, bits: u64| if condition { bits } else { 0 };
        let attributes = match leaf.kind {
            Kind::Memory => NORMAL << ATTRIBUTES_SHIFT | INNER_SHAREABLE,
            Kind::Device => DEVICE << ATTRIBUTES_SHIFT,
        };
        leaf.frame & FRAME
            | attributes
            | ACCESSED
            | NO_EXECUTE_EL0
            | if leaf.prot.readable() { VALID } else { HELD }
            | set(level == LEVEL_PAGE, TABLE_OR_PAGE)
            | set(!leaf.prot.writable(), READ_ONLY)
            | set(!leaf.prot.executable(), NO_EXECUTE_EL1)
            | set(leaf.owned, OWNED)
    }

    fn decode(entry: u64, level: usize) -> Entry {
        if entry & (VALID | HELD) == 0 {
            return Entry::Empty;
        }
        if level > LEVEL_PAGE && entry & TABLE_OR_PAGE != 0 {
            return Entry::Table(entry & FRAME);
        }
        let prot = match (entry & VALID != 0, entry & READ_ONLY == 0, entry & NO_EXECUTE_EL1 == 0) {
            (false, ..) => Prot::NONE,
            (_, true, _) => Prot::READ_WRITE,
            (.., true) => Prot::READ_EXECUTE,
            _ => Prot::READ,
        };
        let kind = if entry >> ATTRIBUTES_SHIFT & 7 == DEVICE { Kind::Device } else { Kind::Memory };
        Entry::Leaf(Leaf { frame: entry & FRAME, prot, kind, owned: entry & OWNED != 0 })
    }

    fn forget(address: usize) {
        crate::cpu::forget_page(address);
    }
}
