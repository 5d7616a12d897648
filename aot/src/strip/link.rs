//! Linking, seen statically: which definition stands behind each import of a core module, and which tables and
//! memories of different modules are one and the same at run time.
//!
//! A component says how its modules are wired with core instances and aliases, all of them static, so the provider of
//! an import is found by following them. A module that is instantiated at several places has several providers for one
//! import; the analysis takes all of them, so that what it keeps is right for every instance.

use super::component::{ComponentId, Def, Model};
use super::component_refs::Space;
use super::core_refs::CoreSpace;
use super::module::{Entry, Module, ModuleId, SegmentKind, space_of_kind};
use std::collections::{BTreeMap, HashMap};
use wasmparser::{ComponentAlias, CompositeInnerType, FuncType, Instance, ValType};

/// A definition that an import is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// An item that a module defines or imports in its turn.
    Module(ModuleId, CoreSpace, u32),
    /// A canonical built-in or a lowered function of a component.
    Canon,
    /// Something from outside: an instance of a module that is not known.
    Unknown,
}

/// A table or memory together with all its names: the imports of other modules that are linked to it.
#[derive(Default)]
pub struct Family {
    /// Segments that are copied into it when their module is instantiated.
    pub segments: Vec<(ModuleId, u32)>,
    /// A family of memories, not of tables.
    pub memory: bool,
    /// True if something that is not known may use it.
    pub exposed: bool,
}

/// What is in the slots of a family of tables.
#[derive(Default)]
pub struct Slots {
    /// Functions by signature. `None` holds functions whose signature cannot be compared across modules.
    pub by_type: BTreeMap<Option<u32>, Vec<Slot>>,
    /// Functions by slot number.
    pub by_number: HashMap<u64, Vec<Slot>>,
    /// True if the number of some slot is not known, or its content is not a plain function.
    pub blurred: bool,
}

/// One function in one slot.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub module: ModuleId,
    pub element: u32,
    pub entry: u32,
}

/// The static linking of a whole model.
pub struct Links {
    families: HashMap<(ModuleId, CoreSpace, u32), u32>,
    pub members: Vec<Family>,
    /// For families of tables.
    pub slots: Vec<Slots>,
    /// For each module, the signature of each of its types; `None` for types that only mean something inside the
    /// module (recursive types, subtypes).
    signatures: Vec<Vec<Option<u32>>>,
}

impl Links {
    /// Links all modules of the model.
    pub fn new(model: &Model<'_>) -> Self {
        let mut links =
            Links { families: HashMap::new(), members: Vec::new(), slots: Vec::new(), signatures: signatures(model) };
        links.join(model);
        for (id, module) in (0u32..).zip(&model.modules) {
            links.add_segments(id, module);
        }
        links
    }

    /// The family of a table or memory.
    pub fn family(&self, module: ModuleId, space: CoreSpace, index: u32) -> Option<u32> {
        self.families.get(&(module, space, index)).copied()
    }

    /// The signature of a module's type, the same number for the same signature in every module.
    pub fn signature(&self, module: ModuleId, ty: u32) -> Option<u32> {
        *self.signatures.get(module as usize)?.get(ty as usize)?
    }

    /// Gives each table and memory a family, and one family to those that are linked.
    fn join(&mut self, model: &Model<'_>) {
        let mut groups = Groups::default();
        for (id, module) in (0u32..).zip(&model.modules) {
            for space in [CoreSpace::Table, CoreSpace::Memory] {
                for index in 0..module.count(space) {
                    groups.find((id, space, index));
                }
                for index in 0..module.imported_count(space) {
                    let Some(import) = module.import_of(space, index) else { continue };
                    for provider in providers(model, id, import.module, import.name) {
                        match provider {
                            Provider::Module(other, provided, there) if provided == space => {
                                groups.union((id, space, index), (other, provided, there));
                            }
                            _ => groups.exposed.push((id, space, index)),
                        }
                    }
                }
            }
        }
        let mut numbers = HashMap::new();
        for member in groups.parents.keys().copied().collect::<Vec<_>>() {
            let root = groups.find(member);
            let next = numbers.len() as u32;
            let family = *numbers.entry(root).or_insert(next);
            self.families.insert(member, family);
        }
        self.members.resize_with(numbers.len(), Family::default);
        self.slots.resize_with(numbers.len(), Slots::default);
        for (&(_, space, _), &family) in &self.families {
            self.members[family as usize].memory = space == CoreSpace::Memory;
        }
        for exposed in groups.exposed {
            if let Some(family) = self.family(exposed.0, exposed.1, exposed.2) {
                self.members[family as usize].exposed = true;
            }
        }
    }

