//! The object that joins an app with a host: the image table, the app and the plan.
//!
//! ```text
//!   .rodata.mwasm_plan   mwasm_image, the table's nine words | items: names and function | ports: functions | the plan
//!   .rodata.mwasm_names  names of interfaces and items
//!   mwasm_app            the precompiled app, page-aligned
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
use std::collections::BTreeMap;

/// Alignment of the app, in bytes: that of a page, so that its code can be made executable where it lies.
pub const PAGE_BYTES: u64 = 4096;
/// Words of the table; also the alignment of a plan ([`mwasm_plan::find`]).
const WORD_BYTES: u64 = 8;
const TABLE_WORDS: u64 = 9;

/// What goes into the object.
pub struct Contents<'a> {
    /// The precompiled app.
    pub app: &'a [u8],
    /// The encoded plan.
    pub plan: &'a [u8],
    /// Items, those of an interface together.
    pub items: &'a [Item],
    /// Port openers.
    pub ports: &'a [&'a str],
    /// The function that starts the app.
    pub start: &'a str,
}

/// A function or resource that the host registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The interface's name in the precompiled app.
    pub interface: String,
    /// Its own name there.
    pub name: String,
    /// The symbol of the function that registers the item.
    pub symbol: String,
}

/// Words of an item in the table: address and length of the interface's name, the same of its own, the function.
const ITEM_WORDS: u64 = 5;

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

    let names = section(&mut object, symbols::SECTION_NAMES);
    let mut places: BTreeMap<&str, u64> = BTreeMap::new();
    for name in contents.items.iter().flat_map(|item| [&item.interface, &item.name]) {
        places.entry(name).or_insert_with(|| object.append_section_data(names, name.as_bytes(), 1));
    }
    let place = |name: &String| places.get(name.as_str()).copied().unwrap_or_default();
    let items_at = TABLE_WORDS * WORD_BYTES;
    let item_count = contents.items.len() as u64;
    let ports_at = items_at + item_count * ITEM_WORDS * WORD_BYTES;
    let plan_at = ports_at + contents.ports.len() as u64 * WORD_BYTES;
    let app_bytes = contents.app.len() as u64;
    let plan_bytes = contents.plan.len() as u64;
    let mut words = vec![0, app_bytes, 0, plan_bytes, 0, item_count, 0, contents.ports.len() as u64, 0];
    words.extend(contents.items.iter().flat_map(|item| [0, item.interface.len() as u64, 0, item.name.len() as u64, 0]));
    words.resize((plan_at / WORD_BYTES) as usize, 0);
    let words: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    object.append_section_data(plan, &words, WORD_BYTES);
    object.append_section_data(plan, contents.plan, WORD_BYTES);

    let size = TABLE_WORDS * WORD_BYTES;
    add_symbol(&mut object, symbols::IMAGE, SymbolSection::Section(plan), size, SymbolKind::Data);
    let mut words = Words { object: &mut object, section: plan, absolute };
    let [app, here, names] = [words.start_of(app), words.start_of(plan), words.start_of(names)];
    words.point(0, app, app_at)?;
    for (word, at) in [(2, plan_at), (4, items_at), (6, ports_at)] {
        words.point(word, here, at)?;
    }
    words.point_to_function(TABLE_WORDS - 1, contents.start)?;
    let mut word = TABLE_WORDS;
    for item in contents.items {
        words.point(word, names, place(&item.interface))?;
        words.point(word + 2, names, place(&item.name))?;
        words.point_to_function(word + 4, &item.symbol)?;
        word += ITEM_WORDS;
    }
    for port in contents.ports {
        words.point_to_function(word, port)?;
        word += 1;
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

    fn point_to_function(&mut self, word: u64, name: &str) -> Result<()> {
        let symbol = add_symbol(self.object, name, SymbolSection::Undefined, 0, SymbolKind::Text);
        self.point(word, symbol, 0)
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
            let item = |interface: &str, name: &str, symbol: &str| Item {
                interface: interface.into(),
                name: name.into(),
                symbol: symbol.into(),
            };
            let items = [item("0", "0", "mwasm:a"), item("0", "1", "mwasm:b"), item("1", "0", "mwasm:c")];
            let contents =
                Contents { app: b"app", plan: &plan, items: &items, ports: &["mwasm_port_c"], start: "mwasm_start" };
            let bytes = write(arch, &contents).unwrap();
            let file = object::File::parse(&*bytes).unwrap();
            let undefined: Vec<_> = file
                .symbols()
                .filter(|symbol| symbol.is_undefined() && !symbol.name_bytes().unwrap().is_empty())
                .map(|symbol| symbol.name().unwrap().to_owned())
                .collect();
            assert_eq!(undefined, ["mwasm_start", "mwasm:a", "mwasm:b", "mwasm:c", "mwasm_port_c"]);
            let section = file.section_by_name(symbols::SECTION_PLAN).unwrap();
            let data = section.data().unwrap();
            assert_eq!(data[8..16], 3u64.to_le_bytes(), "length of the app");
            assert_eq!(data[40..48], 3u64.to_le_bytes(), "number of items");
            assert_eq!(data[56..64], 1u64.to_le_bytes(), "number of ports");
            assert_eq!(mwasm_plan::find(data).unwrap(), plan);
            assert_eq!(section.relocations().count(), 4 + 1 + 3 * 3 + 1);
            assert_eq!(file.section_by_name(symbols::SECTION_NAMES).unwrap().data().unwrap(), b"01");
        }
    }
}
