//! Bindings of wit-bindgen for languages whose compilers know nothing of components: an app's world (`wit/world.wit`) beside WASI's
//! packages becomes source text in the app's language.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

use super::{Job, component, crates};

/// Holds the Go package that generated Go builds on; the version is the generator's.
const GO_CRATE: (&str, &str) = ("wit-bindgen-go", "0.63.0");

/// C bindings: a header, a source and an object that tells the world to who makes a component of it, all named after the world.
pub fn c(job: &Job) -> Result<PathBuf> {
    generate(job, &mut *wit_bindgen_c::Opts::default().build())
}

/// Go bindings: packages below `wit_component`.
pub fn go(job: &Job) -> Result<PathBuf> {
    let options = wit_bindgen_go::Opts { format: wit_bindgen_go::Format::False, quiet: true, ..Default::default() };
    generate(job, &mut *options.build())
}

/// The Go package that Go bindings build on.
pub fn go_package(job: &Job) -> Result<PathBuf> {
    let (name, version) = GO_CRATE;
    Ok(crates::source(job, name, version)?.join("src/pkg"))
}

/// Lays out the app's world, and writes what `generator` makes of it into a directory, which is returned.
fn generate(job: &Job, generator: &mut dyn WorldGenerator) -> Result<PathBuf> {
    let wit = component::lay_out_wit(job, &component::wasi_02(job)?)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&wit).with_context(|| format!("reading {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some(&component::world(job)?))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files).context("generating bindings")?;
    let directory = job.work.join("bindings");
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
    }
    for (name, contents) in files.iter() {
        let file = directory.join(name);
        fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
        fs::write(&file, contents).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(directory)
}
