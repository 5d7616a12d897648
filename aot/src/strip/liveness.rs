//! What can be reached: a breadth-first walk from the exports of the root component.
//!
//! Everything that may be kept or dropped is a [`Node`]: functions, slots of tables, segments, items of components,
//! names that are asked of an instance. Visiting a node marks the nodes that it cannot do without. Each node remembers the
//! first node that asked for it; since the walk is breadth-first, following these links back gives a shortest chain
//! of reasons, which the report prints.
//!
//! The walk knows modules and components, not their instances: what one instance needs is kept in all. It starts at
//! - the exports of the root component and its start function,
//! - the start function of every module that is instantiated,
//! - segments that might trap when their module is instantiated (they decide whether the app starts at all).
//!
//! [`super::live_core`] knows what a piece of a module needs, [`super::live_component`] what an item of a component
//! needs. Whatever is kept, its module or component is still instantiated at the same places.

use super::component::{ComponentId, Def, Model, ROOT};
use super::component_refs::Space;
use super::core_refs::CoreSpace;
use super::link::Links;
use super::module::{ModuleId, SegmentKind};
use anyhow::Result;
use std::collections::{HashMap, VecDeque};

/// Something that is kept or dropped as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node<'a> {
    /// An item of a module. For an active element segment: all of it, not just some slots.
    Core(ModuleId, CoreSpace, u32),
    /// An export of a module, by position.
    CoreExport(ModuleId, u32),
    /// One element of an active element segment: module, segment, position.
    Slot(ModuleId, u32, u32),
    /// A table or memory that some code uses, under any of its names.
    Family(u32),
    /// The slots of a family of tables have to stay filled: an empty slot would trap in another way than a slot whose
    /// function has the wrong type.
    Filled(u32),
    /// Calls through computed indices of a family of tables, by signature. `None` stands for any.
    Called(u32, Option<u32>),
    /// An item of a component.
    Item(ComponentId, Space, u32),
    /// A declaration of an instance type: component, type index, position.
    Decl(ComponentId, u32, u32),
    /// An entry of a core instance that is made from exports: component, core instance, position.
    CoreEntry(ComponentId, u32, u32),
    /// An entry of an instance that is made from exports: component, instance, position.
    Entry(ComponentId, u32, u32),
    /// An export that is asked of an instance, by name.
    Export(ComponentId, u32, &'a str),
    /// All exports of an instance.
    AllExports(ComponentId, u32),
    /// All exports of a core instance.
    AllCoreExports(ComponentId, u32),
}

/// The walk, and when it is done its result.
#[derive(Clone)]
pub struct Liveness<'m, 'a> {
    pub(super) model: &'m Model<'a>,
    pub(super) links: &'m Links,
    /// The nodes that can be reached, each with the node that first asked for it.
    reasons: HashMap<Node<'a>, Option<Node<'a>>>,
    queue: VecDeque<Node<'a>>,
    modules: Vec<bool>,
    components: Vec<bool>,
    /// Modules that something unknown may instantiate.
    pub(super) opaque: Vec<bool>,
}

impl<'m, 'a> Liveness<'m, 'a> {
    /// Walks the model from its roots.
    pub fn new(model: &'m Model<'a>, links: &'m Links) -> Result<Self> {
        let mut liveness = Liveness {
            model,
            links,
            reasons: HashMap::new(),
            queue: VecDeque::new(),
            modules: vec![false; model.modules.len()],
            components: vec![false; model.components.len()],
            opaque: vec![false; model.modules.len()],
        };
        liveness.mark_roots();
        liveness.run()?;
        Ok(liveness)
    }

    /// Walks on from `node`, as if it were a root.
    pub fn extend(&mut self, node: Node<'a>) -> Result<()> {
        self.mark(node, None);
        self.run()
    }

    /// Whether a node can be reached.
    pub fn has(&self, node: Node<'a>) -> bool {
        self.reasons.contains_key(&node)
    }

    /// Whether an item of a module can be reached.
    pub fn core(&self, module: ModuleId, space: CoreSpace, index: u32) -> bool {
        self.has(Node::Core(module, space, index))
    }

