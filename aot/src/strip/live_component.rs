//! What an item of a component cannot do without.
//!
//! Most items need what they name. Instances are finer: of an instance only those exports are kept that someone asks
//! for, and the question is handed on to wherever the instance comes from:
//! - made from exports: the entry of that name,
//! - instantiated: the export of that name in the inner component,
//! - an alias of another instance's export: that instance, and so on,
//! - imported: the declaration of that name in the import's instance type, and the instance that is passed for the
//!   import wherever the component is instantiated.
//!
//! Instance types that serve imports are themselves lists of declarations, and lose those that nobody asks for. Any
//! other use of a type (in an export, in another type) keeps all of it. What leaves the component whole, as an argument
//! of something unknown or through the root's exports, is kept whole.

use super::component::{ComponentId, Def, ROOT};
use super::component_refs::{ComponentRefs, Space};
use super::decls::DeclSpaces;
use super::liveness::{Liveness, Node};
use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, ReencodeComponent};
use wasm_encoder::{
    CanonicalFunctionSection, ComponentTypeSection, CoreTypeSection, InstanceType, reencode::component_utils,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentTypeRef, Instance,
    InstanceTypeDeclaration,
};

/// A reference out of a definition: level, space, index.
type Reference = (u32, Space, u32);

/// A visitor that collects references.
type Collector<'f> = ComponentRefs<&'f mut dyn FnMut(u32, Space, u32) -> Result<u32>>;

impl<'m, 'a> Liveness<'m, 'a> {
    pub(super) fn visit_component(&mut self, node: Node<'a>) -> Result<()> {
        let model = self.model;
        match node {
            Node::Item(id, space, index) => self.visit_item(node, id, space, index)?,
            Node::Decl(id, ty, position) => self.visit_decl(node, id, ty, position)?,
            Node::CoreEntry(id, instance, position) => {
                self.mark(Node::Item(id, Space::CoreInstance, instance), node);
                if let Some(Def::CoreInstance(Instance::FromExports(exports))) =
                    model.component(id).def(Space::CoreInstance, instance)
                    && let Some(export) = exports.get(position as usize)
                {
                    self.mark(Node::Item(id, Space::of_core(export.kind), export.index), node);
                }
            }
            Node::Entry(id, instance, position) => {
                self.mark(Node::Item(id, Space::Instance, instance), node);
                if let Some(Def::Instance(ComponentInstance::FromExports(exports))) =
                    model.component(id).def(Space::Instance, instance)
                    && let Some(export) = exports.get(position as usize)
                {
                    self.mark(Node::Item(id, Space::of(export.kind), export.index), node);
                }
            }
            Node::Export(id, instance, name) => self.visit_export(node, id, instance, name),
            Node::AllExports(id, instance) => self.visit_all_exports(node, id, instance),
            Node::AllCoreExports(id, instance) => self.visit_all_core_exports(node, id, instance),
            _ => {}
        }
        Ok(())
    }

    fn visit_item(&mut self, node: Node<'a>, id: ComponentId, space: Space, index: u32) -> Result<()> {
        let model = self.model;
        let component = model.component(id);
        let def = component
            .def(space, index)
            .with_context(|| format!("a component refers to {space:?} {index}, which it does not have"))?;
        match def {
            Def::Import(import) => self.visit_import(node, id, index, import),
            Def::Alias(ComponentAlias::InstanceExport { kind, instance_index, name }) => {
                self.mark(Node::Export(id, *instance_index, name), node);
                if let ComponentExternalKind::Module | ComponentExternalKind::Component = kind {
                    self.mark(Node::AllExports(id, *instance_index), node);
                }
                Ok(())
            }
            Def::Alias(ComponentAlias::CoreInstanceExport { instance_index, name, .. }) => {
                self.ask_core(id, *instance_index, name, node);
                Ok(())
            }
            Def::Instance(ComponentInstance::Instantiate { component_index, args }) => {
                self.mark(Node::Item(id, Space::Component, *component_index), node);
                if model.component_of(id, *component_index).is_none() {
                    for arg in args {
                        self.mark_whole(id, Space::of(arg.kind), arg.index, node);
                    }
                }
                Ok(())
            }
            Def::CoreInstance(Instance::Instantiate { module_index, args }) => {
                self.mark(Node::Item(id, Space::CoreModule, *module_index), node);
                if model.module_of(id, *module_index).is_none() {
                    for arg in args {
                        self.mark(Node::AllCoreExports(id, arg.index), node);
                    }
                }
                Ok(())
            }
            Def::Export(export) => {
                let target = Space::of(export.kind);
                let whole = id == ROOT
                    || matches!(export.kind, ComponentExternalKind::Module | ComponentExternalKind::Component)
                    || (export.ty.is_some() && export.kind == ComponentExternalKind::Instance);
                if whole {
                    self.mark_whole(id, target, export.index, node);
                } else {
                    self.mark(Node::Item(id, target, export.index), node);
                }
                self.mark_references(node, id, def)
            }
            Def::Canon(canon) => {
                if let CanonicalFunction::ThreadSpawnIndirect { table_index, .. }
                | CanonicalFunction::ThreadNewIndirect { table_index, .. } = canon
                {
                    self.expose_table(id, *table_index, node);
                }
                self.mark_references(node, id, def)
            }
            // Its declarations are nodes of their own.
            Def::Type(wasmparser::ComponentType::Instance(_)) => Ok(()),
            Def::Type(_) | Def::CoreType(_) | Def::Alias(ComponentAlias::Outer { .. }) => {
                self.mark_references(node, id, def)
            }
            Def::Start(start) => {
                self.mark(Node::Item(id, Space::Func, start.func_index), node);
                for &value in &start.arguments {
                    self.mark(Node::Item(id, Space::Value, value), node);
                }
                Ok(())
            }
            Def::Instance(ComponentInstance::FromExports(_))
            | Def::CoreInstance(Instance::FromExports(_))
            | Def::Module(_)
            | Def::Component(_)
            | Def::Custom(_) => Ok(()),
        }
    }

