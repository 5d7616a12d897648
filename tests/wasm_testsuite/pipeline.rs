//! From the bytes of a core module to a module that can be instantiated, by mwasm's own stages.
//!
//! ```text
//!   module -> validate (as load does) -> [strip] -> compile with the settings of an image -> bytes -> the engine of an image
//! ```
//!
//! The strip stage takes components, so the module goes inside one, whose only export it is: what the stage then starts from are the
//! module's own exports. Wasmtime cannot compile such a component if the module's exports name types of their own, so the module is
//! taken out again, and compiled as one.

use crate::missing::Missing;
use anyhow::{Context, Result, bail, ensure};
use mwasm_aot::engine::{Traits, config, error, features};
use mwasm_aot::strip::strip;
use mwasm_aot::target::Arch;
use mwasm_plan::DEFAULT_STACK_BYTES;
use std::pin::pin;
use std::task::{Context as Poller, Poll, Waker};
use wasm_encoder::{ComponentExportKind, ComponentExportSection, ComponentSectionId, RawSection};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wasmtime::{Config, Engine, Module};

/// The settings of both sides: no async, and little data. The compile stage chooses the same for an app that is like that.
const CONCURRENCY: bool = false;
/// See [`CONCURRENCY`].
const PAGED_DATA: bool = false;

/// mwasm's stages from a valid app to code, and the engine that runs it.
pub struct Pipeline {
    /// An engine with the settings of a desktop image at its start.
    pub engine: Engine,
    compiler: Engine,
    features: WasmFeatures,
    arch: Arch,
    strips: bool,
}

/// A module that went through the stages.
pub struct Compiled {
    /// Ready to be instantiated.
    pub module: Module,
    /// Functions that the strip stage removed, if the module went through it.
    pub removed: Option<u32>,
}

impl Pipeline {
    /// For this machine, with or without the strip stage.
    pub fn new(strips: bool) -> Result<Self> {
        let arch = Arch::of_this_machine().context("mwasm has no target for this machine")?;
        let compiler = config(arch, Traits { concurrency: CONCURRENCY, paged_data: PAGED_DATA, metered: false })?;
        let mut host = Config::new();
        mwasm_host_core::engine::configure(&mut host, DEFAULT_STACK_BYTES, PAGED_DATA, CONCURRENCY);
        Ok(Self {
            engine: Engine::new(&host).map_err(error)?,
            compiler: Engine::new(&compiler).map_err(error)?,
            features: features()?,
            arch,
            strips,
        })
    }

    /// Takes a module through the stages. Fails with [`Missing`] where it needs a feature that no host has.
    pub fn compile(&self, module: &[u8]) -> Result<Compiled> {
        Validator::new_with_features(self.features).validate_all(module).map_err(Missing::or)?;
        let stripped = if self.strips { stripped(module)? } else { None };
        let removed = stripped.as_ref().map(|(_, removed)| *removed);
        let module = stripped.as_ref().map_or(module, |(module, _)| module);
        let code = self.compiler.precompile_module(module).map_err(|why| Missing::or(error(why)))?;
        let code = for_this_process(code, self.arch)?;
        // SAFETY: the compiler's output, with another name for the system.
        let module = unsafe { Module::deserialize(&self.engine, &code) }.map_err(error)?;
        Ok(Compiled { module, removed })
    }
}

/// The module as the strip stage leaves it, and the number of functions that are gone; `None` if no component can hold the module.
fn stripped(module: &[u8]) -> Result<Option<(Vec<u8>, u32)>> {
    let component = exporting(module);
    if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(&component) {
        ensure!(error.message().contains("duplicate import name"), "no component can hold the module: {error}");
        return Ok(None);
    }
    let stripped = strip(&component)?;
    if let Some(why) = stripped.report.unchanged_because {
        bail!("the strip stage gave up: {why}");
    }
    let removed = stripped.report.modules.iter().map(|row| row.before.functions.saturating_sub(row.after.functions));
    let removed = removed.sum();
    for payload in Parser::new(0).parse_all(&stripped.component) {
        if let Payload::ModuleSection { unchecked_range, .. } = payload? {
            let module = stripped.component.get(unchecked_range).context("a module lies outside its component")?;
            return Ok(Some((module.to_vec(), removed)));
        }
    }
    bail!("the strip stage lost the module");
}

/// Code for images names no operating system among its settings, and Wasmtime's engine in this process wants to read Linux there. It is
/// the same code for both; the name that is put in its place has the same length.
fn for_this_process(mut code: Vec<u8>, arch: Arch) -> Result<Vec<u8>> {
    let (from, to) = match arch {
        Arch::X86_64 => (arch.triple(), "x86_64-pc-linux-gnu"),
        Arch::Aarch64 => (arch.triple(), "aarch64-pc-linux-gnu"),
    };
    ensure!(from.len() == to.len(), "'{from}' and '{to}' differ in length");
    let places: Vec<usize> =
        code.windows(from.len()).enumerate().filter(|(_, at)| *at == from.as_bytes()).map(|(at, _)| at).collect();
    let [place] = places[..] else { bail!("'{from}' stands {} times in the code", places.len()) };
    code.splice(place..place + from.len(), to.bytes());
    Ok(code)
}

/// A component that exports `module` and does nothing else.
fn exporting(module: &[u8]) -> Vec<u8> {
    let mut component = wasm_encoder::Component::new();
    component.section(&RawSection { id: ComponentSectionId::CoreModule as u8, data: module });
    let mut exports = ComponentExportSection::new();
    exports.export("module", ComponentExportKind::Module, 0, None);
    component.section(&exports);
    component.finish()
}

/// The result of a future that waits for nothing. Hosts run guests on stacks of their own, as futures; so does this test.
pub fn now<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut Poller::from_waker(Waker::noop())) {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => bail!("a call waits, and there is nothing to wait for"),
    }
}
