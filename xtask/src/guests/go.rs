//! Go apps: the standard toolchain for WASI preview 1. What preview 1 lacks, sockets and HTTP, comes as bindings of wit-bindgen.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Job, bindings, component, copy};
use crate::{run, setup};

/// The source text of this module and of the one that it builds on.
pub const RECIPE: &str = concat!(include_str!("go.rs"), include_str!("bindings.rs"));

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(setup::python()?.version())
}

/// A command: the package in the app's directory.
pub fn command(job: &Job) -> Result<PathBuf> {
    component::adapt(job, &compile(job, &job.source, &["-ldflags=-s -w"])?)
}

/// A component that exports what its world does: the app's files among the bindings, which are a module of their own.
pub fn reactor(job: &Job) -> Result<PathBuf> {
    let module = with_bindings(job)?;
    // The shared package allocates with a function of Go's runtime before that has started (`runtime.sbrk`), which the linker would refuse.
    let core = compile(job, &module, &["-buildmode=c-shared", "-mod=mod", "-ldflags=-s -w -checklinkname=0"])?;
    component::adapt_reactor(job, &core, Some(&job.work.join("wit")))
}

/// A directory with the bindings for the app's world and the app's own files.
fn with_bindings(job: &Job) -> Result<PathBuf> {
    let module = bindings::go(job)?;
    // The package that all bindings share comes with their generator, and from no other place.
    let replace = format!("replace go.bytecodealliance.org/pkg => {}\n", bindings::go_package(job)?.display());
    let file = module.join("go.mod");
    fs::write(&file, fs::read_to_string(&file)? + "\n" + &replace)
        .with_context(|| format!("writing {}", file.display()))?;
    copy::files(&job.source, &module, "go")?;
    Ok(module)
}

fn compile(job: &Job, package: &Path, options: &[&str]) -> Result<PathBuf> {
    let core = job.work.join("core.wasm");
    let mut command = setup::python()?.go();
    command.env("GOOS", "wasip1").env("GOARCH", "wasm");
    command.env("GOCACHE", job.shared.join("go-cache")).env("GOPATH", job.shared.join("go-path")).env("GOENV", "off");
    command.args(["build", "-trimpath"]).args(options).arg("-o").arg(&core).arg(".");
    run::quiet(command.current_dir(package), "compiling with go")?;
    Ok(core)
}
