//! C apps: `zig cc` with its wasi-libc (WASI preview 1). What preview 1 lacks, sockets and HTTP, comes as bindings of wit-bindgen.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Job, bindings, component};
use crate::{run, setup};

/// The source text of this module and of the one that it builds on.
pub const RECIPE: &str = concat!(include_str!("c.rs"), include_str!("bindings.rs"));

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(setup::python()?.version())
}

/// The hello app: one file.
pub fn hello(job: &Job) -> Result<PathBuf> {
    let mut compiler = compiler(job)?;
    compiler.arg("-O2").arg(job.source.join("hello.c"));
    link(job, compiler)
}

/// A command of one file, with bindings for its world.
pub fn command(job: &Job) -> Result<PathBuf> {
    component::adapt(job, &compile_with_bindings(job, "command")?)
}

/// A component of one file that exports what its world does, with bindings for that.
pub fn reactor(job: &Job) -> Result<PathBuf> {
    component::adapt_reactor(job, &compile_with_bindings(job, "reactor")?, None)
}

fn compile_with_bindings(job: &Job, model: &str) -> Result<PathBuf> {
    let bindings = bindings::c(job)?;
    let world = component::world(job)?;
    let file = |suffix: &str| bindings.join(format!("{world}{suffix}"));
    let core = job.work.join("core.wasm");
    let mut compiler = compiler(job)?;
    compiler.arg(format!("-mexec-model={model}")).arg("-Os").arg("-I").arg(&bindings);
    compiler.arg(job.source.join("app.c")).args([file(".c"), file("_component_type.o")]);
    run::quiet(compiler.arg("-o").arg(&core), "compiling with zig cc")?;
    Ok(core)
}

/// The C compiler, its caches kept below `target/`.
pub fn compiler(job: &Job) -> Result<Command> {
    let mut command = setup::python()?.zig_cc();
    let cache = |name: &str| -> PathBuf { Path::new(&job.shared).join(name) };
    command.env("ZIG_GLOBAL_CACHE_DIR", cache("zig-global")).env("ZIG_LOCAL_CACHE_DIR", cache("zig-local"));
    command.arg("--target=wasm32-wasi");
    Ok(command)
}

/// Runs `compiler`, which has its options and sources, and makes a component of what it links.
pub fn link(job: &Job, mut compiler: Command) -> Result<PathBuf> {
    let core = job.work.join("core.wasm");
    run::quiet(compiler.arg("-o").arg(&core), "compiling with zig cc")?;
    component::adapt(job, &core)
}
