//! Writes a core module again, without what is not reached.
//!
//! What remains keeps its order and gets new numbers. Functions that a table still has to name, though nothing can
//! call them there, are replaced by one stub for each type, whose body is `unreachable`.

use super::core_refs::{CoreRefs, CoreSpace, IndexMap, flatten};
use super::liveness::{Liveness, Node};
use super::module::{Entry, Module, ModuleId, SegmentKind, space_of};
use super::names;
use super::report::Counts;
use super::rewrite_elements::Remains;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wasm_encoder::reencode::{Reencode, utils};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ExportSection, Function, FunctionSection, GlobalSection, ImportSection,
    Instruction, MemorySection, StartSection, TableSection, TagSection, TypeSection,
};
use wasmparser::CustomSectionReader;

/// New numbers for the items of a module that remain.
#[derive(Default)]
pub struct Numbers {
    maps: HashMap<CoreSpace, Vec<Option<u32>>>,
    /// Stub functions by (old) type.
    pub stubs: BTreeMap<u32, u32>,
}

impl Numbers {
    /// The new number of an item, if it remains.
    pub fn get(&self, space: CoreSpace, index: u32) -> Option<u32> {
        *self.maps.get(&space)?.get(index as usize)?
    }
}

/// The rewriter's side of [`CoreRefs`].
pub struct Renumber<'n> {
    numbers: &'n Numbers,
    /// Functions that some body takes a reference to, by new number.
    pub declared: BTreeSet<u32>,
}

impl IndexMap for Renumber<'_> {
    fn map(&mut self, space: CoreSpace, index: u32) -> Result<u32> {
        self.numbers.get(space, index).with_context(|| format!("{space:?} {index} is used, but was taken for unused"))
    }

    fn is_gone(&self, space: CoreSpace, index: u32) -> bool {
        self.numbers.get(space, index).is_none()
    }

    fn ref_func(&mut self, func: u32) {
        self.declared.extend(self.numbers.get(CoreSpace::Func, func));
    }
}

/// Writes one module.
pub struct ModuleWriter<'w, 'm, 'a> {
    pub(super) liveness: &'w Liveness<'m, 'a>,
    pub(super) id: ModuleId,
    pub(super) module: &'m Module<'a>,
    pub(super) remains: Vec<Remains>,
}

impl<'w, 'm, 'a> ModuleWriter<'w, 'm, 'a> {
    /// Prepares to write module `id` with what `liveness` keeps of it.
    pub fn new(liveness: &'w Liveness<'m, 'a>, id: ModuleId) -> Self {
        let module = liveness.model.module(id);
        let mut writer = Self { liveness, id, module, remains: Vec::new() };
        writer.remains =
            (0u32..).zip(&module.elements).map(|(index, element)| writer.remains(index, element)).collect();
        writer
    }

    /// The new module, and how many items of each kind it has.
    pub fn write(&self) -> Result<(wasm_encoder::Module, Counts)> {
        let numbers = self.numbers()?;
        let module = self.module;
        let mut refs = CoreRefs::new(Renumber { numbers: &numbers, declared: BTreeSet::new() });
        let mut out = wasm_encoder::Module::new();
        let (code, code_is_same) = self.code(&mut refs, &numbers)?;

        let types = self.types(&mut refs)?;
        let imports = self.imports(&mut refs)?;
        let funcs = self.functions(&mut refs, &numbers)?;
        let (tables, memories, tags, globals) = self.definitions(&mut refs)?;
        let exports = self.exports(&mut refs)?;
        let elements = self.elements(&mut refs, &numbers)?;
        let data = self.data(&mut refs)?;

        section(&mut out, types.is_empty(), &types);
        section(&mut out, imports.is_empty(), &imports);
        section(&mut out, funcs.is_empty(), &funcs);
        section(&mut out, tables.is_empty(), &tables);
        section(&mut out, memories.is_empty(), &memories);
        section(&mut out, tags.is_empty(), &tags);
        section(&mut out, globals.is_empty(), &globals);
        section(&mut out, exports.is_empty(), &exports);
        if let Some(start) = module.start {
            out.section(&StartSection { function_index: refs.function_index(start).map_err(flatten)? });
        }
        section(&mut out, elements.is_empty(), &elements);
        if module.data_count && !data.is_empty() {
            out.section(&DataCountSection { count: data.len() });
        }
        section(&mut out, code.is_empty(), &code);
        section(&mut out, data.is_empty(), &data);
        for custom in &module.customs {
            self.custom(&mut out, custom, &numbers, code_is_same);
        }
        let mut counts = self.counts(&numbers);
        counts.functions += numbers.stubs.len() as u32;
        counts.bytes = out.as_slice().len();
        Ok((out, counts))
    }

    pub(super) fn live(&self, space: CoreSpace, index: u32) -> bool {
        self.liveness.core(self.id, space, index)
    }

