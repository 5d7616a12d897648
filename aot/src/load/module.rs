//! Core modules: what compilers for WASI preview 1 make (TinyGo, wasi-sdk, `wasm32-wasip1` of Rust and Go).
//!
//! The adapter of the Wasmtime project implements the imports of preview 1 on WASI 0.2, and wit-component links the two into a
//! component. A module with `_start` becomes a command, with `wasi:cli/run`; one without is a reactor, called by its other exports.

use crate::problem::Problem;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Prefix of the custom sections in which binding generators leave the component types of a module.
const COMPONENT_TYPE_SECTION: &str = "component-type";

/// Wraps the module of the file that messages call `file`.
pub fn wrap(file: &str, module: &[u8]) -> Result<Vec<u8>> {
    let outside = Outside::of(module)?;
    outside.check(file)?;
    let adapter = if outside.exports.contains("_start") { COMMAND } else { REACTOR };
    let wrapped = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(PREVIEW1, adapter))
        .and_then(|mut encoder| encoder.encode());
    wrapped.with_context(|| format!("'{file}' is a core module that cannot be made a component"))
}

/// The names by which a core module meets the world.
#[derive(Default)]
struct Outside {
    /// `module.name` of each import.
    imports: BTreeSet<(String, String)>,
    exports: BTreeSet<String>,
    has_component_types: bool,
}

impl Outside {
    fn of(module: &[u8]) -> Result<Self> {
        let mut outside = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        outside.imports.insert((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        outside.exports.insert(export?.name.to_owned());
                    }
                }
                Payload::CustomSection(section) => {
                    outside.has_component_types |= section.name().starts_with(COMPONENT_TYPE_SECTION);
                }
                _ => {}
            }
        }
        Ok(outside)
    }

    /// Whether this is a module of WASI preview 1, or one that brings its component types along.
    fn check(&self, file: &str) -> Result<()> {
        if self.has_component_types {
            return Ok(());
        }
        let foreign: Vec<String> = self
            .imports
            .iter()
            .filter(|(module, _)| module != PREVIEW1)
            .map(|(module, name)| format!("{module}.{name}"))
            .collect();
        if !foreign.is_empty() {
            let (shown, rest) = foreign.split_at(foreign.len().min(MAX_NAMES_SHOWN));
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            return Err(Problem::new(format!(
                "'{file}' is a core module that is no WASI module: it imports {}{more}",
                shown.join(", ")
            ))
            .help(format!(
                "a core module may import '{PREVIEW1}' only; build the app as a component, or for the target wasm32-wasip1{}",
                foreign_hint(&foreign)
            ))
            .into());
        }
        if !self.exports.contains("_start") && !self.exports.contains("_initialize") && self.imports.is_empty() {
            return Err(Problem::new(format!("'{file}' is a core module with no way in: it exports no '_start'"))
                .help("build the app as a component, or as a WASI command with a main function")
                .into());
        }
        Ok(())
    }
}

/// The most imports that a message lists.
const MAX_NAMES_SHOWN: usize = 5;

/// Toolchains that leave their name in the imports.
fn foreign_hint(foreign: &[String]) -> &'static str {
    let any = |prefix: &str| foreign.iter().any(|name| name.starts_with(prefix));
    if any("__wbindgen") || any("wbg.") {
        " (this one was made by wasm-bindgen, for web browsers)"
    } else if any("env.emscripten") {
        " (this one was made by Emscripten, for web browsers)"
    } else if any("gojs.") || any("go.") {
        " (this one was made with GOOS=js; take GOOS=wasip1)"
    } else if any("wasi_unstable.") {
        " (this one is of a preview before the first)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Surface;

    fn wrapped(text: &str) -> Result<Vec<u8>> {
        wrap("m.wasm", &wat::parse_str(text)?)
    }

    #[test]
    fn commands_run() {
        let component = wrapped(
            r#"(module
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 1)
                (func (export "_start")))"#,
        );
        assert!(Surface::of(&component.unwrap()).unwrap().exported("wasi:cli/run", "0.2").is_some());
    }

    #[test]
    fn foreign_imports_are_named() {
        let error = wrapped(r#"(module (import "env" "emscripten_resize_heap" (func)) (import "wbg" "x" (func)))"#);
        let error = error.unwrap_err();
        assert!(error.to_string().contains("env.emscripten_resize_heap, wbg.x"), "{error}");
        let problem = error.downcast_ref::<Problem>().unwrap();
        assert!(problem.advice().unwrap().contains("wasm-bindgen"));
    }

    #[test]
    fn long_lists_are_cut() {
        let imports: String = (0..9).map(|i| format!(r#"(import "e" "f{i}" (func))"#)).collect();
        let error = wrapped(&format!("(module {imports})")).unwrap_err().to_string();
        assert!(error.ends_with("e.f4 and 4 more"), "{error}");
    }

    #[test]
    fn a_module_without_a_way_in_is_refused() {
        let error = wrapped(r#"(module (func (export "add")))"#).unwrap_err().to_string();
        assert!(error.contains("no way in"), "{error}");
    }
}
