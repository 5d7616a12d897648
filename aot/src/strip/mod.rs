//! The strip stage: removes from a component all that cannot be reached from its exports.
//!
//! Toolchains link more than an app uses: an adapter with forty functions of which the app calls three, a runtime that
//! imports sockets because a library might want them. Each import that stays costs the image a piece of the host, so
//! the stage looks at the component as a whole, across its core modules: which functions, table slots, segments,
//! globals and imports can run at all? The rest goes. What remains behaves as before, traps included.
//!
//! The data flows through these modules:
//!
//! | module | what it does |
//! | --- | --- |
//! | `module`, `component`, `decls` | take the binary apart into a [`component::Model`] |
//! | `core_refs`, `component_refs` | the one place that knows which indices a piece of Wasm names |
//! | `link` | which import is linked to which definition; which tables and memories are the same |
//! | `liveness`, `live_core`, `live_component`, `live_instance` | the walk from the exports |
//! | `rewrite_module`, `rewrite_elements`, `rewrite_component`, `names` | write what remains, renumbered |
//! | `report`, `chains` | say what was kept, what was removed, and why |
//!
//! The stage checks its own work: a result that does not validate is thrown away, and the input goes on unchanged with
//! the reason in the report.

mod chains;
pub(crate) mod component;
pub(crate) mod component_refs;
mod core_refs;
mod decls;
mod link;
mod live_component;
mod live_core;
mod live_instance;
mod liveness;
mod module;
mod names;
mod report;
mod rewrite_component;
mod rewrite_elements;
mod rewrite_module;

#[cfg(test)]
mod tests;

pub use report::{Counts, ImportReport, InterfaceReport, ModuleReport, Outcome, StripReport};

use anyhow::{Context, Result};
use component::Model;
use link::Links;
use liveness::Liveness;
use wasmparser::{Validator, WasmFeatures};

/// What the stage returns.
#[derive(Clone, Debug)]
pub struct Stripped {
    /// The component without what cannot be reached.
    pub component: Vec<u8>,
    /// What was kept and what was removed.
    pub report: StripReport,
}

/// Removes from `component`, a validated WebAssembly component in binary form, all that cannot be reached from its
/// exports.
///
/// # Errors
/// Fails if `component` cannot be read. A component that can be read but not stripped is returned as it is; the report
/// says why.
pub fn strip(component: &[u8]) -> Result<Stripped> {
    let model = Model::parse(component).context("cannot strip: wanted a WebAssembly component that validates")?;
    let links = Links::new(&model);
    let liveness = Liveness::new(&model, &links)?;
    let (imports, interfaces) = chains::imports(&liveness)?;
    let mut report = StripReport { bytes_before: component.len(), imports, interfaces, ..StripReport::default() };
    match write(&liveness) {
        Ok((stripped, modules)) => {
            report.bytes_after = stripped.len();
            report.modules = chains::modules(&model, &modules);
            Ok(Stripped { component: stripped, report })
        }
        Err(error) => {
            report.bytes_after = component.len();
            report.modules = chains::unchanged_modules(&model);
            chains::keep_all(&mut report);
            report.unchanged_because = Some(format!("{error:#}"));
            Ok(Stripped { component: component.to_vec(), report })
        }
    }
}

/// Writes what is reached, and checks it.
fn write(liveness: &Liveness<'_, '_>) -> Result<(Vec<u8>, Vec<Option<Counts>>)> {
    let (bytes, modules) = rewrite_component::write(liveness)?;
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&bytes)
        .context("the stripped component does not validate")?;
    Ok((bytes, modules))
}
