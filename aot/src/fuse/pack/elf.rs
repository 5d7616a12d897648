//! ELF images: the linked program without sections and symbols.
//!
//! The linker puts what is not loaded (symbols, names, debug information) behind the last segment, so the image is the front of the
//! linked file with a header that no longer speaks of sections. Of the program headers those stay that somebody reads: the loaders
//! read PT_LOAD, Linux reads PT_GNU_STACK, Xen and QEMU read the PVH entry from PT_NOTE.

use anyhow::{Context, Result, ensure};
use object::elf::{FileHeader64, PT_GNU_STACK, PT_LOAD, PT_NOTE, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, LittleEndian, U16, U64, pod};

/// What becomes of notes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// Nobody reads them.
    Drop,
    /// They say where the hypervisor starts the image.
    Keep,
}

/// The program without all that is not loaded.
pub fn pack(linked: &[u8], notes: Notes) -> Result<Vec<u8>> {
    let header = FileHeader64::<Endianness>::parse(linked)?;
    let endian = header.endian()?;
    let kept: Vec<ProgramHeader64<Endianness>> = header
        .program_headers(endian, linked)?
        .iter()
        .filter(|segment| match segment.p_type(endian) {
            PT_LOAD => segment.p_memsz(endian) > 0,
            PT_GNU_STACK => true,
            PT_NOTE => notes == Notes::Keep,
            _ => false,
        })
        .copied()
        .collect();
    ensure!(
        notes == Notes::Drop || kept.iter().any(|segment| segment.p_type(endian) == PT_NOTE),
        "the host object has no PVH note, so no hypervisor could start the image"
    );
    let ends = kept.iter().map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    let end = usize::try_from(ends.max().context("a program without segments")?)?;
    let mut image = linked.get(..end).context("a segment outside of its file")?.to_vec();

    let headers_at = usize::try_from(header.e_phoff(endian))?;
    let headers = pod::bytes_of_slice(&kept);
    let place = image.get_mut(headers_at..).and_then(|rest| rest.get_mut(..headers.len()));
    place.context("program headers outside of the segments")?.copy_from_slice(headers);

    let (front, _) = pod::from_bytes_mut::<FileHeader64<LittleEndian>>(&mut image).ok().context("no room for a header")?;
    front.e_phnum = U16::new(LittleEndian, u16::try_from(kept.len())?);
    front.e_shoff = U64::new(LittleEndian, 0);
    front.e_shnum = U16::new(LittleEndian, 0);
    front.e_shentsize = U16::new(LittleEndian, 0);
    front.e_shstrndx = U16::new(LittleEndian, 0);
    Ok(image)
}