    fn add_segments(&mut self, id: ModuleId, module: &Module<'_>) {
        for (index, data) in (0u32..).zip(&module.data) {
            let SegmentKind::Active { target, .. } = data.kind else { continue };
            if let Some(family) = self.family(id, CoreSpace::Memory, target) {
                self.members[family as usize].segments.push((id, index));
            }
        }
        for (index, element) in (0u32..).zip(&module.elements) {
            let SegmentKind::Active { target, at, .. } = element.kind else { continue };
            let Some(family) = self.family(id, CoreSpace::Table, target) else { continue };
            self.members[family as usize].segments.push((id, index));
            let types: &[u32] = &module.func_types;
            for (number, entry) in (0u32..).zip(&element.entries) {
                let slots = &mut self.slots[family as usize];
                match entry {
                    Entry::Func(func) => {
                        let slot = Slot { module: id, element: index, entry: number };
                        let ty = types.get(*func as usize).copied();
                        let signature = ty.and_then(|ty| *self.signatures.get(id as usize)?.get(ty as usize)?);
                        slots.by_type.entry(signature).or_default().push(slot);
                        match at.and_then(|at| at.checked_add(u64::from(number))) {
                            Some(at) => slots.by_number.entry(at).or_default().push(slot),
                            None => slots.blurred = true,
                        }
                    }
                    // A null may empty a slot that an earlier segment filled.
                    Entry::Null(_) | Entry::Other(_) => slots.blurred = true,
                }
            }
        }
    }
}

/// Sets of tables and memories that are linked (a union-find forest).
#[derive(Default)]
struct Groups {
    parents: BTreeMap<(ModuleId, CoreSpace, u32), (ModuleId, CoreSpace, u32)>,
    exposed: Vec<(ModuleId, CoreSpace, u32)>,
}

impl Groups {
    fn find(&mut self, member: (ModuleId, CoreSpace, u32)) -> (ModuleId, CoreSpace, u32) {
        let mut root = member;
        loop {
            let parent = *self.parents.entry(root).or_insert(root);
            if parent == root {
                break;
            }
            root = parent;
        }
        self.parents.insert(member, root);
        root
    }

    fn union(&mut self, a: (ModuleId, CoreSpace, u32), b: (ModuleId, CoreSpace, u32)) {
        let (a, b) = (self.find(a), self.find(b));
        self.parents.insert(a, b);
    }
}

/// What an import of a module is linked to, at each place where the module is instantiated.
pub fn providers(model: &Model<'_>, module: ModuleId, from: &str, name: &str) -> Vec<Provider> {
    let Some(sites) = model.module_sites.get(module as usize) else { return Vec::new() };
    sites
        .iter()
        .map(|&(id, instance)| match argument(model, id, instance, from) {
            Some(argument) => resolve(model, id, argument, name),
            None => Provider::Unknown,
        })
        .collect()
}

/// The core instance that `instance` gets as its argument `name`.
pub fn argument(model: &Model<'_>, id: ComponentId, instance: u32, name: &str) -> Option<u32> {
    match model.component(id).def(Space::CoreInstance, instance)? {
        Def::CoreInstance(Instance::Instantiate { args, .. }) => args.iter().find(|a| a.name == name).map(|a| a.index),
        _ => None,
    }
}

/// What stands behind the export `name` of a core instance.
fn resolve(model: &Model<'_>, id: ComponentId, mut instance: u32, name: &str) -> Provider {
    let component = model.component(id);
    let mut name = name;
    loop {
        match component.def(Space::CoreInstance, instance) {
            Some(Def::CoreInstance(Instance::Instantiate { module_index, .. })) => {
                let Some(module) = model.module_of(id, *module_index) else { return Provider::Unknown };
                return match model.module(module).export(name) {
                    Some((_, export)) => Provider::Module(module, space_of_kind(export.kind), export.index),
                    None => Provider::Unknown,
                };
            }
            Some(Def::CoreInstance(Instance::FromExports(exports))) => {
                let Some(export) = exports.iter().find(|e| e.name == name) else { return Provider::Unknown };
                match component.def(Space::of_core(export.kind), export.index) {
                    Some(Def::Alias(ComponentAlias::CoreInstanceExport { instance_index, name: inner, .. })) => {
                        instance = *instance_index;
                        name = inner;
                    }
                    Some(Def::Canon(_)) => return Provider::Canon,
                    _ => return Provider::Unknown,
                }
            }
            _ => return Provider::Unknown,
        }
    }
}

/// The module item behind a core item of a component.
pub fn resolve_item(model: &Model<'_>, id: ComponentId, space: Space, index: u32) -> Provider {
    match model.component(id).def(space, index) {
        Some(Def::Alias(ComponentAlias::CoreInstanceExport { instance_index, name, .. })) => {
            resolve(model, id, *instance_index, name)
        }
        Some(Def::Canon(_)) => Provider::Canon,
        _ => Provider::Unknown,
    }
}

/// Numbers the function types of all modules, the same signature getting the same number.
fn signatures(model: &Model<'_>) -> Vec<Vec<Option<u32>>> {
    let mut numbers: HashMap<FuncType, u32> = HashMap::new();
    let mut number = |module: &Module<'_>, ty: u32| {
        let group = module.groups.get(*module.type_group.get(ty as usize)? as usize)?;
        let mut types = group.types();
        let (Some(ty), None) = (types.next(), types.next()) else { return None };
        let CompositeInnerType::Func(func) = &ty.composite_type.inner else { return None };
        let plain = |ty: &ValType| match ty {
            ValType::Ref(reference) => reference.type_index().is_none(),
            _ => true,
        };
        let comparable = ty.is_final
            && ty.supertype_idx.is_none()
            && !ty.composite_type.shared
            && func.params().iter().chain(func.results()).all(plain);
        let next = numbers.len() as u32;
        comparable.then(|| *numbers.entry(func.clone()).or_insert(next))
    };
    model
        .modules
        .iter()
        .map(|module| (0..module.count(CoreSpace::Type)).map(|ty| number(module, ty)).collect())
        .collect()
}
