//! A core module, taken apart: its index spaces, segments and names, ready to be asked "what does this refer to?".
//!
//! Nothing is copied that can be borrowed: a module of 20 MB costs a few vectors of small records.

use super::core_refs::CoreSpace;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use wasmparser::{
    ConstExpr, CustomSectionReader, DataKind, ElementItems, ElementKind, Export, ExternalKind, FunctionBody, Global,
    Import, KnownCustom, MemoryType, Name, Operator, Parser, Payload, RecGroup, RefType, Table, TableType, TagType,
    TypeRef,
};

/// Index of a core module in the model: all modules of the component and of the components inside, in binary order.
pub type ModuleId = u32;

/// A core module. Vectors of a kind are in index order, imports first.
#[derive(Default)]
pub struct Module<'a> {
    /// Type recursion groups; a plain type is a group of one.
    pub groups: Vec<RecGroup>,
    /// For each type index, its group.
    pub type_group: Vec<u32>,
    pub imports: Vec<Import<'a>>,
    /// For each space, the import behind each imported index.
    imported: HashMap<CoreSpace, Vec<u32>>,
    /// Type index of each function, imported or defined.
    pub func_types: Vec<u32>,
    /// Bodies of the defined functions.
    pub bodies: Vec<FunctionBody<'a>>,
    /// Defined tables, memories, tags and globals.
    pub tables: Vec<Table<'a>>,
    pub memories: Vec<MemoryType>,
    pub tags: Vec<TagType>,
    pub globals: Vec<Global<'a>>,
    pub exports: Vec<Export<'a>>,
    export_index: HashMap<&'a str, u32>,
    pub start: Option<u32>,
    pub elements: Vec<Element<'a>>,
    pub data: Vec<Data<'a>>,
    /// True if there is a data count section, which `memory.init` and `data.drop` need.
    pub data_count: bool,
    pub customs: Vec<CustomSectionReader<'a>>,
    /// The contents of the code section as they were.
    pub code: &'a [u8],
    /// Size of the module in bytes.
    pub bytes: usize,
    /// The name that the module gives itself.
    pub name: Option<&'a str>,
    /// Names of functions, from the name section.
    pub func_names: HashMap<u32, &'a str>,
}

/// An element segment.
pub struct Element<'a> {
    pub kind: SegmentKind<'a>,
    /// The type of the elements if they are written as expressions; `None` if they are plain function indices.
    pub ty: Option<RefType>,
    pub entries: Vec<Entry<'a>>,
}

/// One element of a segment.
pub enum Entry<'a> {
    /// A reference to a function.
    Func(u32),
    /// A null reference.
    Null(ConstExpr<'a>),
    /// Something else: `global.get`, a GC allocation.
    Other(ConstExpr<'a>),
}

/// A data segment.
pub struct Data<'a> {
    pub kind: SegmentKind<'a>,
    pub bytes: &'a [u8],
}

/// When a segment is copied into its table or memory.
pub enum SegmentKind<'a> {
    Active {
        /// The table or memory.
        target: u32,
        offset: ConstExpr<'a>,
        /// The offset, where it is a plain constant.
        at: Option<u64>,
    },
    Passive,
    Declared,
}

