//! Page-table entries of x86-64 (Intel SDM volume 3, section 4.5).

use crate::page::Prot;
use crate::tables::{Entry, Format, Kind, LEVEL_PAGE, Leaf};

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
/// Write-through and cache-disable: with the power-on PAT, strong uncacheable.
const UNCACHED: u64 = 1 << 3 | 1 << 4;
const LARGE: u64 = 1 << 7;
/// Ignored by the processor: the frame belongs to this mapping.
const OWNED: u64 = 1 << 9;
/// Ignored by the processor: a leaf that allows nothing. It is not present, so it needs a bit to differ from an empty
/// entry.
const HELD: u64 = 1 << 10;
/// Ignored by the processor: a leaf, not a table. (Bit 7 tells it for large leaves only.)
const LEAF: u64 = 1 << 11;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// The format of x86-64.
#[derive(Debug)]
pub struct X86_64;

impl Format for X86_64 {
    fn table(frame: u64) -> u64 {
        frame | PRESENT | WRITABLE
    }

    fn leaf(leaf: Leaf, level: usize) -> u64 {
        let set = |condition: bool, bits: u64| if condition { bits } else { 0 };
        leaf.frame & FRAME
            | LEAF
            | if leaf.prot.readable() { PRESENT } else { HELD }
            | set(leaf.prot.writable(), WRITABLE)
            | set(!leaf.prot.executable(), NO_EXECUTE)
            | set(leaf.kind == Kind::Device, UNCACHED)
            | set(level > LEVEL_PAGE, LARGE)
            | set(leaf.owned, OWNED)
    }

    fn decode(entry: u64, _level: usize) -> Entry {
        if entry & (PRESENT | HELD) == 0 {
            return Entry::Empty;
        }
        if entry & LEAF == 0 {
            return Entry::Table(entry & FRAME);
        }
        let prot = match (entry & PRESENT != 0, entry & WRITABLE != 0, entry & NO_EXECUTE == 0) {
            (false, ..) => Prot::NONE,
            (_, true, _) => Prot::READ_WRITE,
            (.., true) => Prot::READ_EXECUTE,
            _ => Prot::READ,
        };
        let kind = if entry & UNCACHED == 0 { Kind::Memory } else { Kind::Device };
        Entry::Leaf(Leaf { frame: entry & FRAME, prot, kind, owned: entry & OWNED != 0 })
    }

    fn forget(address: usize) {
        crate::cpu::forget_page(address);
    }
}