    /// Numbers what remains.
    fn numbers(&self) -> Result<Numbers> {
        let mut numbers = Numbers::default();
        for space in [
            CoreSpace::Func,
            CoreSpace::Table,
            CoreSpace::Memory,
            CoreSpace::Global,
            CoreSpace::Tag,
            CoreSpace::Type,
            CoreSpace::Data,
        ] {
            let mut next = 0;
            let map = (0..self.module.count(space)).map(|index| {
                let number = self.live(space, index).then_some(next);
                next += u32::from(number.is_some());
                number
            });
            numbers.maps.insert(space, map.collect());
        }
        let mut next = 0;
        let map = self.remains.iter().map(|remains| match remains {
            Remains::Nothing => None,
            Remains::Whole => Some(count_up(&mut next)),
            Remains::Runs(runs) => {
                next += runs.len() as u32;
                None
            }
        });
        numbers.maps.insert(CoreSpace::Element, map.collect());
        let mut next = numbers.maps.get(&CoreSpace::Func).map_or(0, |map| map.iter().flatten().count()) as u32;
        for (element, remains) in self.module.elements.iter().zip(&self.remains) {
            let Remains::Whole = remains else { continue };
            for entry in &element.entries {
                let Entry::Func(func) = entry else { continue };
                if numbers.get(CoreSpace::Func, *func).is_none() {
                    let ty = *self.module.func_types.get(*func as usize).context("a table names a missing function")?;
                    numbers.stubs.entry(ty).or_insert_with(|| count_up(&mut next));
                }
            }
        }
        Ok(numbers)
    }

    fn types(&self, refs: &mut CoreRefs<Renumber<'_>>) -> Result<TypeSection> {
        let mut types = TypeSection::new();
        let mut first = 0;
        for group in &self.module.groups {
            if self.live(CoreSpace::Type, first) {
                refs.parse_recursive_type_group(types.ty(), group.clone()).map_err(flatten)?;
            }
            first += group.types().len() as u32;
        }
        Ok(types)
    }

    fn imports(&self, refs: &mut CoreRefs<Renumber<'_>>) -> Result<ImportSection> {
        let mut imports = ImportSection::new();
        let mut next: HashMap<CoreSpace, u32> = HashMap::new();
        for import in &self.module.imports {
            let space = space_of(&import.ty);
            let index = next.entry(space).or_default();
            if self.live(space, *index) {
                imports.import(import.module, import.name, refs.entity_type(import.ty).map_err(flatten)?);
            }
            *index += 1;
        }
        Ok(imports)
    }

    /// The types of the functions that remain, in order, stubs last.
    fn functions(&self, refs: &mut CoreRefs<Renumber<'_>>, numbers: &Numbers) -> Result<FunctionSection> {
        let mut funcs = FunctionSection::new();
        let imported = self.module.imported_count(CoreSpace::Func);
        for (index, ty) in (0u32..).zip(&self.module.func_types).skip(imported as usize) {
            if self.live(CoreSpace::Func, index) {
                funcs.function(refs.type_index(*ty).map_err(flatten)?);
            }
        }
        for &ty in self.stubs(numbers) {
            funcs.function(refs.type_index(ty).map_err(flatten)?);
        }
        Ok(funcs)
    }