impl<'a> Module<'a> {
    /// Takes a module apart.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Module { bytes: bytes.len(), ..Module::default() };
        for payload in Parser::new(0).parse_all(bytes) {
            module.payload(payload?, bytes)?;
        }
        Ok(module)
    }

    fn payload(&mut self, payload: Payload<'a>, bytes: &'a [u8]) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    let group = group?;
                    let id = self.groups.len() as u32;
                    self.type_group.extend(group.types().map(|_| id));
                    self.groups.push(group);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.import(import?);
                }
            }
            Payload::FunctionSection(funcs) => {
                for ty in funcs {
                    self.func_types.push(ty?);
                }
            }
            Payload::TableSection(tables) => self.tables = tables.into_iter().collect::<Result<_, _>>()?,
            Payload::MemorySection(memories) => self.memories = memories.into_iter().collect::<Result<_, _>>()?,
            Payload::TagSection(tags) => self.tags = tags.into_iter().collect::<Result<_, _>>()?,
            Payload::GlobalSection(globals) => self.globals = globals.into_iter().collect::<Result<_, _>>()?,
            Payload::ExportSection(exports) => {
                self.exports = exports.into_iter().collect::<Result<_, _>>()?;
                self.export_index = (0u32..).zip(&self.exports).map(|(i, export)| (export.name, i)).collect();
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(elements) => {
                for element in elements {
                    self.elements.push(Element::new(element?)?);
                }
            }
            Payload::DataCountSection { .. } => self.data_count = true,
            Payload::CodeSectionStart { range, .. } => {
                self.code = bytes.get(range).context("the code section lies outside its module")?;
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::DataSection(data) => {
                for segment in data {
                    let segment = segment?;
                    let kind = match segment.kind {
                        DataKind::Active { memory_index, offset_expr } => SegmentKind::Active {
                            target: memory_index,
                            at: constant(&offset_expr),
                            offset: offset_expr,
                        },
                        DataKind::Passive => SegmentKind::Passive,
                    };
                    self.data.push(Data { kind, bytes: segment.data });
                }
            }
            Payload::CustomSection(custom) => self.custom(custom),
            Payload::Version { .. } | Payload::End(_) => {}
            other => bail!("a core module holds a section that is not known: {other:?}"),
        }
        Ok(())
    }

    fn import(&mut self, import: Import<'a>) {
        let space = space_of(&import.ty);
        if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
            self.func_types.push(ty);
        }
        self.imported.entry(space).or_default().push(self.imports.len() as u32);
        self.imports.push(import);
    }

    fn custom(&mut self, custom: CustomSectionReader<'a>) {
        if let KnownCustom::Name(names) = custom.as_known() {
            // The names are an aid only: a name section that is damaged is no reason to refuse a module.
            for name in names.into_iter().map_while(Result::ok) {
                match name {
                    Name::Module { name, .. } => self.name = Some(name),
                    Name::Function(map) => {
                        self.func_names = map.into_iter().map_while(Result::ok).map(|n| (n.index, n.name)).collect();
                    }
                    _ => {}
                }
            }
        }
        self.customs.push(custom);
    }

    /// How many indices of `space` are imports.
    pub fn imported_count(&self, space: CoreSpace) -> u32 {
        self.imported.get(&space).map_or(0, |imports| imports.len() as u32)
    }

    /// The import behind `index`, if it is one.
    pub fn import_of(&self, space: CoreSpace, index: u32) -> Option<&Import<'a>> {
        let import = *self.imported.get(&space)?.get(index as usize)?;
        self.imports.get(import as usize)
    }

    /// The position of `index` among the defined items of its space; `None` for an import.
    pub fn defined(&self, space: CoreSpace, index: u32) -> Option<usize> {
        index.checked_sub(self.imported_count(space)).map(|i| i as usize)
    }

    /// How many indices `space` has.
    pub fn count(&self, space: CoreSpace) -> u32 {
        let defined = match space {
            CoreSpace::Func => return self.func_types.len() as u32,
            CoreSpace::Type => self.type_group.len(),
            CoreSpace::Table => self.tables.len(),
            CoreSpace::Memory => self.memories.len(),
            CoreSpace::Global => self.globals.len(),
            CoreSpace::Tag => self.tags.len(),
            CoreSpace::Element => self.elements.len(),
            CoreSpace::Data => self.data.len(),
        };
        self.imported_count(space) + defined as u32
    }

    /// The type of a table, imported or defined.
    pub fn table_type(&self, index: u32) -> Option<TableType> {
        match self.import_of(CoreSpace::Table, index) {
            Some(import) => match import.ty {
                TypeRef::Table(ty) => Some(ty),
                _ => None,
            },
            None => self.tables.get(self.defined(CoreSpace::Table, index)?).map(|table| table.ty),
        }
    }

    /// The type of a memory, imported or defined.
    pub fn memory_type(&self, index: u32) -> Option<MemoryType> {
        match self.import_of(CoreSpace::Memory, index) {
            Some(import) => match import.ty {
                TypeRef::Memory(ty) => Some(ty),
                _ => None,
            },
            None => self.memories.get(self.defined(CoreSpace::Memory, index)?).copied(),
        }
    }

    /// True if copying element segment `index` into its table cannot trap, whatever happens at run time: tables only
    /// grow, so the smallest size of the type is enough to know.
    pub fn element_fits(&self, index: usize) -> bool {
        let Some(segment) = self.elements.get(index) else { return false };
        match segment.kind {
            SegmentKind::Active { target, at: Some(at), .. } => self
                .table_type(target)
                .zip(at.checked_add(segment.entries.len() as u64))
                .is_some_and(|(table, end)| end <= table.initial),
            SegmentKind::Active { .. } => false,
            SegmentKind::Passive | SegmentKind::Declared => true,
        }
    }

    /// True if copying data segment `index` into its memory cannot trap.
    pub fn data_fits(&self, index: usize) -> bool {
        /// Log2 of the size of a page of memory in bytes, where the type does not say.
        const PAGE_LOG2: u32 = 16;
        let Some(segment) = self.data.get(index) else { return false };
        match segment.kind {
            SegmentKind::Active { target, at: Some(at), .. } => {
                self.memory_type(target).zip(at.checked_add(segment.bytes.len() as u64)).is_some_and(|(memory, end)| {
                    let page = memory.page_size_log2.unwrap_or(PAGE_LOG2);
                    u128::from(end) <= u128::from(memory.initial) << page
                })
            }
            SegmentKind::Active { .. } => false,
            SegmentKind::Passive | SegmentKind::Declared => true,
        }
    }

    /// The export called `name`.
    pub fn export(&self, name: &str) -> Option<(u32, &Export<'a>)> {
        let index = *self.export_index.get(name)?;
        Some((index, self.exports.get(index as usize)?))
    }
}

