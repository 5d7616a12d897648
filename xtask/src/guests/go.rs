//! Go apps: the standard toolchain for WASI preview 1.

use std::path::PathBuf;

use anyhow::Result;

use super::{Job, component};
use crate::{run, setup};

/// The source text of this module.
pub const RECIPE: &str = include_str!("go.rs");

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(setup::python()?.version())
}

/// Compiles the package in the app's directory.
pub fn build(job: &Job) -> Result<PathBuf> {
    let core = job.work.join("core.wasm");
    let mut command = setup::python()?.go();
    command.env("GOOS", "wasip1").env("GOARCH", "wasm");
    command.env("GOCACHE", job.shared.join("go-cache")).env("GOPATH", job.shared.join("go-path")).env("GOENV", "off");
    command.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&core).arg(".").current_dir(&job.source);
    run::quiet(&mut command, "compiling with go")?;
    component::adapt(job, &core)
}
