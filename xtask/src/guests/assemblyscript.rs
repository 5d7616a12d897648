//! AssemblyScript apps: `asc` with the shim for WASI preview 1.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Job, component};
use crate::{run, setup};

/// The source text of this module.
pub const RECIPE: &str = include_str!("assemblyscript.rs");

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(format!("{}{}", setup::node()?.version(), setup::python()?.version()))
}

/// Compiles `hello.ts`.
pub fn build(job: &Job) -> Result<PathBuf> {
    let node = setup::node()?;
    // The compiler finds packages only below the directory that it runs in, as after `npm install`.
    let packages = job.work.join("node_modules");
    if packages.symlink_metadata().is_ok() {
        fs::remove_file(&packages)?;
    }
    symlink(node.directory().join("node_modules"), &packages)
        .context("linking the packages into the job's directory")?;
    fs::copy(job.source.join("hello.ts"), job.work.join("hello.ts")).context("copying hello.ts")?;
    let mut command = node.asc();
    command.args([
        "hello.ts",
        "--config",
        "node_modules/@assemblyscript/wasi-shim/asconfig.json",
        "-O3",
        "-o",
        "core.wasm",
    ]);
    run::quiet(command.current_dir(&job.work), "compiling with asc")?;
    component::adapt(job, &job.work.join("core.wasm"))
}
