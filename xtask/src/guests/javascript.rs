//! JavaScript apps, on either of two engines: QuickJS (small, WASI 0.3) or StarlingMonkey (with the web's interfaces, WASI 0.2). Both
//! snapshot the app after its top level has run.

use std::path::PathBuf;

use anyhow::Result;

use super::{Job, component};
use crate::{run, setup};

/// The source text of this module.
pub const RECIPE: &str = include_str!("javascript.rs");

/// WASI's WIT packages as jco carries them, by version. The version is the one that the engine knows while it takes the snapshot.
const WASI: &str = "node_modules/@bytecodealliance/jco/lib/wit/builtin";

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(setup::node()?.version())
}

/// Makes a component of `hello.js` on QuickJS.
pub fn quickjs(job: &Job) -> Result<PathBuf> {
    let node = setup::node()?;
    let wit = component::lay_out_wit(job, &node.directory().join(WASI).join("0.3.0"))?;
    let component = job.work.join("component.wasm");
    let mut command = node.jco();
    command
        .arg("componentize")
        .arg(job.source.join("hello.js"))
        .args(["--backend", "qjs", "--world-name", "hello", "--wit"])
        .arg(&wit);
    run::quiet(command.arg("-o").arg(&component), "making a component with jco")?;
    Ok(component)
}

/// Makes a component of `hello.js` on StarlingMonkey.
pub fn starlingmonkey(job: &Job) -> Result<PathBuf> {
    let node = setup::node()?;
    let wit = component::lay_out_wit(job, &node.directory().join(WASI).join("0.2.12"))?;
    let component = job.work.join("component.wasm");
    let mut command = node.componentize_js();
    // The app does not use fetch, and so must not import HTTP.
    command
        .arg(job.source.join("hello.js"))
        .args(["--disable", "http", "fetch-event", "--world-name", "hello", "--wit"])
        .arg(&wit);
    run::quiet(command.arg("-o").arg(&component), "making a component with componentize-js")?;
    Ok(component)
}
