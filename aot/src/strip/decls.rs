//! The declarations of an instance type, and the index spaces that they fill.

use super::component_refs::Space;
use wasmparser::{ComponentAlias, CoreType, InstanceTypeDeclaration};

/// The index spaces inside an instance type.
pub struct DeclSpaces {
    spaces: [Vec<u32>; Space::COUNT],
}

impl DeclSpaces {
    /// Numbers the items that the declarations add.
    pub fn new(decls: &[InstanceTypeDeclaration<'_>]) -> Self {
        let mut spaces: [Vec<u32>; Space::COUNT] = Default::default();
        for (position, decl) in (0u32..).zip(decls) {
            let (space, count) = decl_adds(decl);
            spaces[space as usize].extend(std::iter::repeat_n(position, count));
        }
        Self { spaces }
    }

    /// The declaration behind an item.
    pub fn decl(&self, space: Space, index: u32) -> Option<u32> {
        self.spaces[space as usize].get(index as usize).copied()
    }
}

/// The space that a declaration adds items to, and how many.
pub fn decl_adds(decl: &InstanceTypeDeclaration<'_>) -> (Space, usize) {
    match decl {
        InstanceTypeDeclaration::CoreType(CoreType::Rec(group)) => (Space::CoreType, group.types().len()),
        InstanceTypeDeclaration::CoreType(CoreType::Module(_)) => (Space::CoreType, 1),
        InstanceTypeDeclaration::Type(_) => (Space::Type, 1),
        InstanceTypeDeclaration::Alias(ComponentAlias::InstanceExport { kind, .. }) => (Space::of(*kind), 1),
        InstanceTypeDeclaration::Alias(ComponentAlias::CoreInstanceExport { kind, .. }) => (Space::of_core(*kind), 1),
        InstanceTypeDeclaration::Alias(ComponentAlias::Outer { kind, .. }) => (Space::of_outer(*kind), 1),
        InstanceTypeDeclaration::Export { ty, .. } => (Space::of(ty.kind()), 1),
    }
}
