//! Every index that a definition of a component names, seen through one visitor.
//!
//! The component level's twin of [`super::core_refs`]: the analysis and the rewriter both walk a component's
//! definitions with [`ComponentRefs`], which reports each reference as *(level, space, index)*. Level 0 is the scope
//! that holds the definition, level 1 the scope around it, and so on. A type definition opens scopes of its own
//! (instance types and component types have private index spaces); references that stay inside such a scope need no
//! new number and are not reported.

use super::core_refs::flatten;
use anyhow::Result;
use wasm_encoder::reencode::component_utils;
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasmparser::{CanonicalFunction, ComponentExternalKind, ComponentOuterAliasKind, ExternalKind};

/// An index space of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    CoreFunc,
    CoreTable,
    CoreMemory,
    CoreGlobal,
    CoreTag,
    CoreType,
    CoreModule,
    CoreInstance,
    Func,
    Value,
    Type,
    Instance,
    Component,
}

impl Space {
    /// How many index spaces a component has.
    pub const COUNT: usize = 13;

    /// The space that an external item of this kind lives in.
    pub fn of(kind: ComponentExternalKind) -> Self {
        match kind {
            ComponentExternalKind::Module => Self::CoreModule,
            ComponentExternalKind::Func => Self::Func,
            ComponentExternalKind::Value => Self::Value,
            ComponentExternalKind::Type => Self::Type,
            ComponentExternalKind::Instance => Self::Instance,
            ComponentExternalKind::Component => Self::Component,
        }
    }

    /// The space that a core item of this kind lives in.
    pub fn of_core(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::CoreFunc,
            ExternalKind::Table => Self::CoreTable,
            ExternalKind::Memory => Self::CoreMemory,
            ExternalKind::Global => Self::CoreGlobal,
            ExternalKind::Tag => Self::CoreTag,
        }
    }

    /// The space that an outer alias of this kind refers to.
    pub fn of_outer(kind: ComponentOuterAliasKind) -> Self {
        match kind {
            ComponentOuterAliasKind::CoreModule => Self::CoreModule,
            ComponentOuterAliasKind::CoreType => Self::CoreType,
            ComponentOuterAliasKind::Type => Self::Type,
            ComponentOuterAliasKind::Component => Self::Component,
        }
    }
}

/// The visitor. `F` maps (level, space, old index) to the new index.
///
/// Most hooks of `ReencodeComponent` cannot return an error, so the first one is kept in `failed`: call
/// [`ComponentRefs::check`] after a walk.
pub struct ComponentRefs<F> {
    map: F,
    depth: u32,
    failed: Option<anyhow::Error>,
}

impl<F: FnMut(u32, Space, u32) -> Result<u32>> ComponentRefs<F> {
    pub fn new(map: F) -> Self {
        Self { map, depth: 0, failed: None }
    }

    /// Turns the outcome of a walk into one result: its value, or the first error that a hook met.
    pub fn check<T>(&mut self, outcome: Result<T, Error<anyhow::Error>>) -> Result<T> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => outcome.map_err(flatten),
        }
    }

    /// A reference to `index` in the scope `count` levels out from where the walk stands.
    fn refer(&mut self, count: u32, space: Space, index: u32) -> u32 {
        let Some(level) = count.checked_sub(self.depth) else { return index };
        match (self.map)(level, space, index) {
            Ok(new) => new,
            Err(error) => {
                self.failed.get_or_insert(error);
                index
            }
        }
    }
}

impl<F: FnMut(u32, Space, u32) -> Result<u32>> Reencode for ComponentRefs<F> {
    type Error = anyhow::Error;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.refer(0, Space::CoreFunc, index))
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.refer(0, Space::CoreGlobal, index))
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.refer(0, Space::CoreMemory, index))
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.refer(0, Space::CoreTable, index))
    }

    fn tag_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.refer(0, Space::CoreTag, index))
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.refer(0, Space::CoreType, index))
    }
}

impl<F: FnMut(u32, Space, u32) -> Result<u32>> ReencodeComponent for ComponentRefs<F> {
    fn component_type_index(&mut self, index: u32) -> u32 {
        self.refer(0, Space::Type, index)
    }

    fn component_instance_index(&mut self, index: u32) -> u32 {
        self.refer(0, Space::Instance, index)
    }

    fn component_func_index(&mut self, index: u32) -> u32 {
        self.refer(0, Space::Func, index)
    }

    fn component_index(&mut self, index: u32) -> u32 {
        self.refer(0, Space::Component, index)
    }

    fn module_index(&mut self, index: u32) -> u32 {
        self.refer(0, Space::CoreModule, index)
    }

    fn instance_index(&mut self, index: u32) -> u32 {
        self.refer(0, Space::CoreInstance, index)
    }

    fn component_value_index(&mut self, index: u32) -> u32 {
        self.refer(0, Space::Value, index)
    }

    fn outer_type_index(&mut self, count: u32, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.refer(count, Space::CoreType, index))
    }

    fn outer_component_type_index(&mut self, count: u32, index: u32) -> u32 {
        self.refer(count, Space::Type, index)
    }

    fn outer_component_index(&mut self, count: u32, index: u32) -> u32 {
        self.refer(count, Space::Component, index)
    }

    fn outer_module_index(&mut self, count: u32, index: u32) -> u32 {
        self.refer(count, Space::CoreModule, index)
    }

    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn parse_component_canonical(
        &mut self,
        section: &mut wasm_encoder::CanonicalFunctionSection,
        func: CanonicalFunction,
    ) -> Result<(), Error<Self::Error>> {
        // wasm-encoder 0.254 forgets to map the type of the four cancel built-ins.
        use CanonicalFunction::{FutureCancelRead, FutureCancelWrite, StreamCancelRead, StreamCancelWrite};
        let func = match func {
            StreamCancelRead { ty, async_ } => StreamCancelRead { ty: self.component_type_index(ty), async_ },
            StreamCancelWrite { ty, async_ } => StreamCancelWrite { ty: self.component_type_index(ty), async_ },
            FutureCancelRead { ty, async_ } => FutureCancelRead { ty: self.component_type_index(ty), async_ },
            FutureCancelWrite { ty, async_ } => FutureCancelWrite { ty: self.component_type_index(ty), async_ },
            other => other,
        };
        component_utils::parse_component_canonical(self, section, func)
    }
}
