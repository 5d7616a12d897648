//! Writes a component again, without what is not reached.
//!
//! Definitions keep their order and lose those that nobody needs; inside the ones that stay, instance types of imports
//! lose declarations, instantiations lose arguments that the inner module or component no longer imports, and
//! instances made from exports lose entries. Everything is renumbered through [`ComponentRefs`].

use super::component::{Component, ComponentId, Def, Model, ROOT};
use super::component_refs::{ComponentRefs, Space};
use super::decls::decl_adds;
use super::liveness::{Liveness, Node};
use super::names;
use super::report::Counts;
use super::rewrite_module::ModuleWriter;
use anyhow::{Context, Result};
use std::mem::take;
use wasm_encoder::reencode::{Error, ReencodeComponent, component_utils};
use wasm_encoder::{
    CanonicalFunctionSection, ComponentAliasSection, ComponentExportSection, ComponentImportSection,
    ComponentInstanceSection, ComponentStartSection, ComponentTypeSection, CoreTypeSection, InstanceSection,
    InstanceType, ModuleArg, ModuleSection, NestedComponentSection,
};
use wasmparser::{ComponentInstance, ComponentType, Instance, InstanceTypeDeclaration};

type Map = [Vec<Option<u32>>; Space::COUNT];

/// Writes the root component and all in it. Also returns what is left of each module, `None` for one that is gone.
pub fn write(liveness: &Liveness<'_, '_>) -> Result<(Vec<u8>, Vec<Option<Counts>>)> {
    let model = liveness.model;
    let maps = (0u32..).zip(&model.components).map(|(id, component)| number(liveness, id, component)).collect();
    let mut writer = Writer { liveness, maps, modules: vec![None; model.modules.len()] };
    let bytes = writer.component(ROOT)?.finish();
    Ok((bytes, writer.modules))
}

/// Numbers what remains of a component.
fn number(liveness: &Liveness<'_, '_>, id: ComponentId, component: &Component<'_>) -> Map {
    let mut map: Map = Default::default();
    let mut next = [0; Space::COUNT];
    for adds in &component.adds {
        let Some((space, first, count)) = *adds else { continue };
        let live = is_kept(liveness, id, component, space, first, count);
        for _ in 0..count {
            map[space as usize].push(live.then_some(next[space as usize]));
            next[space as usize] += u32::from(live);
        }
    }
    map
}

/// A definition stays if one of the items that it adds is reached. What runs at the start always stays.
fn is_kept(
    liveness: &Liveness<'_, '_>,
    id: ComponentId,
    component: &Component<'_>,
    space: Space,
    first: u32,
    count: u32,
) -> bool {
    matches!(component.def(space, first), Some(Def::Start(_)))
        || (first..first.saturating_add(count)).any(|index| liveness.item(id, space, index))
}

struct Writer<'w, 'm, 'a> {
    liveness: &'w Liveness<'m, 'a>,
    maps: Vec<Map>,
    modules: Vec<Option<Counts>>,
}

