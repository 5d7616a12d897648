//! Python apps: componentize-py puts CPython and the app's modules, already imported, into one component.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Job, component};
use crate::{run, setup};

/// The source text of this module.
pub const RECIPE: &str = include_str!("python.rs");

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(setup::python()?.version())
}

/// Makes a component of `app.py`.
pub fn build(job: &Job) -> Result<PathBuf> {
    let wit = component::lay_out_wit(job, &component::wasi_02(job)?)?;
    // A copy, because the modules are imported while the component is made, and Python leaves its own files beside them.
    let modules = job.work.join("modules");
    fs::create_dir_all(&modules)?;
    fs::copy(job.source.join("app.py"), modules.join("app.py")).context("copying app.py")?;
    let component = job.work.join("component.wasm");
    let mut command = setup::python()?.componentize_py();
    command
        .arg("-d")
        .arg(&wit)
        .args(["-w", &component::world(job)?, "componentize", "-p"])
        .arg(&modules)
        .args(["app", "-o"])
        .arg(&component);
    run::quiet(&mut command, "making a component with componentize-py")?;
    Ok(component)
}
