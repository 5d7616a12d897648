//! JavaScript apps, on either of two engines: QuickJS (small, WASI 0.3) or StarlingMonkey (with the web's interfaces, WASI 0.2). Both
//! snapshot the app after its top level has run.

use std::path::PathBuf;

use anyhow::Result;

use super::{Job, component};
use crate::{run, setup};

/// The source text of this module.
pub const RECIPE: &str = include_str!("javascript.rs");

/// WASI's WIT packages as jco carries them, by version. QuickJS wants the one that it knows while it takes the snapshot.
const WASI: &str = "node_modules/@bytecodealliance/jco/lib/wit/builtin";

/// The WASI 0.2 among them.
const WASI_02: &str = "0.2.12";

/// The version of `wasi:http` by which StarlingMonkey exports its handler, whatever the world says.
const HTTP_EXPORT: &str = "0.2.10";

/// Versions of the tools used here.
pub fn toolchain() -> Result<String> {
    Ok(setup::node()?.version())
}

/// Makes a component of `app.js` on QuickJS.
pub fn quickjs(job: &Job) -> Result<PathBuf> {
    let node = setup::node()?;
    let wit = component::lay_out_wit(job, &node.directory().join(WASI).join("0.3.0"))?;
    let component = job.work.join("component.wasm");
    let mut command = node.jco();
    command
        .arg("componentize")
        .arg(job.source.join("app.js"))
        .args(["--backend", "qjs", "--world-name", &component::world(job)?, "--wit"])
        .arg(&wit);
    run::quiet(command.arg("-o").arg(&component), "making a component with jco")?;
    Ok(component)
}

/// Makes a component of `app.js` on StarlingMonkey. Its world exports what the app does.
pub fn starlingmonkey(job: &Job) -> Result<PathBuf> {
    // The app does not use fetch, and so must not import HTTP.
    on_starlingmonkey(job, WASI_02, &["--disable", "http", "fetch-event"])
}

/// Makes a component of `app.js` on StarlingMonkey, which answers HTTP in the web's own way: with an event for each request.
pub fn starlingmonkey_http(job: &Job) -> Result<PathBuf> {
    on_starlingmonkey(job, HTTP_EXPORT, &[])
}

fn on_starlingmonkey(job: &Job, wasi: &str, options: &[&str]) -> Result<PathBuf> {
    let node = setup::node()?;
    let wit = component::lay_out_wit(job, &node.directory().join(WASI).join(WASI_02))?;
    if wasi != WASI_02 {
        // No interface has changed in between.
        component::rename_version(&wit, WASI_02, wasi)?;
    }
    let component = job.work.join("component.wasm");
    let mut command = node.componentize_js();
    command
        .arg(job.source.join("app.js"))
        .args(options)
        .args(["--world-name", &component::world(job)?, "--wit"])
        .arg(&wit);
    run::quiet(command.arg("-o").arg(&component), "making a component with componentize-js")?;
    Ok(component)
}