impl<'m, 'a> Writer<'_, 'm, 'a> {
    fn component(&mut self, id: ComponentId) -> Result<wasm_encoder::Component> {
        let model: &'m Model<'a> = self.liveness.model;
        let component = model.component(id);
        let mut out = Sections::default();
        for (def, adds) in component.defs.iter().zip(&component.adds) {
            let first = match *adds {
                Some((space, first, count)) => {
                    let kept = is_kept(self.liveness, id, component, space, first, count);
                    if !kept && !matches!(def, Def::Start(_)) {
                        continue;
                    }
                    first
                }
                None => 0,
            };
            self.def(&mut out, id, first, def)
                .with_context(|| format!("cannot write a {} of component {id} again", kind(def)))?;
        }
        Ok(out.finish())
    }

    /// Writes one definition.
    fn def(&mut self, out: &mut Sections, id: ComponentId, first: u32, def: &'m Def<'a>) -> Result<()> {
        match def {
            Def::Module(module) => {
                let (written, counts) = ModuleWriter::new(self.liveness, *module).write()?;
                self.modules[*module as usize] = Some(counts);
                out.close().section(&ModuleSection(&written));
            }
            Def::Component(inner) => {
                let inner = self.component(*inner)?;
                out.close().section(&NestedComponentSection(&inner));
            }
            Def::Type(ComponentType::Instance(decls)) => {
                let ty = self.instance_type(id, first, decls)?;
                out.types().ty().instance(&ty);
            }
            Def::CoreInstance(instance) => self.core_instance(out, id, first, instance)?,
            Def::Instance(instance) => self.instance(out, id, first, instance)?,
            Def::Custom(custom) => match custom.name() {
                "component-name" => {
                    let map = self.map(id);
                    let number = |space: Space, index: u32| *map[space as usize].get(index as usize)?;
                    if let Some(names) = names::component_names(custom, number) {
                        out.close().section(&names);
                    }
                }
                "producers" => {}
                name => {
                    let data = custom.data().into();
                    out.close().section(&wasm_encoder::CustomSection { name: name.into(), data });
                }
            },
            _ => {
                let mut refs = self.refs(id);
                let outcome = plain(&mut refs, out, def);
                refs.check(outcome)?;
            }
        }
        Ok(())
    }

    fn map(&self, id: ComponentId) -> &Map {
        &self.maps[id as usize]
    }

    /// The new number of an item.
    fn get(&self, id: ComponentId, space: Space, index: u32) -> Result<u32> {
        let number = self.map(id)[space as usize].get(index as usize).copied().flatten();
        number.with_context(|| format!("{space:?} {index} of component {id} is used, but was taken for unused"))
    }

    /// The new number of a reference out of component `id`.
    fn renumber(&self, id: ComponentId, level: u32, space: Space, index: u32) -> Result<u32> {
        let owner = self.liveness.model.outer(id, level).context("an alias reaches out of the outermost component")?;
        self.get(owner, space, index)
    }

    fn refs(&self, id: ComponentId) -> ComponentRefs<impl FnMut(u32, Space, u32) -> Result<u32>> {
        ComponentRefs::new(move |level, space, index| self.renumber(id, level, space, index))
    }

    /// An instance type with the declarations that remain.
    fn instance_type(
        &self,
        id: ComponentId,
        ty: u32,
        decls: &'m [InstanceTypeDeclaration<'a>],
    ) -> Result<InstanceType> {
        let live = |position| self.liveness.has(Node::Decl(id, ty, position));
        let mut locals: Map = Default::default();
        let mut next = [0; Space::COUNT];
        for (position, decl) in (0u32..).zip(decls) {
            let (space, count) = decl_adds(decl);
            for _ in 0..count {
                locals[space as usize].push(live(position).then_some(next[space as usize]));
                next[space as usize] += u32::from(live(position));
            }
        }
        let mut refs =
            ComponentRefs::new(|level, space, index| match level {
                0 => locals[space as usize].get(index as usize).copied().flatten().with_context(|| {
                    format!("{space:?} {index} of an instance type is used, but was taken for unused")
                }),
                level => self.renumber(id, level - 1, space, index),
            });
        let mut out = InstanceType::new();
        for (position, decl) in (0u32..).zip(decls) {
            if live(position) {
                let outcome =
                    component_utils::parse_component_instance_type_declaration(&mut refs, &mut out, decl.clone());
                refs.check(outcome)?;
            }
        }
        Ok(out)
    }

    fn core_instance(&self, out: &mut Sections, id: ComponentId, index: u32, instance: &'m Instance<'a>) -> Result<()> {
        match instance {
            Instance::Instantiate { module_index, args } => {
                let module = self.liveness.model.module_of(id, *module_index);
                let mut kept = Vec::new();
                for arg in args {
                    if module.is_none_or(|module| ModuleWriter::imports_from(self.liveness, module, arg.name)) {
                        kept.push((arg.name, ModuleArg::Instance(self.get(id, Space::CoreInstance, arg.index)?)));
                    }
                }
                out.core_instances().instantiate(self.get(id, Space::CoreModule, *module_index)?, kept);
            }
            Instance::FromExports(exports) => {
                let mut kept = Vec::new();
                for (position, export) in (0u32..).zip(exports) {
                    if self.liveness.has(Node::CoreEntry(id, index, position)) {
                        let space = Space::of_core(export.kind);
                        kept.push((export.name, export.kind.into(), self.get(id, space, export.index)?));
                    }
                }
                out.core_instances().export_items::<_, &str>(kept);
            }
        }
        Ok(())
    }

    fn instance(
        &self,
        out: &mut Sections,
        id: ComponentId,
        index: u32,
        instance: &'m ComponentInstance<'a>,
    ) -> Result<()> {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let inner = self.liveness.model.component_of(id, *component_index);
                let mut kept = Vec::new();
                for arg in args {
                    if inner.is_none_or(|inner| self.imports(inner, arg.name)) {
                        let number = self.get(id, Space::of(arg.kind), arg.index)?;
                        kept.push((arg.name, arg.kind.into(), number));
                    }
                }
                out.instances().instantiate::<_, &str>(self.get(id, Space::Component, *component_index)?, kept);
            }
            ComponentInstance::FromExports(exports) => {
                let mut kept = Vec::new();
                for (position, export) in (0u32..).zip(exports) {
                    if self.liveness.has(Node::Entry(id, index, position)) {
                        let number = self.get(id, Space::of(export.kind), export.index)?;
                        kept.push((export.name, export.kind.into(), number));
                    }
                }
                out.instances().export_items(kept);
            }
        }
        Ok(())
    }

    /// True if what remains of component `id` imports `name`.
    fn imports(&self, id: ComponentId, name: &str) -> bool {
        let component = self.liveness.model.component(id);
        component.defs.iter().zip(&component.adds).any(|(def, adds)| {
            matches!((def, *adds), (Def::Import(import), Some((space, index, _)))
                if import.name.name == name && self.liveness.item(id, space, index))
        })
    }
}

