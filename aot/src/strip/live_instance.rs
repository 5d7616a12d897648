//! What is asked of an instance, by name, and whom the question is handed on to.
//!
//! An instance is as good as its exports, and few of them may be used. So instances are followed export by export,
//! through aliases, instantiations and entries, down to what the name stands for; see [`super::live_component`] for the rules.

use super::component::{ComponentId, Def};
use super::component_refs::Space;
use super::core_refs::CoreSpace;
use super::link::{Provider, resolve_item};
use super::liveness::{Liveness, Node};
use super::module::space_of_kind;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentTypeRef, ExternalKind, Instance,
    InstanceTypeDeclaration,
};

impl<'a> Liveness<'_, 'a> {
    pub(super) fn visit_export(&mut self, node: Node<'a>, id: ComponentId, instance: u32, name: &'a str) {
        let model = self.model;
        let component = model.component(id);
        self.mark(Node::Item(id, Space::Instance, instance), node);
        match component.def(Space::Instance, instance) {
            Some(Def::Import(import)) => {
                let ComponentTypeRef::Instance(ty) = import.ty else { return };
                for (position, decl) in (0u32..).zip(component.instance_type(ty).unwrap_or_default()) {
                    if matches!(decl, InstanceTypeDeclaration::Export { name: own, .. } if own.name == name) {
                        self.mark(Node::Decl(id, ty, position), node);
                    }
                }
            }
            Some(Def::Instance(ComponentInstance::Instantiate { component_index, .. })) => {
                let Some(inner) = model.component_of(id, *component_index) else { return };
                if let Some(&(space, index)) = model.component(inner).exports.get(name) {
                    self.mark(Node::Item(inner, space, index), node);
                }
            }
            Some(Def::Instance(ComponentInstance::FromExports(exports))) => {
                // Functions may only be exported along with the types that their signatures name, and these are
                // named by being in the same instance.
                for (position, export) in (0u32..).zip(exports) {
                    if export.name.name == name || export.kind == ComponentExternalKind::Type {
                        self.mark(Node::Entry(id, instance, position), node);
                    }
                }
            }
            Some(Def::Alias(ComponentAlias::InstanceExport { instance_index, name: alias, .. })) => {
                match self.instance_behind(id, *instance_index, alias) {
                    Some((id, instance)) => self.mark(Node::Export(id, instance, name), node),
                    None => self.mark(Node::AllExports(id, *instance_index), node),
                }
            }
            Some(Def::Export(export)) => self.mark(Node::Export(id, export.index, name), node),
            _ => {}
        }
    }

    /// The instance that the export `name` of an instance stands for, where that is known.
    fn instance_behind(&self, mut id: ComponentId, mut instance: u32, name: &str) -> Option<(ComponentId, u32)> {
        let model = self.model;
        loop {
            match model.component(id).def(Space::Instance, instance)? {
                Def::Instance(ComponentInstance::Instantiate { component_index, .. }) => {
                    let inner = model.component_of(id, *component_index)?;
                    let (space, index) = *model.component(inner).exports.get(name)?;
                    return (space == Space::Instance).then_some((inner, index));
                }
                Def::Instance(ComponentInstance::FromExports(exports)) => {
                    let export = exports.iter().find(|e| e.name.name == name)?;
                    return (export.kind == ComponentExternalKind::Instance).then_some((id, export.index));
                }
                Def::Alias(ComponentAlias::InstanceExport { instance_index, name: alias, .. }) => {
                    (id, instance) = self.instance_behind(id, *instance_index, alias)?;
                }
                Def::Export(export) => instance = export.index,
                _ => return None,
            }
        }
    }

    pub(super) fn visit_all_exports(&mut self, node: Node<'a>, id: ComponentId, instance: u32) {
        let model = self.model;
        let component = model.component(id);
        self.mark(Node::Item(id, Space::Instance, instance), node);
        match component.def(Space::Instance, instance) {
            Some(Def::Import(import)) => {
                if let ComponentTypeRef::Instance(ty) = import.ty {
                    self.mark_type(id, ty, node);
                }
                self.pass_arguments(node, id, import.name.name, true);
            }
            Some(Def::Instance(ComponentInstance::Instantiate { component_index, .. })) => {
                let Some(inner) = model.component_of(id, *component_index) else { return };
                let exports = model.component(inner);
                for (def, adds) in exports.defs.iter().zip(&exports.adds) {
                    if let (Def::Export(_), Some((space, index, _))) = (def, *adds) {
                        self.mark_whole(inner, space, index, node);
                    }
                }
            }
            Some(Def::Instance(ComponentInstance::FromExports(exports))) => {
                for (position, export) in (0u32..).zip(exports) {
                    self.mark(Node::Entry(id, instance, position), node);
                    self.mark_whole(id, Space::of(export.kind), export.index, node);
                }
            }
            Some(Def::Alias(ComponentAlias::InstanceExport { instance_index, name, .. })) => {
                match self.instance_behind(id, *instance_index, name) {
                    Some((id, instance)) => self.mark(Node::AllExports(id, instance), node),
                    None => self.mark(Node::AllExports(id, *instance_index), node),
                }
            }
            Some(Def::Export(export)) => self.mark(Node::AllExports(id, export.index), node),
            _ => {}
        }
    }

    /// Asks a core instance for one of its exports.
    pub(super) fn ask_core(&mut self, id: ComponentId, instance: u32, name: &str, reason: Node<'a>) {
        let model = self.model;
        self.mark(Node::Item(id, Space::CoreInstance, instance), reason);
        match model.component(id).def(Space::CoreInstance, instance) {
            Some(Def::CoreInstance(Instance::Instantiate { module_index, .. })) => {
                if let Some(module) = model.module_of(id, *module_index)
                    && let Some((export, _)) = model.module(module).export(name)
                {
                    self.mark(Node::CoreExport(module, export), reason);
                }
            }
            Some(Def::CoreInstance(Instance::FromExports(exports))) => {
                if let Some(position) = exports.iter().position(|e| e.name == name) {
                    self.mark(Node::CoreEntry(id, instance, position as u32), reason);
                }
            }
            _ => {}
        }
    }

    pub(super) fn visit_all_core_exports(&mut self, node: Node<'a>, id: ComponentId, instance: u32) {
        let model = self.model;
        self.mark(Node::Item(id, Space::CoreInstance, instance), node);
        match model.component(id).def(Space::CoreInstance, instance) {
            Some(Def::CoreInstance(Instance::Instantiate { module_index, .. })) => {
                let Some(module) = model.module_of(id, *module_index) else { return };
                for (index, export) in (0u32..).zip(&model.module(module).exports) {
                    self.mark(Node::CoreExport(module, index), node);
                    if let Some(family) = self.links.family(module, space_of_kind(export.kind), export.index)
                        && export.kind == ExternalKind::Table
                    {
                        self.mark(Node::Called(family, None), node);
                    }
                }
            }
            Some(Def::CoreInstance(Instance::FromExports(exports))) => {
                for (position, export) in (0u32..).zip(exports) {
                    self.mark(Node::CoreEntry(id, instance, position), node);
                    if export.kind == ExternalKind::Table {
                        self.expose_table(id, export.index, node);
                    }
                }
            }
            _ => {}
        }
    }

    /// Someone unknown, or the host, may call any slot of this table.
    pub(super) fn expose_table(&mut self, id: ComponentId, table: u32, reason: Node<'a>) {
        if let Provider::Module(module, CoreSpace::Table, index) = resolve_item(self.model, id, Space::CoreTable, table)
            && let Some(family) = self.links.family(module, CoreSpace::Table, index)
        {
            self.mark(Node::Called(family, None), reason);
        }
    }
}
