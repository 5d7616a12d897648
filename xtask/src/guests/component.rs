//! From what a compiler makes to a component: with the adapter from WASI preview 1 where the compiler speaks that, without debug
//! information, and with function names, so that a trap can be reported by the function it happened in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};

use super::{Job, crates};
use crate::{run, setup};

/// The source text of this module: part of every recipe.
pub const RECIPE: &str = include_str!("component.rs");

/// Holds WASI 0.2.12's WIT packages.
const WASI_CRATE: (&str, &str) = ("wasip2", "2.0.1");

/// Makes a component of `core`, a command of WASI preview 1; returns the component's path.
pub fn adapt(job: &Job, core: &Path) -> Result<PathBuf> {
    adapt_with(job, core, None, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
}

/// Makes a component of `core`, a reactor of WASI preview 1: it is called by its exports, not run; returns the component's path. Where
/// `core` does not hold its world, it is the app's in the directory `wit`.
pub fn adapt_reactor(job: &Job, core: &Path, wit: Option<&Path>) -> Result<PathBuf> {
    adapt_with(job, core, wit, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
}

fn adapt_with(job: &Job, core: &Path, wit: Option<&Path>, contents: &[u8]) -> Result<PathBuf> {
    let adapter = job.work.join("adapter.wasm");
    fs::write(&adapter, contents).with_context(|| format!("writing {}", adapter.display()))?;
    encode_with(job, core, wit, &[format!("--adapt={WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME}={}", adapter.display())])
}

/// Makes a component of `core`, a module that holds its own world, as bindings of wit-bindgen leave it; returns the component's path.
pub fn encode(job: &Job, core: &Path) -> Result<PathBuf> {
    encode_with(job, core, None, &[])
}

fn encode_with(job: &Job, core: &Path, wit: Option<&Path>, options: &[String]) -> Result<PathBuf> {
    let python = setup::python()?;
    let mut stripped = job.work.join("stripped.wasm");
    run::quiet(python.wasm_tools().arg("strip").arg(core).arg("-o").arg(&stripped), "stripping debug information")?;
    if let Some(wit) = wit {
        stripped = embed(job, &stripped, wit)?;
    }
    let component = job.work.join("component.wasm");
    let mut command = python.wasm_tools();
    command.args(["component", "new"]).args(options).arg(&stripped).arg("-o").arg(&component);
    run::quiet(&mut command, "making a component")?;
    Ok(component)
}

/// Checks that the file at `component` is a valid component, whatever made it.
pub fn validate(component: &Path) -> Result<()> {
    let mut command = setup::python()?.wasm_tools();
    run::quiet(command.args(["validate", "--features=all"]).arg(component), "validating the component")
}

/// Makes `core` hold its world.
fn embed(job: &Job, core: &Path, wit: &Path) -> Result<PathBuf> {
    let embedded = job.work.join("embedded.wasm");
    let mut command = setup::python()?.wasm_tools();
    command.args(["component", "embed", "--world", &world(job)?]).arg(wit).arg(core).arg("-o").arg(&embedded);
    run::quiet(&mut command, "telling a module its world")?;
    Ok(embedded)
}

/// WASI 0.2's WIT packages.
pub fn wasi_02(job: &Job) -> Result<PathBuf> {
    let (name, version) = WASI_CRATE;
    Ok(crates::source(job, name, version)?.join("wit/deps"))
}

/// The name of the app's world.
pub fn world(job: &Job) -> Result<String> {
    let file = job.source.join("wit/world.wit");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let name = text.lines().find_map(|line| line.strip_prefix("world ")?.strip_suffix(" {"));
    name.map(str::to_owned).with_context(|| format!("wanted a line `world NAME {{` in {}, found none", file.display()))
}

/// Lays out `wit/` in the job's directory as tools want it: the app's own world beside `dependencies`, a directory of WASI's packages.
pub fn lay_out_wit(job: &Job, dependencies: &Path) -> Result<PathBuf> {
    let wit = job.work.join("wit");
    if wit.exists() {
        fs::remove_dir_all(&wit).with_context(|| format!("removing {}", wit.display()))?;
    }
    fs::create_dir_all(&wit)?;
    fs::copy(job.source.join("wit/world.wit"), wit.join("world.wit")).context("copying the app's wit/world.wit")?;
    let mut copy = std::process::Command::new("cp");
    run::quiet(copy.arg("-RL").arg(dependencies).arg(wit.join("deps")), "copying WASI's WIT packages")?;
    Ok(wit)
}

/// Writes `to` in place of the version `from` in all WIT files below `directory`.
pub fn rename_version(directory: &Path, from: &str, to: &str) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            rename_version(&path, from, to)?;
        } else {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            fs::write(&path, text.replace(from, to)).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(())
}
