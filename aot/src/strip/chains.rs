//! Who keeps an import, and why another one could go: the readable side of the reachability walk.

use super::component::{Def, Model, ROOT};
use super::component_refs::Space;
use super::core_refs::CoreSpace;
use super::liveness::{Liveness, Node};
use super::module::{Module, ModuleId};
use super::report::{Counts, ImportReport, InterfaceReport, ModuleReport, Outcome, StripReport, module_name};
use anyhow::Result;
use wasmparser::{ComponentTypeRef, InstanceTypeDeclaration};

/// Names of wit-component's module of trampolines, which say nothing to the reader of a chain.
const TRAMPOLINES: [&str; 2] = ["wit-component:shim", "wit-component-shim-module"];

/// A function that the root component imports.
struct Import<'a> {
    interface: &'a str,
    function: Option<&'a str>,
    node: Node<'a>,
}

/// The rows of the report about modules.
pub fn modules(model: &Model<'_>, after: &[Option<Counts>]) -> Vec<ModuleReport> {
    (0u32..)
        .zip(model.modules.iter().zip(after))
        .map(|(id, (module, after))| ModuleReport {
            name: module_name(model, id),
            before: counts(module),
            after: after.unwrap_or_default(),
        })
        .collect()
}

/// The same rows if the component is left as it was.
pub fn unchanged_modules(model: &Model<'_>) -> Vec<ModuleReport> {
    let all: Vec<_> = model.modules.iter().map(|module| Some(counts(module))).collect();
    modules(model, &all)
}

/// Makes a report about imports say what is true if the component is left as it was.
pub fn keep_all(report: &mut StripReport) {
    for row in &mut report.imports {
        row.kept = true;
        row.reason = None;
    }
    for row in &mut report.interfaces {
        row.functions_after = row.functions_before;
        row.outcome = if row.functions_before > 0 { Outcome::Kept } else { Outcome::TypesOnly };
    }
}

fn counts(module: &Module<'_>) -> Counts {
    Counts {
        functions: module.count(CoreSpace::Func),
        types: module.count(CoreSpace::Type),
        tables: module.count(CoreSpace::Table),
        memories: module.count(CoreSpace::Memory),
        globals: module.count(CoreSpace::Global),
        data_segments: module.count(CoreSpace::Data),
        element_segments: module.count(CoreSpace::Element),
        elements: module.elements.iter().map(|element| element.entries.len() as u32).sum(),
        bytes: module.bytes,
    }
}

/// The rows of the report about imports and interfaces.
pub fn imports(liveness: &Liveness<'_, '_>) -> Result<(Vec<ImportReport>, Vec<InterfaceReport>)> {
    let model = liveness.model;
    let names: Vec<String> = (0..model.modules.len() as ModuleId).map(|id| module_name(model, id)).collect();
    let (mut rows, mut interfaces) = (Vec::new(), Vec::new());
    // Walks on through what was not reached, to see which dead function would have called a dropped import.
    let mut dead: Option<Liveness<'_, '_>> = None;
    for (space, index, interface, functions) in imported(model) {
        let (before, mut after) = (functions.len() as u32, 0);
        for import in functions {
            let kept = liveness.has(import.node) && liveness.item(ROOT, space, index);
            after += u32::from(kept);
            let (chain, reason) = if kept {
                (chain(liveness, &names, import.node), None)
            } else {
                let dead = match &mut dead {
                    Some(dead) => dead,
                    none => none.insert(through_dead_code(liveness)?),
                };
                (Vec::new(), Some(reason(dead, &names, import.node)))
            };
            rows.push(ImportReport {
                interface: import.interface.to_string(),
                function: import.function.map(str::to_string),
                kept,
                chain,
                reason,
            });
        }
        if let Some(name) = interface {
            let outcome = match (after, liveness.item(ROOT, space, index)) {
                (1.., _) => Outcome::Kept,
                (0, true) => Outcome::TypesOnly,
                (0, false) => Outcome::Dropped,
            };
            let name = name.to_string();
            interfaces.push(InterfaceReport { name, outcome, functions_before: before, functions_after: after });
        }
    }
    Ok((rows, interfaces))
}