impl<'a> Element<'a> {
    fn new(element: wasmparser::Element<'a>) -> Result<Self> {
        let kind = match element.kind {
            ElementKind::Active { table_index, offset_expr } => SegmentKind::Active {
                target: table_index.unwrap_or(0),
                at: constant(&offset_expr),
                offset: offset_expr,
            },
            ElementKind::Passive => SegmentKind::Passive,
            ElementKind::Declared => SegmentKind::Declared,
        };
        Ok(match element.items {
            ElementItems::Functions(funcs) => {
                let entries = funcs.into_iter().map(|f| Ok(Entry::Func(f?))).collect::<Result<_>>()?;
                Element { kind, ty: None, entries }
            }
            ElementItems::Expressions(ty, exprs) => {
                let entries = exprs.into_iter().map(|e| Ok(Entry::new(e?))).collect::<Result<_>>()?;
                Element { kind, ty: Some(ty), entries }
            }
        })
    }
}

impl<'a> Entry<'a> {
    fn new(expr: ConstExpr<'a>) -> Self {
        match single_operator(&expr) {
            Some(Operator::RefFunc { function_index }) => Self::Func(function_index),
            Some(Operator::RefNull { .. }) => Self::Null(expr),
            _ => Self::Other(expr),
        }
    }
}

/// The index space that an import of this type takes a number in.
pub fn space_of(ty: &TypeRef) -> CoreSpace {
    match ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => CoreSpace::Func,
        TypeRef::Table(_) => CoreSpace::Table,
        TypeRef::Memory(_) => CoreSpace::Memory,
        TypeRef::Global(_) => CoreSpace::Global,
        TypeRef::Tag(_) => CoreSpace::Tag,
    }
}

/// The index space that an export of this kind points into.
pub fn space_of_kind(kind: ExternalKind) -> CoreSpace {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => CoreSpace::Func,
        ExternalKind::Table => CoreSpace::Table,
        ExternalKind::Memory => CoreSpace::Memory,
        ExternalKind::Global => CoreSpace::Global,
        ExternalKind::Tag => CoreSpace::Tag,
    }
}

/// The operator of a constant expression that has just one.
fn single_operator<'a>(expr: &ConstExpr<'a>) -> Option<Operator<'a>> {
    let mut reader = expr.get_operators_reader();
    let first = reader.read().ok()?;
    matches!(reader.read(), Ok(Operator::End)).then_some(first)
}

/// The value of a constant expression that is a plain constant, as an unsigned address.
fn constant(expr: &ConstExpr<'_>) -> Option<u64> {
    match single_operator(expr)? {
        Operator::I32Const { value } => Some(u64::from(value as u32)),
        Operator::I64Const { value } => Some(value as u64),
        _ => None,
    }
}
