//! A component, taken apart: its definitions in binary order, its index spaces, and who instantiates what.
//!
//! A component is a list of definitions; each one adds items to index spaces and may refer only to items that came
//! before. [`Model`] holds the root component and all components and modules inside it, each under an id of its own, so
//! that the rest of the stage can speak of "item 7 of space core-func of component 2" wherever it stands.

use super::component_refs::Space;
use super::module::{Module, ModuleId};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use wasmparser::{
    CanonicalFunction, Chunk, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance,
    ComponentStartFunction, ComponentType, ComponentTypeRef, CoreType, CustomSectionReader, Encoding, Instance,
    InstanceTypeDeclaration, Parser, Payload,
};

/// Index of a component in the model; the root is 0.
pub type ComponentId = u32;

/// The root component.
pub const ROOT: ComponentId = 0;

/// How deeply components may be nested. Real ones go two or three deep; the parser recurses once a level.
const MAX_NESTING: u32 = 100;

/// A definition, as the binary has it.
pub enum Def<'a> {
    Import(ComponentImport<'a>),
    Type(ComponentType<'a>),
    CoreType(CoreType<'a>),
    Canon(CanonicalFunction),
    Alias(ComponentAlias<'a>),
    Instance(ComponentInstance<'a>),
    CoreInstance(Instance<'a>),
    Export(ComponentExport<'a>),
    Module(ModuleId),
    Component(ComponentId),
    Start(ComponentStartFunction),
    Custom(CustomSectionReader<'a>),
}

/// A component, in the order of its binary.
#[derive(Default)]
pub struct Component<'a> {
    /// The component around this one.
    pub parent: Option<ComponentId>,
    pub defs: Vec<Def<'a>>,
    /// For each definition, the items that it adds: space, first index, how many.
    pub adds: Vec<Option<(Space, u32, u32)>>,
    /// For each space, the definition behind each index.
    pub spaces: [Vec<u32>; Space::COUNT],
    /// Exports by name: the item that the export definition adds.
    pub exports: BTreeMap<&'a str, (Space, u32)>,
    /// For each instance type, the imported instances that have it.
    pub importers: HashMap<u32, Vec<u32>>,
    /// Where this component is instantiated: component and instance index.
    pub sites: Vec<(ComponentId, u32)>,
}

/// The whole input: the root component and all that is inside it.
#[derive(Default)]
pub struct Model<'a> {
    pub components: Vec<Component<'a>>,
    pub modules: Vec<Module<'a>>,
    /// For each module, where it is instantiated: component and core instance index.
    pub module_sites: Vec<Vec<(ComponentId, u32)>>,
    /// For each component, whether instantiating the root instantiates it.
    pub instantiated: Vec<bool>,
}

impl<'a> Component<'a> {
    fn push(&mut self, def: Def<'a>, space: Option<Space>, count: usize) {
        let id = self.defs.len() as u32;
        let added = space.map(|space| {
            let items = &mut self.spaces[space as usize];
            let first = items.len() as u32;
            items.extend(std::iter::repeat_n(id, count));
            (space, first, count as u32)
        });
        match (&def, added) {
            (Def::Import(import), Some((_, first, _))) => {
                if let ComponentTypeRef::Instance(ty) = import.ty {
                    self.importers.entry(ty).or_default().push(first);
                }
            }
            (Def::Export(export), Some((space, first, _))) => {
                self.exports.insert(export.name.name, (space, first));
            }
            _ => {}
        }
        self.adds.push(added);
        self.defs.push(def);
    }

    /// The definition behind an item.
    pub fn def(&self, space: Space, index: u32) -> Option<&Def<'a>> {
        let id = *self.spaces[space as usize].get(index as usize)?;
        self.defs.get(id as usize)
    }

    /// The declarations of instance type `ty`, if it is defined here.
    pub fn instance_type(&self, ty: u32) -> Option<&[InstanceTypeDeclaration<'a>]> {
        match self.def(Space::Type, ty)? {
            Def::Type(ComponentType::Instance(decls)) => Some(decls),
            _ => None,
        }
    }

    fn payload(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    self.push(Def::Type(ty?), Some(Space::Type), 1);
                }
            }
            Payload::CoreTypeSection(types) => {
                for ty in types {
                    let ty = ty?;
                    let count = match &ty {
                        CoreType::Rec(group) => group.types().len(),
                        CoreType::Module(_) => 1,
                    };
                    self.push(Def::CoreType(ty), Some(Space::CoreType), count);
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import?;
                    self.push(Def::Import(import), Some(Space::of(import.ty.kind())), 1);
                }
            }
            Payload::ComponentCanonicalSection(canons) => {
                for canon in canons {
                    let canon = canon?;
                    let lift = matches!(canon, CanonicalFunction::Lift { .. });
                    self.push(Def::Canon(canon), Some(if lift { Space::Func } else { Space::CoreFunc }), 1);
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    let alias = alias?;
                    let space = match &alias {
                        ComponentAlias::InstanceExport { kind, .. } => Space::of(*kind),
                        ComponentAlias::CoreInstanceExport { kind, .. } => Space::of_core(*kind),
                        ComponentAlias::Outer { kind, .. } => Space::of_outer(*kind),
                    };
                    self.push(Def::Alias(alias), Some(space), 1);
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    self.push(Def::Instance(instance?), Some(Space::Instance), 1);
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    self.push(Def::CoreInstance(instance?), Some(Space::CoreInstance), 1);
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let space = Space::of(export.kind);
                    self.push(Def::Export(export), Some(space), 1);
                }
            }
            Payload::ComponentStartSection { start, .. } => {
                let results = start.results as usize;
                self.push(Def::Start(start), Some(Space::Value), results);
            }
            Payload::CustomSection(custom) => self.push(Def::Custom(custom), None, 0),
            Payload::Version { encoding: Encoding::Component, .. } | Payload::End(_) => {}
            Payload::Version { .. } => bail!("found a core module: wrap it into a component first"),
            other => bail!("a component holds a section that is not known: {other:?}"),
        }
        Ok(())
    }
}

impl<'a> Model<'a> {
    /// Takes a component apart, with all that is inside it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.is_empty() {
            bail!("found nothing: the input is empty");
        }
        let mut model = Model::default();
        model.parse_component(bytes, None, 0)?;
        model.find_sites();
        model.find_instantiated();
        Ok(model)
    }

    fn parse_component(&mut self, bytes: &'a [u8], parent: Option<ComponentId>, depth: u32) -> Result<ComponentId> {
        if depth > MAX_NESTING {
            bail!("components are nested more than {MAX_NESTING} deep: compose them side by side instead");
        }
        let id = self.components.len() as ComponentId;
        self.components.push(Component { parent, ..Component::default() });
        let mut parser = Parser::new(0);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                bail!("the component ends in the middle of a section");
            };
            at += consumed;
            let (def, space) = match payload {
                Payload::ModuleSection { unchecked_range, .. } => {
                    at = unchecked_range.end;
                    let inner = bytes.get(unchecked_range).context("a module lies outside its component")?;
                    self.modules.push(Module::parse(inner)?);
                    (Def::Module(self.modules.len() as ModuleId - 1), Space::CoreModule)
                }
                Payload::ComponentSection { unchecked_range, .. } => {
                    at = unchecked_range.end;
                    let inner = bytes.get(unchecked_range).context("a component lies outside its component")?;
                    (Def::Component(self.parse_component(inner, Some(id), depth + 1)?), Space::Component)
                }
                payload => {
                    self.components[id as usize].payload(payload)?;
                    continue;
                }
            };
            self.components[id as usize].push(def, Some(space), 1);
        }
        Ok(id)
    }

    /// The component under this id.
    pub fn component(&self, id: ComponentId) -> &Component<'a> {
        &self.components[id as usize]
    }

    /// The module under this id.
    pub fn module(&self, id: ModuleId) -> &Module<'a> {
        &self.modules[id as usize]
    }

    /// The component `levels` out from `id`.
    pub fn outer(&self, mut id: ComponentId, levels: u32) -> Option<ComponentId> {
        for _ in 0..levels {
            id = self.component(id).parent?;
        }
        Some(id)
    }

    /// Follows outer aliases and exports of a module or component item to the definition.
    fn definition(&self, mut id: ComponentId, space: Space, mut index: u32) -> Option<&Def<'a>> {
        loop {
            match self.component(id).def(space, index)? {
                Def::Alias(ComponentAlias::Outer { count, index: outer, .. }) => {
                    id = self.outer(id, *count)?;
                    index = *outer;
                }
                Def::Export(export) => index = export.index,
                def => return Some(def),
            }
        }
    }

    /// The module behind an item; `None` if it comes from outside (an import, the export of an instance).
    pub fn module_of(&self, id: ComponentId, index: u32) -> Option<ModuleId> {
        match self.definition(id, Space::CoreModule, index)? {
            Def::Module(module) => Some(*module),
            _ => None,
        }
    }

    /// The component behind an item; `None` if it comes from outside.
    pub fn component_of(&self, id: ComponentId, index: u32) -> Option<ComponentId> {
        match self.definition(id, Space::Component, index)? {
            Def::Component(component) => Some(*component),
            _ => None,
        }
    }

    fn find_sites(&mut self) {
        let mut component_sites = vec![Vec::new(); self.components.len()];
        let mut module_sites = vec![Vec::new(); self.modules.len()];
        for (id, component) in (0u32..).zip(&self.components) {
            for (def, adds) in component.defs.iter().zip(&component.adds) {
                let Some((_, index, _)) = *adds else { continue };
                match def {
                    Def::Instance(ComponentInstance::Instantiate { component_index, .. }) => {
                        if let Some(inner) = self.component_of(id, *component_index) {
                            component_sites[inner as usize].push((id, index));
                        }
                    }
                    Def::CoreInstance(Instance::Instantiate { module_index, .. }) => {
                        if let Some(inner) = self.module_of(id, *module_index) {
                            module_sites[inner as usize].push((id, index));
                        }
                    }
                    _ => {}
                }
            }
        }
        self.module_sites = module_sites;
        for (component, sites) in self.components.iter_mut().zip(component_sites) {
            component.sites = sites;
        }
    }

    fn find_instantiated(&mut self) {
        let mut instantiated = vec![false; self.components.len()];
        let mut inner = vec![Vec::new(); self.components.len()];
        for (id, component) in (0u32..).zip(&self.components) {
            for (around, _) in &component.sites {
                inner[*around as usize].push(id);
            }
        }
        let mut queue = vec![ROOT];
        while let Some(id) = queue.pop() {
            if !std::mem::replace(&mut instantiated[id as usize], true) {
                queue.extend(&inner[id as usize]);
            }
        }
        self.instantiated = instantiated;
    }
}