/// The imports of the root: the item, the name if it is an interface, and the functions.
fn imported<'a>(model: &Model<'a>) -> Vec<(Space, u32, Option<&'a str>, Vec<Import<'a>>)> {
    let root = model.component(ROOT);
    let mut all = Vec::new();
    for (def, adds) in root.defs.iter().zip(&root.adds) {
        let (Def::Import(import), Some((space, index, _))) = (def, *adds) else { continue };
        let name = import.name.name;
        match import.ty {
            ComponentTypeRef::Instance(ty) => {
                let decls = root.instance_type(ty).unwrap_or_default();
                let functions = (0u32..).zip(decls).filter_map(|(position, decl)| match decl {
                    InstanceTypeDeclaration::Export { name: function, ty: ComponentTypeRef::Func(_) } => Some(Import {
                        interface: name,
                        function: Some(function.name),
                        node: Node::Decl(ROOT, ty, position),
                    }),
                    _ => None,
                });
                all.push((space, index, Some(name), functions.collect()));
            }
            ComponentTypeRef::Func(_) => {
                let import = Import { interface: name, function: None, node: Node::Item(ROOT, space, index) };
                all.push((space, index, None, vec![import]));
            }
            _ => {}
        }
    }
    all
}

/// The walk, extended by every function of every module that is instantiated.
fn through_dead_code<'m, 'a>(liveness: &Liveness<'m, 'a>) -> Result<Liveness<'m, 'a>> {
    let mut dead = liveness.clone();
    let model = liveness.model;
    for (id, module) in (0u32..).zip(&model.modules) {
        if model.module_sites.get(id as usize).is_none_or(Vec::is_empty) {
            continue;
        }
        for func in module.imported_count(CoreSpace::Func)..module.count(CoreSpace::Func) {
            dead.extend(Node::Core(id, CoreSpace::Func, func))?;
        }
    }
    Ok(dead)
}

/// Why an import was dropped.
fn reason(dead: &Liveness<'_, '_>, names: &[String], node: Node<'_>) -> String {
    match chain(dead, names, node).last() {
        Some(caller) if dead.has(node) => format!("only called from code that nothing reaches, such as {caller}"),
        _ => "no function calls it".to_string(),
    }
}

/// The chain of functions from a root to `node`, in words.
fn chain(liveness: &Liveness<'_, '_>, names: &[String], node: Node<'_>) -> Vec<String> {
    let model = liveness.model;
    let mut chain = Vec::new();
    for (position, node) in liveness.chain(node).into_iter().enumerate() {
        match node {
            Node::Item(ROOT, space, index) => {
                if let Some(Def::Export(export)) = model.component(ROOT).def(space, index) {
                    chain.push(format!("export {}", export.name.name));
                }
            }
            Node::Core(id, CoreSpace::Func, index) => {
                let module = model.module(id);
                let name = names.get(id as usize).map_or("", String::as_str);
                if module.defined(CoreSpace::Func, index).is_none() || TRAMPOLINES.contains(&name) {
                    continue;
                }
                if position == 0 && module.start == Some(index) {
                    chain.push(format!("start of {name}"));
                }
                chain.push(function(module, name, index));
            }
            _ => {}
        }
    }
    chain
}

/// A function's name with its module's.
fn function(module: &Module<'_>, module_name: &str, index: u32) -> String {
    let exported = || {
        let kind = wasmparser::ExternalKind::Func;
        module.exports.iter().find(|export| export.kind == kind && export.index == index).map(|export| export.name)
    };
    match module.func_names.get(&index).copied().or_else(exported) {
        Some(name) => format!("{module_name}::{name}"),
        None => format!("{module_name}::function[{index}]"),
    }
}
