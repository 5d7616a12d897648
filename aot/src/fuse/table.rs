//! The object that joins an app with a host: the image table, the app and the plan.
//!
//! ```text
//!   .rodata.mwasm_app    the precompiled app, page-aligned
//!   .rodata.mwasm_plan   mwasm_image, the table's eight words | interfaces, ports: addresses of functions | the plan
//! ```
//!
//! The table is the only reference to registration functions and port openers, so the linker drops those that are not in it. See
//! [`mwasm_plan::symbols`] for its layout.

use crate::target::Arch;
use anyhow::Result;
use mwasm_plan::symbols;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf,
};

/// Alignment of the app, in bytes: that of a page, so that its code can be made executable where it lies.
pub const PAGE_BYTES: u64 = 4096;
/// Words of the table; also the alignment of a plan ([`mwasm_plan::find`]).
const WORD_BYTES: u64 = 8;
const TABLE_WORDS: u64 = 8;

/// What goes into the object.
pub struct Contents<'a> {
    /// The precompiled app.
    pub app: &'a [u8],
    /// The encoded plan.
    pub plan: &'a [u8],
    /// Registration functions.
    pub interfaces: &'a [String],
    /// Port openers.
    pub ports: &'a [&'a str],
}

/// Writes the object.
pub fn write(arch: Arch, contents: &Contents<'_>) -> Result<Vec<u8>> {
    let (architecture, absolute) = match arch {
        Arch::X86_64 => (Architecture::X86_64, elf::R_X86_64_64),
        Arch::Aarch64 => (Architecture::Aarch64, elf::R_AARCH64_ABS64),
    };
    let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
    let section = |object: &mut Object<'_>, name: &str| {
        object.add_section(Vec::new(), name.as_bytes().to_vec(), SectionKind::ReadOnlyData)
    };
    let app = section(&mut object, symbols::SECTION_APP);
    let app_at = object.append_section_data(app, contents.app, PAGE_BYTES);
    let plan = section(&mut object, symbols::SECTION_PLAN);

    let interfaces_at = TABLE_WORDS * WORD_BYTES;
    let ports_at = interfaces_at + contents.interfaces.len() as u64 * WORD_BYTES;
    let plan_at = ports_at + contents.ports.len() as u64 * WORD_BYTES;
    let app_bytes = contents.app.len() as u64;
    let plan_bytes = contents.plan.len() as u64;
    let counts = [contents.interfaces.len() as u64, contents.ports.len() as u64];
    let mut words = vec![0, app_bytes, 0, plan_bytes, 0, counts[0], 0, counts[1]];
    words.resize((plan_at / WORD_BYTES) as usize, 0);
    let words: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    object.append_section_data(plan, &words, WORD_BYTES);
    object.append_section_data(plan, contents.plan, WORD_BYTES);

    let size = TABLE_WORDS * WORD_BYTES;
    add_symbol(&mut object, symbols::IMAGE, SymbolSection::Section(plan), size, SymbolKind::Data);
    let mut words = Words { object: &mut object, section: plan, absolute };
    let [app, here] = [words.start_of(app), words.start_of(plan)];
    words.point(0, app, app_at)?;
    for (word, at) in [(2, plan_at), (4, interfaces_at), (6, ports_at)] {
        words.point(word, here, at)?;
    }
    let functions = contents.interfaces.iter().map(String::as_str).chain(contents.ports.iter().copied());
    for (index, function) in functions.enumerate() {
        let symbol = add_symbol(words.object, function, SymbolSection::Undefined, 0, SymbolKind::Text);
        words.point(TABLE_WORDS + index as u64, symbol, 0)?;
    }
    Ok(object.write()?)
}

/// The words of a section, to be filled with addresses by the linker.
struct Words<'a, 'd> {
    object: &'a mut Object<'d>,
    section: SectionId,
    absolute: u32,
}

impl Words<'_, '_> {
    fn start_of(&mut self, section: SectionId) -> SymbolId {
        self.object.section_symbol(section)
    }

    fn point(&mut self, word: u64, symbol: SymbolId, addend: u64) -> Result<()> {
        let flags = RelocationFlags::Elf { r_type: self.absolute };
        let relocation = Relocation { offset: word * WORD_BYTES, symbol, addend: addend as i64, flags };
        Ok(self.object.add_relocation(self.section, relocation)?)
    }
}

fn add_symbol(object: &mut Object<'_>, name: &str, section: SymbolSection, size: u64, kind: SymbolKind) -> SymbolId {
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size,
        kind,
        scope: SymbolScope::Linkage,
        weak: false,
        section,
        flags: SymbolFlags::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object as _, ObjectSection, ObjectSymbol};

    #[test]
    fn the_table_names_what_the_linker_must_find() {
        let plan = mwasm_plan::encode(&mwasm_plan::Plan::default()).unwrap();
        for arch in Arch::ALL {
            let interfaces = ["mwasm_iface_a".to_owned(), "mwasm_iface_b".to_owned()];
            let contents = Contents { app: b"app", plan: &plan, interfaces: &interfaces, ports: &["mwasm_port_c"] };
            let bytes = write(arch, &contents).unwrap();
            let file = object::File::parse(&*bytes).unwrap();
            let undefined: Vec<_> = file
                .symbols()
                .filter(|symbol| symbol.is_undefined() && !symbol.name_bytes().unwrap().is_empty())
                .map(|symbol| symbol.name().unwrap().to_owned())
                .collect();
            assert_eq!(undefined, ["mwasm_iface_a", "mwasm_iface_b", "mwasm_port_c"]);
            let section = file.section_by_name(symbols::SECTION_PLAN).unwrap();
            let data = section.data().unwrap();
            assert_eq!(data[8..16], 3u64.to_le_bytes(), "length of the app");
            assert_eq!(data[40..48], 2u64.to_le_bytes(), "number of interfaces");
            assert_eq!(data[56..64], 1u64.to_le_bytes(), "number of ports");
            assert_eq!(mwasm_plan::find(data).unwrap(), plan);
            assert_eq!(section.relocations().count(), 4 + 3);
        }
    }
}
