//! Takes out of a precompiled app what no host reads: symbols, the padding for pages that are larger than a host's, and most names
//! ([`metadata`]).
//!
//! An app compiled with symbols differs from one without by its symbol table and by one flag in the settings that a host compares with
//! its own. So the settings of an (empty) app compiled without symbols take their place.

use super::metadata::{self, Import};
use crate::engine::{self, Traits};
use crate::target::Arch;
use anyhow::{Context, Result};
use object::elf::{FileHeader64, SHT_NULL, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB};
use object::read::elf::{FileHeader, SectionHeader};
use object::write::StringId;
use object::write::elf::{FileHeader as NewHeader, SectionHeader as NewSection, Writer};
use object::{Endianness, Object, ObjectSymbol, SymbolKind, elf};

/// Section of the settings that the app was compiled with.
const SETTINGS: &str = ".wasmtime.engine";
/// Section of the metadata.
const METADATA: &str = ".wasmtime.info";
/// Section of the machine code.
const TEXT: &str = ".text";
/// Pages of all hosts, in bytes: the most that a section of an app needs to be aligned to.
const PAGE_BYTES: u64 = 4096;

/// A section that stays.
struct Kept<'a> {
    name: &'a str,
    flags: u64,
    align: u64,
    data: &'a [u8],
}

/// The app without what no host reads, and the names of its imports.
pub fn slim(cwasm: &[u8], arch: Arch, traits: Traits) -> Result<(Vec<u8>, Vec<Import>)> {
    let plain = engine::compiler(arch, traits)?;
    let plain = plain.precompile_component(EMPTY_COMPONENT).map_err(engine::error)?;
    let settings = kept(&plain)?.into_iter().find(|section| section.name == SETTINGS);
    let settings = settings.context("a precompiled app without settings")?.data;
    let mut sections = kept(cwasm)?;
    let metadata = sections.iter().find(|section| section.name == METADATA);
    let (metadata, imports) = metadata::shrink(metadata.context("a precompiled app without metadata")?.data)?;
    for section in &mut sections {
        if section.name == METADATA {
            section.data = &metadata;
        }
        if section.name == SETTINGS {
            section.data = settings;
        }
        if section.name == TEXT {
            let end = text_end(cwasm)?;
            section.data = section.data.get(..usize::try_from(end)?).unwrap_or(section.data);
        }
        section.align = section.align.min(PAGE_BYTES);
    }
    Ok((write(cwasm, &sections)?, imports))
}

/// Where the last function ends, in bytes from the start of the code.
fn text_end(cwasm: &[u8]) -> Result<u64> {
    let file = object::File::parse(cwasm)?;
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    Ok(functions.map(|symbol| symbol.address().saturating_add(symbol.size())).max().unwrap_or(0))
}

/// The component that does nothing, in binary.
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn kept(cwasm: &[u8]) -> Result<Vec<Kept<'_>>> {
    let header = FileHeader64::<Endianness>::parse(cwasm)?;
    let endian = header.endian()?;
    let table = header.sections(endian, cwasm)?;
    let mut kept = Vec::new();
    for section in table.iter() {
        if matches!(section.sh_type(endian), SHT_NULL | SHT_SYMTAB | SHT_STRTAB) {
            continue;
        }
        kept.push(Kept {
            name: std::str::from_utf8(table.section_name(endian, section)?)?,
            flags: section.sh_flags(endian),
            align: section.sh_addralign(endian).max(1),
            data: section.data(endian, cwasm)?,
        });
    }
    Ok(kept)
}

