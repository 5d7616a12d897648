//! The flat image of ARM: memory as it is to be, with the header that boot loaders know from Linux.
//!
//! The header takes the first 64 bytes of the image, which in the linked program are its ELF header. The program headers stay behind
//! it: the host reads them there to protect its own memory. The boot header's first instruction branches to the host's entry; its sizes tell the loader how much memory the image needs beyond the
//! end of the file. See Documentation/arch/arm64/booting.rst of Linux.

use super::{entry, memory_bytes, segments};
use anyhow::{Context, Result, ensure};

/// Bytes of the header.
const HEADER_BYTES: usize = 64;
/// "ARM\x64", at offset 56.
const MAGIC: [u8; 4] = *b"ARM\x64";
/// Little-endian, 4 KiB pages, as near to the start of memory as the offset says.
const FLAGS: u64 = 0b0010;
/// Where the image lies: this many bytes behind the start of memory, which is a multiple of as much. QEMU's virt machine and Xen's
/// guests have their memory at 1 GiB.
const OFFSET_BYTES: u64 = 2 << 20;
/// Instructions are this long.
const INSTRUCTION_BYTES: u64 = 4;
/// `b` reaches this many bytes in either direction.
const BRANCH_REACH_BYTES: u64 = 128 << 20;
const BRANCH: u32 = 0x1400_0000;

/// Copies the segments to their places and writes the header.
pub fn pack(linked: &[u8]) -> Result<Vec<u8>> {
    let segments = segments(linked)?;
    let base = segments.first().context("a program without segments")?.address;
    ensure!(base % OFFSET_BYTES == 0, "the image starts at {base:#x}, which is no multiple of {OFFSET_BYTES:#x}");
    let mut image = Vec::new();
    for segment in &segments {
        let at = usize::try_from(segment.address - base)?;
        if image.len() < at + segment.data.len() {
            image.resize(at + segment.data.len(), 0);
        }
        image.get_mut(at..at + segment.data.len()).context("overlapping segments")?.copy_from_slice(segment.data);
    }
    let elf_header = image.get(..HEADER_BYTES).is_some_and(|front| front.starts_with(b"\x7fELF"));
    ensure!(
        elf_header,
        "the linked program does not start with its own header, so there is no room for the boot header"
    );
    let header = header(entry(linked)?.wrapping_sub(base), memory_bytes(linked)?)?;
    image.get_mut(..HEADER_BYTES).context("an image without room for a header")?.copy_from_slice(&header);
    Ok(image)
}

/// The boot header of an image whose entry is `entry` bytes behind its start, and that takes `memory` bytes.
fn header(entry: u64, memory: u64) -> Result<[u8; HEADER_BYTES]> {
    ensure!(
        entry < BRANCH_REACH_BYTES && entry.is_multiple_of(INSTRUCTION_BYTES),
        "the entry, at {entry:#x}, is out of reach"
    );
    let branch = BRANCH | u32::try_from(entry / INSTRUCTION_BYTES)?;
    let mut header = [0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, &branch.to_le_bytes());
    put(8, &OFFSET_BYTES.to_le_bytes());
    put(16, &memory.to_le_bytes());
    put(24, &FLAGS.to_le_bytes());
    put(56, &MAGIC);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_documented_one() {
        let header = header(0x1000, 0x1234_5678).unwrap();
        assert_eq!(header[..4], 0x1400_0400u32.to_le_bytes(), "b .+0x1000");
        assert_eq!(header[16..24], 0x1234_5678u64.to_le_bytes());
        assert_eq!(header[56..60], *b"ARMd");
        assert!(super::header(0x1002, 1).is_err());
        assert!(super::header(BRANCH_REACH_BYTES, 1).is_err());
    }
}