/// Writes a definition of which nothing is left out.
fn plain<F: FnMut(u32, Space, u32) -> Result<u32>>(
    refs: &mut ComponentRefs<F>,
    out: &mut Sections,
    def: &Def<'_>,
) -> Result<(), Error<anyhow::Error>> {
    match def {
        Def::Import(import) => {
            let ty = refs.component_type_ref(import.ty)?;
            out.imports().import(import.name, ty);
        }
        Def::Type(ty) => refs.parse_component_type(out.types().ty(), ty.clone())?,
        Def::CoreType(ty) => refs.parse_component_core_type(out.core_types().ty(), ty.clone())?,
        Def::Canon(canon) => refs.parse_component_canonical(out.canons(), canon.clone())?,
        Def::Alias(alias) => {
            let alias = refs.component_alias(alias.clone())?;
            out.aliases().alias(alias);
        }
        Def::Export(export) => refs.parse_component_export(out.exports(), export.clone())?,
        Def::Start(start) => {
            let section = ComponentStartSection {
                function_index: refs.component_func_index(start.func_index),
                args: start.arguments.iter().map(|value| refs.component_value_index(*value)).collect::<Vec<_>>(),
                results: start.results,
            };
            out.close().section(&section);
        }
        Def::Module(_) | Def::Component(_) | Def::Instance(_) | Def::CoreInstance(_) | Def::Custom(_) => {}
    }
    Ok(())
}

fn kind(def: &Def<'_>) -> &'static str {
    match def {
        Def::Import(_) => "import",
        Def::Type(_) => "type",
        Def::CoreType(_) => "core type",
        Def::Canon(_) => "canonical function",
        Def::Alias(_) => "alias",
        Def::Instance(_) => "instance",
        Def::CoreInstance(_) => "core instance",
        Def::Export(_) => "export",
        Def::Module(_) => "core module",
        Def::Component(_) => "component",
        Def::Start(_) => "start function",
        Def::Custom(_) => "custom section",
    }
}

/// A component that grows definition by definition: neighbours of a kind share a section.
#[derive(Default)]
struct Sections {
    component: wasm_encoder::Component,
    /// The kind of section that definitions are being added to.
    open: Option<Open>,
    types: ComponentTypeSection,
    core_types: CoreTypeSection,
    imports: ComponentImportSection,
    canons: CanonicalFunctionSection,
    aliases: ComponentAliasSection,
    instances: ComponentInstanceSection,
    core_instances: InstanceSection,
    exports: ComponentExportSection,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Types,
    CoreTypes,
    Imports,
    Canons,
    Aliases,
    Instances,
    CoreInstances,
    Exports,
}

/// A method that returns the section of one kind, after ending one of another kind.
macro_rules! section {
    ($field:ident, $open:ident, $section:ident) => {
        fn $field(&mut self) -> &mut $section {
            if self.open != Some(Open::$open) {
                self.close();
                self.open = Some(Open::$open);
            }
            &mut self.$field
        }
    };
}

impl Sections {
    section!(types, Types, ComponentTypeSection);
    section!(core_types, CoreTypes, CoreTypeSection);
    section!(imports, Imports, ComponentImportSection);
    section!(canons, Canons, CanonicalFunctionSection);
    section!(aliases, Aliases, ComponentAliasSection);
    section!(instances, Instances, ComponentInstanceSection);
    section!(core_instances, CoreInstances, InstanceSection);
    section!(exports, Exports, ComponentExportSection);

    /// Ends the open section, so that one of another kind can follow.
    fn close(&mut self) -> &mut wasm_encoder::Component {
        let component = &mut self.component;
        match self.open.take() {
            Some(Open::Types) => component.section(&take(&mut self.types)),
            Some(Open::CoreTypes) => component.section(&take(&mut self.core_types)),
            Some(Open::Imports) => component.section(&take(&mut self.imports)),
            Some(Open::Canons) => component.section(&take(&mut self.canons)),
            Some(Open::Aliases) => component.section(&take(&mut self.aliases)),
            Some(Open::Instances) => component.section(&take(&mut self.instances)),
            Some(Open::CoreInstances) => component.section(&take(&mut self.core_instances)),
            Some(Open::Exports) => component.section(&take(&mut self.exports)),
            None => component,
        }
    }

    fn finish(mut self) -> wasm_encoder::Component {
        self.close();
        self.component
    }
}