    /// Whether an item of a component can be reached.
    pub fn item(&self, component: ComponentId, space: Space, index: u32) -> bool {
        self.has(Node::Item(component, space, index))
    }

    /// The chain of reasons that keeps a node, from a root to the node.
    pub fn chain(&self, node: Node<'a>) -> Vec<Node<'a>> {
        let mut chain = vec![node];
        let mut at = node;
        while let Some(Some(reason)) = self.reasons.get(&at) {
            chain.push(*reason);
            at = *reason;
        }
        chain.reverse();
        chain
    }

    /// Marks a node as reached because of `reason`.
    pub(super) fn mark(&mut self, node: Node<'a>, reason: impl Into<Option<Node<'a>>>) {
        if self.reasons.contains_key(&node) {
            return;
        }
        self.reasons.insert(node, reason.into());
        self.queue.push_back(node);
        match node {
            Node::Core(module, ..) | Node::CoreExport(module, _) | Node::Slot(module, ..) => {
                self.mark_module(module, node);
            }
            Node::Item(component, ..)
            | Node::Decl(component, ..)
            | Node::CoreEntry(component, ..)
            | Node::Entry(component, ..)
            | Node::Export(component, ..)
            | Node::AllExports(component, _)
            | Node::AllCoreExports(component, _) => self.mark_component(component, node),
            Node::Family(_) | Node::Filled(_) | Node::Called(..) => {}
        }
    }

    /// A module of which something is kept stays instantiated wherever it is.
    fn mark_module(&mut self, module: ModuleId, reason: Node<'a>) {
        if std::mem::replace(&mut self.modules[module as usize], true) {
            return;
        }
        let model = self.model;
        for &(component, instance) in &model.module_sites[module as usize] {
            self.mark(Node::Item(component, Space::CoreInstance, instance), reason);
        }
    }

    /// A component of which something is kept stays instantiated wherever it is.
    fn mark_component(&mut self, component: ComponentId, reason: Node<'a>) {
        if std::mem::replace(&mut self.components[component as usize], true) {
            return;
        }
        let model = self.model;
        for &(around, instance) in &model.component(component).sites {
            self.mark(Node::Item(around, Space::Instance, instance), reason);
        }
    }

    fn mark_roots(&mut self) {
        let model = self.model;
        for (id, component) in (0u32..).zip(&model.components) {
            if !model.instantiated[id as usize] {
                continue;
            }
            for (def, adds) in component.defs.iter().zip(&component.adds) {
                match (def, *adds) {
                    (Def::Export(_), Some((space, index, _))) if id == ROOT => {
                        self.mark(Node::Item(ROOT, space, index), None);
                    }
                    (Def::Start(start), _) => {
                        self.mark(Node::Item(id, Space::Func, start.func_index), None);
                        for &value in &start.arguments {
                            self.mark(Node::Item(id, Space::Value, value), None);
                        }
                    }
                    _ => {}
                }
            }
        }
        for (id, sites) in (0u32..).zip(&model.module_sites) {
            if sites.iter().any(|(component, _)| model.instantiated[*component as usize]) {
                self.mark_effects(id);
            }
        }
    }

    /// Marks what instantiating a module does on its own.
    pub(super) fn mark_effects(&mut self, id: ModuleId) {
        let module = self.model.module(id);
        if let Some(start) = module.start {
            self.mark(Node::Core(id, CoreSpace::Func, start), None);
        }
        for (index, element) in module.elements.iter().enumerate() {
            let SegmentKind::Active { target, .. } = element.kind else { continue };
            if !module.element_fits(index)
                && let Some(family) = self.links.family(id, CoreSpace::Table, target)
            {
                self.mark(Node::Filled(family), None);
            }
        }
        for index in 0..module.data.len() {
            if !module.data_fits(index) {
                self.mark(Node::Core(id, CoreSpace::Data, index as u32), None);
            }
        }
    }

    fn run(&mut self) -> Result<()> {
        while let Some(node) = self.queue.pop_front() {
            match node {
                Node::Core(..)
                | Node::CoreExport(..)
                | Node::Slot(..)
                | Node::Family(_)
                | Node::Filled(_)
                | Node::Called(..) => self.visit_core(node)?,
                _ => self.visit_component(node)?,
            }
        }
        Ok(())
    }
}
