//! What a piece of a core module cannot do without.
//!
//! Calls, `ref.func`, globals, memories and the like are plain references. Tables need thought, because nearly every
//! function of a program is in some table:
//! - A table that is only called through constant indices (wit-component's shim calls lowered imports that way) is a
//!   row of separate slots: only the slots that live code names are reached, the others are left empty.
//! - A table that is called through computed indices reaches the functions whose signature some live `call_indirect`
//!   asks for. The other slots must not become empty, because calling them traps for the wrong signature: they are
//!   filled with a stub of the same type.
//! - A table whose elements are read as values reaches all its functions.

use super::core_refs::{CoreRefs, CoreSpace, IndexMap, TableUse, flatten};
use super::link::{Slot, argument};
use super::liveness::{Liveness, Node};
use super::module::{Entry, ModuleId, SegmentKind, space_of_kind};
use anyhow::{Context, Result};
use wasm_encoder::reencode::{Reencode, utils};
use wasmparser::TableInit;

/// Collects the references of a piece of code.
#[derive(Default)]
pub struct Uses {
    refs: Vec<(CoreSpace, u32)>,
    tables: Vec<TableUse>,
}

impl IndexMap for &mut Uses {
    fn map(&mut self, space: CoreSpace, index: u32) -> Result<u32> {
        // Loads and stores name the same memory again and again.
        if self.refs.last() != Some(&(space, index)) {
            self.refs.push((space, index));
        }
        Ok(index)
    }

    /// Releasing a segment is no use of it.
    fn is_gone(&self, _space: CoreSpace, _index: u32) -> bool {
        true
    }

    fn table_use(&mut self, table: TableUse) {
        self.tables.push(table);
    }
}

