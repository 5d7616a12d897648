//! Stage 6, compile: from a component to machine code, in the form that Wasmtime's runtime loads.
//!
//! Wasmtime compiles with symbols, because the size map wants to know each function by name; then [`slim`] takes out all that no host
//! reads.

mod metadata;
mod slim;

pub use metadata::{Import, Item, Kind};

use crate::app::App;
use crate::engine::{self, Traits};
use crate::report::{Report, Stage};
use crate::target::Arch;
use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol};
use wasmparser::{Parser, Payload};
use wasmtime::Engine;

/// An app as machine code.
#[derive(Clone, Debug)]
pub struct Native {
    /// The precompiled app: an ELF file that a host with Wasmtime loads.
    pub cwasm: Vec<u8>,
    /// The interfaces that it imports, with the names that the host must serve them by.
    pub imports: Vec<Import>,
    /// Whether it needs a host with the component model's async.
    pub concurrency: bool,
    /// Whether its data is laid out in pages; see [`mwasm_plan::Memory`].
    pub paged_data: bool,
    /// Its functions, in the order of their addresses.
    pub functions: Vec<Function>,
    /// The sections that a host reads, with their sizes in bytes.
    pub sections: Vec<(String, u64)>,
}

/// A compiled function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// `wasm[0]::function[7]::main`: the module's index, the function's index and its name, if it has one.
    pub symbol: String,
    /// Size of its code.
    pub bytes: u64,
}

/// Compiles the app, `metered` if its instructions are to be counted.
pub fn compile(app: &App, arch: Arch, metered: bool, report: &mut Report) -> Result<Native> {
    let concurrency = engine::uses_async(&app.component)?;
    let paged_data = data_bytes(&app.component)? >= PAGED_DATA_BYTES;
    let traits = Traits { concurrency, paged_data, metered };
    let mut config = engine::config(arch, traits)?;
    config.debug_symbols(true);
    let compiler = Engine::new(&config).map_err(engine::error)?;
    let symbolic =
        compiler.precompile_component(&app.component).map_err(engine::error).context("cannot compile the app")?;
    let functions = functions(&symbolic)?;
    let (cwasm, imports) = slim::slim(&symbolic, arch, traits)?;
    let kind = if concurrency { "uses the component model's async" } else { "uses no async" };
    let stage = Stage::new("compile", app.component.len(), cwasm.len());
    report.stage(stage.note(format!("for {arch}: {} functions; {kind}", functions.len())));
    let sections = sections(&cwasm)?;
    Ok(Native { cwasm, imports, concurrency, paged_data, functions, sections })
}

/// From this much on, data is laid out in pages: copying it at every start would take longer than the gaps between are worth.
const PAGED_DATA_BYTES: usize = 256 << 10;

/// Bytes of the data of all core modules.
fn data_bytes(component: &[u8]) -> Result<usize> {
    let mut bytes = 0;
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::DataSection(section) = payload? {
            for segment in section {
                bytes += segment?.data.len();
            }
        }
    }
    Ok(bytes)
}

fn functions(cwasm: &[u8]) -> Result<Vec<Function>> {
    let file = object::File::parse(cwasm)?;
    let mut functions: Vec<(u64, Function)> = file
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| {
            let name = String::from_utf8_lossy(symbol.name_bytes().unwrap_or_default()).into_owned();
            (symbol.address(), Function { symbol: name, bytes: symbol.size() })
        })
        .collect();
    functions.sort_by_key(|(address, _)| *address);
    Ok(functions.into_iter().map(|(_, function)| function).collect())
}

fn sections(cwasm: &[u8]) -> Result<Vec<(String, u64)>> {
    let file = object::File::parse(cwasm)?;
    let sections = file.sections().map(|section| Ok((section.name()?.to_owned(), section.size())));
    sections.filter(|row| !matches!(row, Ok((_, 0)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    fn compiled(text: &str, arch: Arch) -> Native {
        let component = wat::parse_str(text).unwrap();
        let app = App { name: "app".into(), sha256: String::new(), component };
        compile(&app, arch, false, &mut Report::new(Target::Desktop, arch)).unwrap()
    }

    const TEXT: &str = r#"(component
        (core module $m (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
        (core instance $i (instantiate $m))
        (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#;

    #[test]
    fn functions_are_known_by_name_and_size() {
        for arch in Arch::ALL {
            let native = compiled(TEXT, arch);
            let add = native.functions.iter().find(|function| function.symbol.contains("add")).unwrap();
            assert!(add.bytes > 0);
            let text = native.sections.iter().find(|(name, _)| name == ".text").unwrap().1;
            assert!(native.functions.iter().map(|function| function.bytes).sum::<u64>() <= text);
        }
    }

    #[test]
    fn async_is_chosen_by_use() {
        assert!(!compiled(TEXT, Arch::X86_64).concurrency);
        assert!(compiled("(component (type (stream u8)))", Arch::X86_64).concurrency);
    }
}
