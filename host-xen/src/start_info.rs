//! What a PVH loader (Xen, QEMU) tells the kernel: `hvm_start_info`, version 1.
//!
//! The layout is part of Xen's public interface (`xen/include/public/arch-x86/hvm/start_info.h`). The structure is in
//! memory that the loader chose; addresses in it are physical.

use crate::bytes::{u32_at, u64_at};
use core::fmt;
use mwasm_host_metal::memory_map::MemoryMap;

/// Bytes of the structure, version 1.
pub const START_INFO_BYTES: usize = 56;
/// Bytes of an entry of the memory map.
pub const ENTRY_BYTES: usize = 24;
/// The most entries of a memory map that are looked at; firmware has a dozen.
pub const MAX_ENTRIES: usize = 128;
const MAGIC: u32 = 0x336e_c578;
/// The entry's type of usable memory.
const TYPE_RAM: u32 = 1;

/// The parts of the structure that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartInfo {
    /// Physical address of ACPI's root pointer; 0 if there is none.
    pub rsdp: u64,
    /// Physical address of the memory map.
    pub memory_map: u64,
    /// Entries of the memory map, at most [`MAX_ENTRIES`].
    pub entries: usize,
}

/// Why the structure is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartInfoError {
    /// It does not begin with the magic; holds what was found.
    Magic(u32),
    /// Its version has no memory map.
    Version(u32),
    /// The memory map names no usable memory.
    NoMemory,
}

impl fmt::Display for StartInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(found) => write!(
                f,
                "wanted PVH start information (magic {MAGIC:#x}), found {found:#x}: start this image by its PVH entry \
                 (Xen: type = \"pvh\"; QEMU: -kernel)"
            ),
            Self::Version(found) => {
                write!(
                    f,
                    "wanted PVH start information of version 1 or later, found {found}: use Xen 4.11 or QEMU 4.0, or later"
                )
            }
            Self::NoMemory => f.write_str("the loader's memory map names no usable memory"),
        }
    }
}

impl core::error::Error for StartInfoError {}

/// Reads the structure.
pub fn parse(bytes: &[u8]) -> Result<StartInfo, StartInfoError> {
    let magic = u32_at(bytes, 0).unwrap_or(0);
    if magic != MAGIC {
        return Err(StartInfoError::Magic(magic));
    }
    let version = u32_at(bytes, 4).unwrap_or(0);
    let info = (|| {
        let entries = usize::try_from(u32_at(bytes, 48)?).ok()?.min(MAX_ENTRIES);
        Some(StartInfo { rsdp: u64_at(bytes, 32)?, memory_map: u64_at(bytes, 40)?, entries })
    })();
    info.filter(|_| version >= 1).ok_or(StartInfoError::Version(version))
}

/// Reads the memory map: all usable memory below `limit`.
pub fn parse_memory_map(bytes: &[u8], limit: u64) -> Result<MemoryMap, StartInfoError> {
    let mut map = MemoryMap::new();
    for entry in bytes.chunks_exact(ENTRY_BYTES) {
        if let (Some(start), Some(size), Some(TYPE_RAM)) = (u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16)) {
            map.add(start, size.min(limit.saturating_sub(start)));
        }
    }
    // What is both usable and something else is something else.
    for entry in bytes.chunks_exact(ENTRY_BYTES) {
        if let (Some(start), Some(size), Some(kind)) = (u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16))
            && kind != TYPE_RAM
        {
            map.remove(start, size);
        }
    }
    if map.bytes() == 0 { Err(StartInfoError::NoMemory) } else { Ok(map) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_host_metal::memory_map::Region;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let mut bytes = vec![0; START_INFO_BYTES];
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4] = 1;
        bytes[32..40].copy_from_slice(&0xf_5a40u64.to_le_bytes());
        bytes[40..48].copy_from_slice(&0x7000u64.to_le_bytes());
        bytes[48] = 3;
        bytes
    }

    fn entry(start: u64, size: u64, kind: u32) -> Vec<u8> {
        let mut bytes = [start.to_le_bytes(), size.to_le_bytes()].concat();
        bytes.extend(kind.to_le_bytes());
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn the_structure_is_read() {
        let expected = StartInfo { rsdp: 0xf_5a40, memory_map: 0x7000, entries: 3 };
        assert_eq!(parse(&sample()), Ok(expected));
        let mut old = sample();
        old[4] = 0;
        assert_eq!(parse(&old), Err(StartInfoError::Version(0)));
        assert_eq!(parse(&sample()[..40]), Err(StartInfoError::Version(1)), "cut off");
        assert_eq!(parse(b"\x02\xb0\xad\x1b"), Err(StartInfoError::Magic(0x1bad_b002)), "a multiboot loader");
        let mut endless = sample();
        endless[48..52].fill(0xff);
        assert_eq!(parse(&endless).map(|info| info.entries), Ok(MAX_ENTRIES));
    }

    /// QEMU's microvm ends its memory map with an empty entry.
    #[test]
    fn the_memory_map_of_a_microvm_is_read() {
        let bytes = [
            entry(0, 0x9_fc00, 1),
            entry(0x9_fc00, 0x400, 2),
            entry(0x10_0000, 0x70_0000, 1),
            entry(0xfeff_c000, 0x4000, 2),
            entry(0, 0, 0),
        ]
        .concat();
        let map = parse_memory_map(&bytes, 1 << 40).unwrap();
        assert_eq!(map.regions(), [Region { start: 0, end: 0x9_f000 }, Region { start: 0x10_0000, end: 0x80_0000 }]);
        assert_eq!(parse_memory_map(&bytes, 0x20_0000).unwrap().bytes(), 0x9_f000 + 0x10_0000);
        assert_eq!(parse_memory_map(&entry(0, 1 << 20, 2), 1 << 40).unwrap_err(), StartInfoError::NoMemory);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            if let Ok(map) = parse_memory_map(&bytes, 1 << 40) {
                prop_assert!(map.regions().iter().all(|region| region.end <= 1 << 40));
            }
        }
    }
}
