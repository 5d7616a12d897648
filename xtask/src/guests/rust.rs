//! Rust apps: a command built on the standard library (wasm32-wasip2), or a component without it (wasm32-unknown-unknown), which imports
//! nothing that the app does not ask for.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{Job, component};
use crate::{run, setup};

/// The source text of this module.
pub const RECIPE: &str = include_str!("rust.rs");

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(format!("{}{}", setup::cross()?.version()?, setup::python()?.version()))
}

/// A binary crate on wasm32-wasip2, whose linker makes a component by itself.
pub fn command(job: &Job) -> Result<PathBuf> {
    let built = build(job, "wasm32-wasip2")?;
    let component = job.work.join("component.wasm");
    std::fs::copy(built, &component)?;
    Ok(component)
}

/// A library crate (`cdylib`) with bindings of wit-bindgen.
pub fn component(job: &Job) -> Result<PathBuf> {
    component::encode(job, &build(job, "wasm32-unknown-unknown")?)
}

/// Compiles the crate for `target` and returns the module.
fn build(job: &Job, target: &str) -> Result<PathBuf> {
    let directory = job.shared.join("cargo");
    let mut command = setup::cross()?.cargo();
    command.args(["build", "--release", "--locked", "--target", target, "--target-dir"]).arg(&directory);
    command.arg("--message-format=json-render-diagnostics").arg("--manifest-path").arg(job.source.join("Cargo.toml"));
    let messages = run::output(&mut command, "compiling with cargo")?;
    for message in messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        for file in message.get("filenames").and_then(|files| files.as_array()).into_iter().flatten() {
            if let Some(file) = file.as_str().filter(|file| file.ends_with(".wasm")) {
                return Ok(PathBuf::from(file));
            }
        }
    }
    bail!("wanted a .wasm file from cargo for {target}, found none among the files that it made")
}
