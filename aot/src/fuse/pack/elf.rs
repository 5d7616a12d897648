//! ELF images: the linked program without sections and symbols.
//!
//! The linker puts what is not loaded (symbols, names, debug information) behind the last segment, so the image is the front of the
//! linked file with a header that no longer speaks of sections. The program headers stay as they are: loaders read them, hypervisors
//! find the PVH entry in PT_NOTE, and the hosts of bare machines read them at the start of their own memory to protect themselves.

use anyhow::{Context, Result, ensure};
use object::elf::{FileHeader64, PT_NOTE};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, LittleEndian, U16, U64, pod};

/// Whether an image needs a note that says where a hypervisor starts it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PvhNote {
    /// It does.
    Needed,
    /// It starts at its entry.
    NotNeeded,
}

/// The program without all that is not loaded.
pub fn pack(linked: &[u8], note: PvhNote) -> Result<Vec<u8>> {
    let header = FileHeader64::<Endianness>::parse(linked)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, linked)?;
    ensure!(
        note == PvhNote::NotNeeded || segments.iter().any(|segment| segment.p_type(endian) == PT_NOTE),
        "the host object has no PVH note, so no hypervisor could start the image"
    );
    let ends = segments.iter().map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    let end = usize::try_from(ends.max().context("a program without segments")?)?;
    let mut image = linked.get(..end).context("a segment outside of its file")?.to_vec();
    let (front, _) =
        pod::from_bytes_mut::<FileHeader64<LittleEndian>>(&mut image).ok().context("no room for a header")?;
    front.e_shoff = U64::new(LittleEndian, 0);
    front.e_shnum = U16::new(LittleEndian, 0);
    front.e_shentsize = U16::new(LittleEndian, 0);
    front.e_shstrndx = U16::new(LittleEndian, 0);
    Ok(image)
}