impl<'a> Liveness<'_, 'a> {
    pub(super) fn visit_core(&mut self, node: Node<'a>) -> Result<()> {
        let (model, links) = (self.model, self.links);
        match node {
            Node::Core(module, space, index) => self.visit_core_item(node, module, space, index)?,
            Node::CoreExport(module, index) => {
                if let Some(export) = model.module(module).exports.get(index as usize) {
                    self.mark(Node::Core(module, space_of_kind(export.kind), export.index), node);
                }
            }
            Node::Slot(module, element, entry) => {
                let Some(element) = model.module(module).elements.get(element as usize) else { return Ok(()) };
                if let Some(Entry::Func(func)) = element.entries.get(entry as usize) {
                    self.mark(Node::Core(module, CoreSpace::Func, *func), node);
                }
                if let SegmentKind::Active { target, .. } = element.kind {
                    self.mark(Node::Core(module, CoreSpace::Table, target), node);
                }
                if let Some(ty) = element.ty {
                    self.collect(node, module, |refs| refs.ref_type(ty).map(drop).map_err(flatten))?;
                }
            }
            Node::Family(family) => {
                let Some(members) = links.members.get(family as usize) else { return Ok(()) };
                if members.exposed {
                    self.mark(Node::Called(family, None), node);
                }
                if members.memory {
                    for &(module, data) in &members.segments {
                        self.mark(Node::Core(module, CoreSpace::Data, data), node);
                    }
                }
            }
            Node::Filled(family) => self.visit_filled(node, family)?,
            Node::Called(family, signature) => {
                self.mark(Node::Filled(family), node);
                let Some(slots) = links.slots.get(family as usize) else { return Ok(()) };
                for (of, slots) in &slots.by_type {
                    if signature.is_none() || of.is_none() || *of == signature {
                        self.mark_slots(node, slots);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_core_item(&mut self, node: Node<'a>, id: ModuleId, space: CoreSpace, index: u32) -> Result<()> {
        let model = self.model;
        let module = model.module(id);
        if let CoreSpace::Table | CoreSpace::Memory = space
            && let Some(family) = self.links.family(id, space, index)
        {
            self.mark(Node::Family(family), node);
        }
        if let Some(import) = module.import_of(space, index) {
            self.collect(node, id, |refs| refs.entity_type(import.ty).map(drop).map_err(flatten))?;
            for &(component, instance) in &model.module_sites[id as usize] {
                if let Some(argument) = argument(model, component, instance, import.module) {
                    self.ask_core(component, argument, import.name, node);
                }
            }
            return Ok(());
        }
        let at = module.defined(space, index).context("a core index lies outside its space")?;
        let known = || format!("a module refers to {space:?} {index}, which it does not have");
        match space {
            CoreSpace::Func => {
                let ty = *module.func_types.get(index as usize).with_context(known)?;
                self.mark(Node::Core(id, CoreSpace::Type, ty), node);
                let body = module.bodies.get(at).with_context(known)?;
                self.collect(node, id, |refs| refs.scan_body(body))
            }
            CoreSpace::Table => {
                let table = module.tables.get(at).with_context(known)?.clone();
                self.collect(node, id, |refs| {
                    refs.table_type(table.ty).map_err(flatten)?;
                    if let TableInit::Expr(init) = table.init {
                        utils::const_expr(refs, init).map_err(flatten)?;
                    }
                    Ok(())
                })
            }
            CoreSpace::Memory => Ok(()),
            CoreSpace::Tag => {
                let tag = *module.tags.get(at).with_context(known)?;
                self.mark(Node::Core(id, CoreSpace::Type, tag.func_type_idx), node);
                Ok(())
            }
            CoreSpace::Global => {
                let global = module.globals.get(at).with_context(known)?.clone();
                self.collect(node, id, |refs| {
                    refs.global_type(global.ty).map_err(flatten)?;
                    utils::const_expr(refs, global.init_expr).map(drop).map_err(flatten)
                })
            }
            CoreSpace::Type => self.visit_type(node, id, index),
            CoreSpace::Element => {
                let element = module.elements.get(at).with_context(known)?;
                for entry in &element.entries {
                    if let Entry::Func(func) = entry {
                        self.mark(Node::Core(id, CoreSpace::Func, *func), node);
                    }
                }
                self.visit_segment(node, id, index)
            }
            CoreSpace::Data => {
                let data = module.data.get(at).with_context(known)?;
                if let SegmentKind::Active { target, offset, .. } = &data.kind {
                    self.mark(Node::Core(id, CoreSpace::Memory, *target), node);
                    let offset = offset.clone();
                    self.collect(node, id, |refs| utils::const_expr(refs, offset).map(drop).map_err(flatten))?;
                }
                Ok(())
            }
        }
    }

    /// A type keeps its whole recursion group.
    fn visit_type(&mut self, node: Node<'a>, id: ModuleId, index: u32) -> Result<()> {
        let module = self.model.module(id);
        let group = module.type_group.get(index as usize).context("a type index lies outside its space")?;
        let Some(types) = module.groups.get(*group as usize) else { return Ok(()) };
        let first = module.type_group.partition_point(|g| g < group) as u32;
        for (other, _) in (first..).zip(types.types()) {
            self.mark(Node::Core(id, CoreSpace::Type, other), node);
        }
        let types = types.clone();
        self.collect(node, id, |refs| {
            for ty in types.into_types() {
                refs.sub_type(ty).map_err(flatten)?;
            }
            Ok(())
        })
    }

    /// What an element segment needs apart from the functions in it.
    fn visit_segment(&mut self, node: Node<'a>, id: ModuleId, index: u32) -> Result<()> {
        let module = self.model.module(id);
        let Some(element) = module.elements.get(index as usize) else { return Ok(()) };
        if let SegmentKind::Active { target, .. } = element.kind {
            self.mark(Node::Core(id, CoreSpace::Table, target), node);
        }
        self.collect(node, id, |refs| {
            if let SegmentKind::Active { offset, .. } = &element.kind {
                utils::const_expr(refs, offset.clone()).map_err(flatten)?;
            }
            if let Some(ty) = element.ty {
                refs.ref_type(ty).map_err(flatten)?;
            }
            for entry in &element.entries {
                if let Entry::Other(expr) | Entry::Null(expr) = entry {
                    utils::const_expr(refs, expr.clone()).map_err(flatten)?;
                }
            }
            Ok(())
        })
    }

    /// All segments of the family stay; slots that nothing reaches are filled with stubs, which need their types.
    fn visit_filled(&mut self, node: Node<'a>, family: u32) -> Result<()> {
        self.mark(Node::Family(family), node);
        let (model, links) = (self.model, self.links);
        let Some(members) = links.members.get(family as usize) else { return Ok(()) };
        for &(id, index) in &members.segments {
            self.visit_segment(node, id, index)?;
            let module = model.module(id);
            let Some(element) = module.elements.get(index as usize) else { continue };
            for entry in &element.entries {
                if let Entry::Func(func) = entry
                    && let Some(ty) = module.func_types.get(*func as usize)
                {
                    self.mark(Node::Core(id, CoreSpace::Type, *ty), node);
                }
            }
        }
        Ok(())
    }

    fn mark_slots(&mut self, reason: Node<'a>, slots: &[Slot]) {
        for slot in slots {
            self.mark(Node::Slot(slot.module, slot.element, slot.entry), reason);
        }
    }

    /// Runs `walk` and marks all that it refers to.
    fn collect(
        &mut self,
        reason: Node<'a>,
        id: ModuleId,
        walk: impl FnOnce(&mut CoreRefs<&mut Uses>) -> Result<()>,
    ) -> Result<()> {
        let mut uses = Uses::default();
        walk(&mut CoreRefs::new(&mut uses))?;
        for (space, index) in uses.refs {
            self.mark(Node::Core(id, space, index), reason);
        }
        for table in uses.tables {
            self.mark_table_use(reason, id, table);
        }
        Ok(())
    }

    fn mark_table_use(&mut self, reason: Node<'a>, id: ModuleId, table: TableUse) {
        let links = self.links;
        let (TableUse::CallSlot { table: index, .. }
        | TableUse::CallAny { table: index, .. }
        | TableUse::Read { table: index }) = table;
        let Some(family) = links.family(id, CoreSpace::Table, index) else { return };
        let Some(slots) = links.slots.get(family as usize) else { return };
        match table {
            TableUse::CallSlot { slot, .. } if !slots.blurred => {
                if let Some(slots) = slots.by_number.get(&slot) {
                    self.mark_slots(reason, slots);
                }
            }
            TableUse::CallSlot { ty, .. } | TableUse::CallAny { ty, .. } => {
                self.mark(Node::Called(family, links.signature(id, ty)), reason);
            }
            TableUse::Read { .. } => self.mark(Node::Called(family, None), reason),
        }
    }

    /// Keeps what can be reached of a module that something unknown may instantiate: it may link the imports to anything, call every
    /// export, and use the tables and memories that it shares with the module in any way.
    pub(super) fn keep_module(&mut self, id: ModuleId, reason: Node<'a>) {
        if std::mem::replace(&mut self.opaque[id as usize], true) {
            return;
        }
        let module = self.model.module(id);
        for space in [CoreSpace::Func, CoreSpace::Table, CoreSpace::Memory, CoreSpace::Global, CoreSpace::Tag] {
            for index in 0..module.imported_count(space) {
                self.mark(Node::Core(id, space, index), reason);
                self.share_table(id, space, index, reason);
            }
        }
        for (position, export) in (0u32..).zip(&module.exports) {
            self.mark(Node::CoreExport(id, position), reason);
            self.share_table(id, space_of_kind(export.kind), export.index, reason);
        }
        self.mark_effects(id);
    }

    /// A table that others have too can be called through any slot.
    fn share_table(&mut self, id: ModuleId, space: CoreSpace, index: u32, reason: Node<'a>) {
        if space == CoreSpace::Table
            && let Some(family) = self.links.family(id, space, index)
        {
            self.mark(Node::Called(family, None), reason);
        }
    }
}