    /// The types of the stubs, in the order of their numbers.
    fn stubs<'n>(&self, numbers: &'n Numbers) -> Vec<&'n u32> {
        let mut stubs: Vec<_> = numbers.stubs.iter().collect();
        stubs.sort_by_key(|(_, number)| **number);
        stubs.into_iter().map(|(ty, _)| ty).collect()
    }

    fn code(&self, refs: &mut CoreRefs<Renumber<'_>>, numbers: &Numbers) -> Result<(CodeSection, bool)> {
        let mut code = CodeSection::new();
        let imported = self.module.imported_count(CoreSpace::Func);
        for (index, body) in (imported..).zip(&self.module.bodies) {
            if self.live(CoreSpace::Func, index) {
                utils::parse_function_body(refs, &mut code, body.clone()).map_err(flatten)?;
            }
        }
        for _ in &numbers.stubs {
            let mut stub = Function::new([]);
            stub.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
            code.function(&stub);
        }
        let mut bytes = Vec::new();
        wasm_encoder::Encode::encode(&code, &mut bytes);
        let same = bytes.ends_with(self.module.code) && bytes.len() <= self.module.code.len() + MAX_LEB_BYTES;
        Ok((code, same))
    }

    #[allow(clippy::type_complexity)]
    fn definitions(
        &self,
        refs: &mut CoreRefs<Renumber<'_>>,
    ) -> Result<(TableSection, MemorySection, TagSection, GlobalSection)> {
        let module = self.module;
        let (mut tables, mut memories) = (TableSection::new(), MemorySection::new());
        let (mut tags, mut globals) = (TagSection::new(), GlobalSection::new());
        for (index, table) in (module.imported_count(CoreSpace::Table)..).zip(&module.tables) {
            if self.live(CoreSpace::Table, index) {
                refs.parse_table(&mut tables, table.clone()).map_err(flatten)?;
            }
        }
        for (index, memory) in (module.imported_count(CoreSpace::Memory)..).zip(&module.memories) {
            if self.live(CoreSpace::Memory, index) {
                memories.memory(refs.memory_type(*memory).map_err(flatten)?);
            }
        }
        for (index, tag) in (module.imported_count(CoreSpace::Tag)..).zip(&module.tags) {
            if self.live(CoreSpace::Tag, index) {
                tags.tag(refs.tag_type(*tag).map_err(flatten)?);
            }
        }
        for (index, global) in (module.imported_count(CoreSpace::Global)..).zip(&module.globals) {
            if self.live(CoreSpace::Global, index) {
                refs.parse_global(&mut globals, global.clone()).map_err(flatten)?;
            }
        }
        Ok((tables, memories, tags, globals))
    }

    fn exports(&self, refs: &mut CoreRefs<Renumber<'_>>) -> Result<ExportSection> {
        let mut exports = ExportSection::new();
        for (index, export) in (0u32..).zip(&self.module.exports) {
            if self.liveness.has(Node::CoreExport(self.id, index)) {
                refs.parse_export(&mut exports, *export).map_err(flatten)?;
            }
        }
        Ok(exports)
    }

    fn data(&self, refs: &mut CoreRefs<Renumber<'_>>) -> Result<DataSection> {
        let mut data = DataSection::new();
        for (index, segment) in (0u32..).zip(&self.module.data) {
            if !self.live(CoreSpace::Data, index) {
                continue;
            }
            let bytes = segment.bytes.iter().copied();
            match &segment.kind {
                SegmentKind::Active { target, offset, .. } => {
                    let memory = refs.memory_index(*target).map_err(flatten)?;
                    let offset = utils::const_expr(refs, offset.clone()).map_err(flatten)?;
                    data.active(memory, &offset, bytes);
                }
                SegmentKind::Passive | SegmentKind::Declared => {
                    data.passive(bytes);
                }
            }
        }
        Ok(data)
    }

    /// Custom sections: names are renumbered, what describes other code than we write goes, the rest stays.
    fn custom(
        &self,
        out: &mut wasm_encoder::Module,
        custom: &CustomSectionReader<'a>,
        numbers: &Numbers,
        code_is_same: bool,
    ) {
        /// Sections that mean something to a linker only, or hold the history of the file.
        const LINKER: [&str; 6] =
            ["producers", "target_features", "linking", "dylink.0", "dylink", "metadata.code.branch_hint"];
        let name = custom.name();
        if name == "name" {
            if let Some(names) = names::module_names(custom, numbers) {
                out.section(&names);
            }
        } else if LINKER.contains(&name) || name.starts_with("reloc.") {
        } else if code_is_same || !(name.starts_with(".debug_") || DEBUG.contains(&name)) {
            out.section(&wasm_encoder::CustomSection { name: name.into(), data: custom.data().into() });
        }
    }

    fn counts(&self, numbers: &Numbers) -> Counts {
        let count = |space| numbers.maps.get(&space).map_or(0, |map| map.iter().flatten().count() as u32);
        let mut counts = Counts {
            functions: count(CoreSpace::Func),
            types: count(CoreSpace::Type),
            tables: count(CoreSpace::Table),
            memories: count(CoreSpace::Memory),
            globals: count(CoreSpace::Global),
            data_segments: count(CoreSpace::Data),
            ..Counts::default()
        };
        for (element, remains) in self.module.elements.iter().zip(&self.remains) {
            match remains {
                Remains::Nothing => {}
                Remains::Whole => {
                    counts.element_segments += 1;
                    counts.elements += element.entries.len() as u32;
                }
                Remains::Runs(runs) => {
                    counts.element_segments += runs.len() as u32;
                    counts.elements += runs.iter().map(|run| run.len() as u32).sum::<u32>();
                }
            }
        }
        counts
    }

    /// True if some import of the module from `from` remains.
    pub fn imports_from(liveness: &Liveness<'m, 'a>, id: ModuleId, from: &str) -> bool {
        let mut next: HashMap<CoreSpace, u32> = HashMap::new();
        liveness.model.module(id).imports.iter().any(|import| {
            let space = space_of(&import.ty);
            let index = next.entry(space).or_default();
            *index += 1;
            import.module == from && liveness.core(id, space, *index - 1)
        })
    }
}

/// The longest encoding of a 32-bit number.
const MAX_LEB_BYTES: usize = 5;

/// Custom sections that point into code, besides `.debug_*`.
const DEBUG: [&str; 2] = ["external_debug_info", "sourceMappingURL"];

/// The next number.
fn count_up(next: &mut u32) -> u32 {
    let number = *next;
    *next += 1;
    number
}

fn section(out: &mut wasm_encoder::Module, empty: bool, section: &impl wasm_encoder::Section) {
    if !empty {
        out.section(section);
    }
}