    fn visit_import(
        &mut self,
        node: Node<'a>,
        id: ComponentId,
        index: u32,
        import: &'m wasmparser::ComponentImport<'a>,
    ) -> Result<()> {
        let model = self.model;
        let component = model.component(id);
        if let ComponentTypeRef::Instance(ty) = import.ty
            && let Some(decls) = component.instance_type(ty)
        {
            self.mark(Node::Item(id, Space::Type, ty), node);
            self.pass_arguments(node, id, import.name.name, false);
            for (position, _) in (0u32..).zip(decls) {
                if self.has(Node::Decl(id, ty, position)) {
                    self.ask_arguments(node, id, ty, position, index);
                }
            }
            return Ok(());
        }
        self.pass_arguments(node, id, import.name.name, true);
        let references = references(&mut |refs| {
            let outcome = refs.component_type_ref(import.ty);
            refs.check(outcome).map(drop)
        })?;
        self.mark_all(node, id, 0, references);
        Ok(())
    }

    /// Keeps what is passed for the import `name` wherever component `id` is instantiated.
    pub(super) fn pass_arguments(&mut self, node: Node<'a>, id: ComponentId, name: &str, whole: bool) {
        let model = self.model;
        for &(around, instance) in &model.component(id).sites {
            let Some((space, index)) = self.component_argument(around, instance, name) else { continue };
            if whole {
                self.mark_whole(around, space, index, node);
            } else {
                self.mark(Node::Item(around, space, index), node);
            }
        }
    }

    /// What an instantiation gets as its argument `name`.
    fn component_argument(&self, id: ComponentId, instance: u32, name: &str) -> Option<(Space, u32)> {
        match self.model.component(id).def(Space::Instance, instance)? {
            Def::Instance(ComponentInstance::Instantiate { args, .. }) => {
                args.iter().find(|a| a.name == name).map(|a| (Space::of(a.kind), a.index))
            }
            _ => None,
        }
    }

    /// Asks the instances that are passed for import `index` for what declaration `position` of its type names.
    fn ask_arguments(&mut self, node: Node<'a>, id: ComponentId, ty: u32, position: u32, index: u32) {
        let model = self.model;
        let component = model.component(id);
        let Some(InstanceTypeDeclaration::Export { name, ty: export }) =
            component.instance_type(ty).and_then(|decls| decls.get(position as usize))
        else {
            return;
        };
        let Some(Def::Import(import)) = component.def(Space::Instance, index) else { return };
        let whole = !matches!(export, ComponentTypeRef::Func(_) | ComponentTypeRef::Type(_));
        for &(around, instance) in &component.sites {
            let Some((Space::Instance, argument)) = self.component_argument(around, instance, import.name.name) else {
                continue;
            };
            // What is nested in an instance is not followed name by name.
            let asked =
                if whole { Node::AllExports(around, argument) } else { Node::Export(around, argument, name.name) };
            self.mark(asked, node);
        }
    }

