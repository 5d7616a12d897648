//! Sources that come as crates but are not built by cargo: SQLite's amalgamation, WASI's WIT packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Job;
use crate::run;

/// The directory of the crate `name` at exactly `version`, downloaded by cargo where it is missing.
pub fn source(job: &Job, name: &str, version: &str) -> Result<PathBuf> {
    let asking = job.shared.join("crates").join(format!("{name}-{version}"));
    fs::create_dir_all(&asking)?;
    // A package of its own, in no workspace, whose only purpose is to depend on the crate.
    let manifest = format!(
        "[package]\nname = \"asking\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]\n{name} = \"={version}\"\n"
    );
    fs::write(asking.join("Cargo.toml"), manifest)?;
    fs::write(asking.join("lib.rs"), "")?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["metadata", "--format-version=1", "--manifest-path"]).arg(asking.join("Cargo.toml"));
    let what = format!("finding the source of the crate {name} {version}");
    let metadata: Value = serde_json::from_str(&run::output(&mut command, &what)?).with_context(|| what.clone())?;
    let packages = metadata.get("packages").and_then(Value::as_array).with_context(|| what.clone())?;
    let package = packages.iter().find(|package| package.get("name").and_then(Value::as_str) == Some(name));
    let manifest = package.and_then(|package| package.get("manifest_path")).and_then(Value::as_str);
    let directory = manifest.and_then(|manifest| Path::new(manifest).parent());
    directory.map(Path::to_owned).with_context(|| format!("{what}: cargo's answer does not name it"))
}