/// An ELF file with the header of `cwasm` and these sections.
fn write(cwasm: &[u8], sections: &[Kept<'_>]) -> Result<Vec<u8>> {
    let header = FileHeader64::<Endianness>::parse(cwasm)?;
    let endian = header.endian()?;
    let mut bytes = Vec::new();
    let mut writer = Writer::new(endian, true, &mut bytes);
    writer.reserve_null_section_index();
    let names: Vec<_> = sections.iter().map(|section| writer.add_section_name(section.name.as_bytes())).collect();
    for _ in sections {
        writer.reserve_section_index();
    }
    writer.reserve_shstrtab_section_index();
    writer.reserve_file_header();
    // The code comes last: what lies behind it in an image starts a page of its own anyway.
    let (code, others): (Vec<_>, Vec<_>) = (0..sections.len()).partition(|at| sections[*at].name == TEXT);
    let align = |section: &Kept<'_>| usize::try_from(section.align).context("an alignment that is too large");
    let mut offsets = vec![0; sections.len()];
    for at in &others {
        offsets[*at] = writer.reserve(sections[*at].data.len(), align(&sections[*at])?);
    }
    writer.reserve_shstrtab();
    writer.reserve_section_headers();
    for at in &code {
        offsets[*at] = writer.reserve(sections[*at].data.len(), align(&sections[*at])?);
    }
    writer.write_file_header(&NewHeader {
        os_abi: header.e_ident().os_abi,
        abi_version: header.e_ident().abi_version,
        e_type: header.e_type(endian),
        e_machine: header.e_machine(endian),
        e_entry: 0,
        e_flags: header.e_flags(endian),
    })?;
    for at in others {
        writer.write_align(align(&sections[at])?);
        writer.write(sections[at].data);
    }
    writer.write_shstrtab();
    write_section_headers(&mut writer, sections, &names, &offsets);
    for at in code {
        writer.write_align(align(&sections[at])?);
        writer.write(sections[at].data);
    }
    Ok(bytes)
}

fn write_section_headers(writer: &mut Writer<'_>, sections: &[Kept<'_>], names: &[StringId], offsets: &[usize]) {
    writer.write_null_section_header();
    for ((section, name), offset) in sections.iter().zip(names).zip(offsets) {
        writer.write_section_header(&NewSection {
            name: Some(*name),
            sh_type: SHT_PROGBITS,
            sh_flags: section.flags & !u64::from(elf::SHF_GROUP),
            sh_addr: 0,
            sh_offset: *offset as u64,
            sh_size: section.data.len() as u64,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: section.align,
            sh_entsize: 0,
        });
    }
    writer.write_shstrtab_section_header();
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;

    const ADD: &str = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (data (i32.const 0) "some data")
            (func $add (export "add") (param i32 i32) (result i32)
                (i32.div_u (local.get 0) (i32.load (local.get 1)))))
        (core instance $i (instantiate $m))
        (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#;

    /// What a host reads must be what Wasmtime would have written without symbols, byte for byte, but for the names.
    #[test]
    fn only_symbols_and_padding_go() {
        let component = wat::parse_str(ADD).unwrap();
        for (arch, concurrency) in [(Arch::X86_64, false), (Arch::X86_64, true), (Arch::Aarch64, false)] {
            let mut config = engine::config(arch, Traits { concurrency, paged_data: true, metered: false }).unwrap();
            let plain = Engine::new(&config).unwrap().precompile_component(&component).unwrap();
            config.debug_symbols(true);
            let symbolic = Engine::new(&config).unwrap().precompile_component(&component).unwrap();
            let (slim, _) = slim(&symbolic, arch, Traits { concurrency, paged_data: true, metered: false }).unwrap();
            let list = |cwasm: &[u8]| -> Vec<_> {
                let sections = kept(cwasm).unwrap();
                sections
                    .into_iter()
                    .map(|section| (section.name.to_owned(), section.flags, section.data.to_vec()))
                    .collect()
            };
            for ((name, flags, data), wanted) in list(&slim).into_iter().zip(list(&plain)) {
                if name == METADATA {
                    assert_eq!(data, metadata::shrink(&wanted.2).unwrap().0, "{arch} {concurrency}");
                    continue;
                }
                let (same, padding) = wanted.2.split_at(data.len());
                assert_eq!((&name, flags, data.as_slice()), (&wanted.0, wanted.1, same), "{arch} {concurrency}");
                assert!(padding.is_empty() || (name == TEXT && padding.iter().all(|byte| *byte == 0)), "{name}");
            }
            assert!(slim.len() <= plain.len());
            assert_eq!(slim[..20], plain[..20], "the header says what kind of file it is");
            assert_eq!(Engine::detect_precompiled(&slim), Some(wasmtime::Precompiled::Component));
        }
    }
}
