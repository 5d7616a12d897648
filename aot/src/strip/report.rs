//! What the stage tells of its work. The keys are stable: they appear in `mwasm aot --report json`.

use super::component::{ComponentId, Def, Model};
use super::component_refs::Space;
use super::module::ModuleId;
use serde::Serialize;
use wasmparser::{ComponentName, KnownCustom};

/// The report of the strip stage.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StripReport {
    /// Size of the component before, in bytes.
    pub bytes_before: usize,
    /// Size of the component after, in bytes.
    pub bytes_after: usize,
    /// One row for each core module, in binary order, those of inner components included.
    pub modules: Vec<ModuleReport>,
    /// One row for each function that the component imports.
    pub imports: Vec<ImportReport>,
    /// One row for each interface that the component imports.
    pub interfaces: Vec<InterfaceReport>,
    /// Why the component was left as it was, if the stage could not strip it.
    pub unchanged_because: Option<String>,
}

/// What happened to a core module.
#[derive(Clone, Debug, Serialize)]
pub struct ModuleReport {
    /// The module's name, or `module[N]`.
    pub name: String,
    /// What it held.
    pub before: Counts,
    /// What it holds; all zero if the module is gone.
    pub after: Counts,
}

/// How much a core module holds. Imported items count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Functions.
    pub functions: u32,
    /// Types.
    pub types: u32,
    /// Tables.
    pub tables: u32,
    /// Memories.
    pub memories: u32,
    /// Globals.
    pub globals: u32,
    /// Data segments.
    pub data_segments: u32,
    /// Element segments.
    pub element_segments: u32,
    /// Elements of all element segments.
    pub elements: u32,
    /// Size of the module in bytes.
    pub bytes: usize,
}

/// What happened to a function that the component imports.
#[derive(Clone, Debug, Serialize)]
pub struct ImportReport {
    /// The interface, such as `wasi:cli/environment@0.2.6`; the function's own name if it is imported by itself.
    pub interface: String,
    /// The function in the interface; `None` if it is imported by itself.
    pub function: Option<String>,
    /// True if the component still imports it.
    pub kept: bool,
    /// Who keeps it: a chain of calls from an export (or what runs at the start) down to the function that calls the
    /// import. Empty if it was dropped, or if nobody calls it and the component was left as it was.
    pub chain: Vec<String>,
    /// Why it was dropped. `None` if it was kept.
    pub reason: Option<String>,
}

/// What happened to an interface that the component imports.
#[derive(Clone, Debug, Serialize)]
pub struct InterfaceReport {
    /// The interface's name.
    pub name: String,
    /// What remains of it.
    pub outcome: Outcome,
    /// How many functions were imported from it.
    pub functions_before: u32,
    /// How many functions still are.
    pub functions_after: u32,
}

/// What remains of an imported interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Some of its functions are called.
    Kept,
    /// No function is called, but something else needs its types.
    TypesOnly,
    /// Nothing: the host need not provide it.
    Dropped,
}

/// The name of a module: its own, else the one that the component gives it, else its number.
pub(super) fn module_name(model: &Model<'_>, module: ModuleId) -> String {
    if let Some(name) = model.module(module).name {
        return name.to_string();
    }
    let (id, index) = place_of(model, module);
    given_name(model, id, index).unwrap_or_else(|| format!("module[{module}]"))
}

fn given_name(model: &Model<'_>, id: ComponentId, index: u32) -> Option<String> {
    model.component(id).defs.iter().find_map(|def| {
        let Def::Custom(custom) = def else { return None };
        let KnownCustom::ComponentName(names) = custom.as_known() else { return None };
        names.into_iter().map_while(Result::ok).find_map(|name| match name {
            ComponentName::CoreModules(map) => {
                map.into_iter().map_while(Result::ok).find(|n| n.index == index).map(|n| n.name.to_string())
            }
            _ => None,
        })
    })
}

/// The component and index where a module is defined.
fn place_of(model: &Model<'_>, module: ModuleId) -> (ComponentId, u32) {
    (0u32..)
        .zip(&model.components)
        .find_map(|(id, component)| {
            component.defs.iter().zip(&component.adds).find_map(|(def, adds)| match (def, *adds) {
                (Def::Module(own), Some((Space::CoreModule, index, _))) if *own == module => Some((id, index)),
                _ => None,
            })
        })
        .unwrap_or_default()
}
