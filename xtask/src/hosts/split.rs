//! Gives each text and each small constant of a host object a section of its own.
//!
//! The compiler puts all texts that end in a zero byte, such as the file names of panics, into one section whose strings a linker may
//! merge, and all constants of 4, 8, 16 and 32 bytes, such as words of 16 letters, into one for each size. A linker keeps such a section
//! as a whole or drops it as a whole: every image would carry the file names of the whole host. So it is cut at its zero bytes or into
//! its entries, and what referred to a place in it refers to the piece at that place.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use object::build::elf::{Builder, Relocation, Section, SectionData, SectionId, SymbolId};
use object::elf;

/// Relocations of x86-64 that are relative to the end of a field of four bytes, so that their addend is four less than a place.
const RELATIVE: [u32; 2] = [elf::R_X86_64_PC32, elf::R_X86_64_PLT32];
const FIELD_BYTES: i64 = 4;

/// A text or constant that was cut out.
struct Piece {
    end: u64,
    symbol: SymbolId,
    section: SectionId,
}

/// Cuts up the sections of an object made by `ld -r` that a linker may merge.
pub fn split_merged(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("reading a host object")?;
    for section in merged(&builder) {
        split(&mut builder, section)?;
    }
    let mut split = Vec::new();
    builder.write(&mut split).context("writing a host object")?;
    Ok(split)
}

/// Sections of constants, and of strings of bytes.
fn merged(builder: &Builder<'_>) -> Vec<SectionId> {
    let is_wide_text = |flags: u64, entry_bytes: u64| flags & u64::from(elf::SHF_STRINGS) != 0 && entry_bytes != 1;
    let sections = builder.sections.iter().filter(|section| section.sh_flags & u64::from(elf::SHF_MERGE) != 0);
    let sections =
        sections.filter(|section| section.sh_entsize > 0 && !is_wide_text(section.sh_flags, section.sh_entsize));
    sections.map(|section| section.id()).collect()
}

fn split(builder: &mut Builder<'_>, section: SectionId) -> Result<()> {
    let is_text = builder.sections.get(section).sh_flags & u64::from(elf::SHF_STRINGS) != 0;
    let pieces = cut(builder, section, is_text);
    let at = |place: u64| {
        let (start, piece) = pieces.range(..=place).next_back()?;
        (place < piece.end).then_some((*start, piece))
    };
    let mut wholes = Vec::new();
    for symbol in builder.symbols.iter_mut().filter(|symbol| symbol.section == Some(section)) {
        if symbol.st_type() == elf::STT_SECTION {
            wholes.push(symbol.id());
        } else if let Some((start, piece)) = at(symbol.st_value) {
            (symbol.section, symbol.st_value) = (Some(piece.section), symbol.st_value - start);
        }
    }
    let is_x86 = builder.header.e_machine == elf::EM_X86_64;
    let is_code = |section: &Section<'_>| section.sh_flags & u64::from(elf::SHF_EXECINSTR) != 0;
    let code: Vec<SectionId> = builder.sections.iter().filter(|section| is_code(section)).map(Section::id).collect();
    for other in &mut builder.sections {
        // Tables of relative addresses are no operands of instructions.
        let is_operand = other.sh_info_section.is_some_and(|section| code.contains(&section));
        let SectionData::Relocation(relocations) = &mut other.data else { continue };
        for relocation in relocations.iter_mut().filter(|one| one.symbol.is_some_and(|symbol| wholes.contains(&symbol)))
        {
            let ahead = if is_x86 && is_operand && RELATIVE.contains(&relocation.r_type) { FIELD_BYTES } else { 0 };
            let place = u64::try_from(relocation.r_addend + ahead).ok();
            let found = place.and_then(|place| Some((place, at(place)?)));
            let (place, (start, piece)) =
                found.with_context(|| format!("a reference to nothing that was cut: {}", shown(relocation)))?;
            // An operand that follows the field would shift the place; such code refers to no text and no constant, or this must learn of it.
            let is_sure = if is_text { place == start || place + 1 < piece.end } else { (place - start) % 4 == 0 };
            ensure!(is_sure, "a reference to the end of a piece: {}", shown(relocation));
            (relocation.symbol, relocation.r_addend) = (Some(piece.symbol), relocation.r_addend - start as i64);
        }
    }
    // Nothing refers to the whole any more, and a linker would keep it all the same.
    builder.sections.get_mut(section).delete = true;
    wholes.into_iter().for_each(|symbol| builder.symbols.get_mut(symbol).delete = true);
    Ok(())
}

/// A section and a symbol for each text or constant, by where it starts in the section.
fn cut(builder: &mut Builder<'_>, section: SectionId, is_text: bool) -> BTreeMap<u64, Piece> {
    let whole = builder.sections.get(section);
    let SectionData::Data(bytes) = &whole.data else { return BTreeMap::new() };
    let (bytes, align, ty, entry_bytes) =
        (bytes.to_vec(), whole.sh_addralign, whole.sh_type, whole.sh_entsize as usize);
    let (name, flags) = (whole.name.to_vec(), whole.sh_flags & u64::from(elf::SHF_ALLOC));
    let parts: Vec<&[u8]> = match is_text {
        true => bytes.split_inclusive(|byte| *byte == 0).collect(),
        false => bytes.chunks(entry_bytes).collect(),
    };
    let mut pieces = BTreeMap::new();
    let mut start = 0;
    for part in parts {
        let new = builder.sections.add();
        new.name = [&name[..], format!(".{start:x}").as_bytes()].concat().into();
        (new.sh_type, new.sh_flags, new.sh_addralign) = (ty, flags, align);
        new.data = SectionData::Data(part.to_vec().into());
        let section = new.id();
        let symbol = builder.symbols.add();
        symbol.section = Some(section);
        symbol.set_st_info(elf::STB_LOCAL, elf::STT_SECTION);
        pieces.insert(start, Piece { end: start + part.len() as u64, symbol: symbol.id(), section });
        start += part.len() as u64;
    }
    pieces
}

fn shown(relocation: &Relocation) -> String {
    format!("type {}, addend {}", relocation.r_type, relocation.r_addend)
}
