//! C apps: `zig cc` with its wasi-libc (WASI preview 1).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Job, component};
use crate::{run, setup};

/// The source text of this module.
pub const RECIPE: &str = include_str!("c.rs");

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