    fn visit_decl(&mut self, node: Node<'a>, id: ComponentId, ty: u32, position: u32) -> Result<()> {
        let model = self.model;
        let component = model.component(id);
        self.mark(Node::Item(id, Space::Type, ty), node);
        let decls = component.instance_type(ty).context("a declaration without its instance type")?;
        let decl = decls.get(position as usize).context("a declaration lies outside its instance type")?;
        let references = references(&mut |refs| {
            let mut scratch = InstanceType::new();
            let outcome = component_utils::parse_component_instance_type_declaration(refs, &mut scratch, decl.clone());
            refs.check(outcome)
        })?;
        let locals = DeclSpaces::new(decls);
        for &(level, space, index) in &references {
            if level == 0
                && let Some(position) = locals.decl(space, index)
            {
                self.mark(Node::Decl(id, ty, position), node);
            }
        }
        self.mark_all(node, id, 1, references);
        for &index in component.importers.get(&ty).into_iter().flatten() {
            if self.item(id, Space::Instance, index) {
                self.ask_arguments(node, id, ty, position, index);
            }
        }
        Ok(())
    }

    /// Keeps an item and all that can be got out of it.
    pub(super) fn mark_whole(&mut self, id: ComponentId, space: Space, index: u32, reason: Node<'a>) {
        self.mark(Node::Item(id, space, index), reason);
        match space {
            Space::Instance => self.mark(Node::AllExports(id, index), reason),
            Space::Type => self.mark_type(id, index, reason),
            Space::CoreModule => {
                if let Some(module) = self.model.module_of(id, index) {
                    self.keep_module(module, reason);
                }
            }
            Space::Component => {
                if let Some(component) = self.model.component_of(id, index) {
                    self.keep_component(component, reason);
                }
            }
            _ => {}
        }
    }

    /// Keeps a type with all declarations.
    pub(super) fn mark_type(&mut self, id: ComponentId, ty: u32, reason: Node<'a>) {
        self.mark(Node::Item(id, Space::Type, ty), reason);
        let decls = self.model.component(id).instance_type(ty).unwrap_or_default();
        for position in 0..decls.len() as u32 {
            self.mark(Node::Decl(id, ty, position), reason);
        }
    }

    /// Keeps a whole component, because something that is not known may instantiate it.
    fn keep_component(&mut self, id: ComponentId, reason: Node<'a>) {
        let model = self.model;
        let component = model.component(id);
        for (def, adds) in component.defs.iter().zip(&component.adds) {
            let Some((space, first, count)) = *adds else { continue };
            for index in first..first + count {
                self.mark_whole(id, space, index, reason);
            }
            if let (Def::CoreInstance(_), Space::CoreInstance) = (def, space) {
                self.mark(Node::AllCoreExports(id, first), reason);
            }
        }
    }

    /// Marks what a definition names, by walking it.
    fn mark_references(&mut self, node: Node<'a>, id: ComponentId, def: &Def<'a>) -> Result<()> {
        let references = references(&mut |refs| {
            let outcome: Result<(), Error<anyhow::Error>> = match def {
                Def::Type(ty) => {
                    let mut scratch = ComponentTypeSection::new();
                    refs.parse_component_type(scratch.ty(), ty.clone())
                }
                Def::CoreType(ty) => {
                    let mut scratch = CoreTypeSection::new();
                    refs.parse_component_core_type(scratch.ty(), ty.clone())
                }
                Def::Canon(canon) => {
                    let mut scratch = CanonicalFunctionSection::new();
                    refs.parse_component_canonical(&mut scratch, canon.clone())
                }
                Def::Alias(alias) => refs.component_alias(alias.clone()).map(drop),
                Def::Export(export) => export.ty.map_or(Ok(()), |ty| refs.component_type_ref(ty).map(drop)),
                _ => Ok(()),
            };
            refs.check(outcome)
        })?;
        self.mark_all(node, id, 0, references);
        Ok(())
    }

    /// Marks references that were collected in a scope `inside` levels inside component `id`.
    fn mark_all(&mut self, node: Node<'a>, id: ComponentId, inside: u32, references: Vec<Reference>) {
        for (level, space, index) in references {
            let Some(owner) = level.checked_sub(inside).and_then(|levels| self.model.outer(id, levels)) else {
                continue;
            };
            if space == Space::Type {
                self.mark_type(owner, index, node);
            } else {
                self.mark(Node::Item(owner, space, index), node);
            }
        }
    }
}

/// Collects what a walk refers to.
fn references(walk: &mut dyn FnMut(&mut Collector<'_>) -> Result<()>) -> Result<Vec<Reference>> {
    let mut found = Vec::new();
    let mut note = |level, space, index| {
        found.push((level, space, index));
        Ok(index)
    };
    walk(&mut ComponentRefs::new(&mut note))?;
    Ok(found)
}
