//! Where things are: the repository, its build directory, and the cache outside the repository that holds toolchains.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate xtask is not inside a repository")
}

/// Cargo's build directory of the repository.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => Ok(env::current_dir()?.join(directory)),
        None => Ok(root()?.join("target")),
    }
}

/// The built example apps, `NAME.wasm`.
pub fn guests() -> Result<PathBuf> {
    Ok(target()?.join("guests"))
}

/// Where cargo keeps what it downloads: `$CARGO_HOME`, else `~/.cargo`.
pub fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        return Ok(env::current_dir()?.join(home));
    }
    let home =
        env::var_os("HOME").context("neither CARGO_HOME nor HOME is set, so cargo's downloads cannot be found")?;
    Ok(PathBuf::from(home).join(".cargo"))
}

/// The toolchains that `setup` installs: `$MWASM_CACHE`, else `$XDG_CACHE_HOME/mwasm`, else `~/.cache/mwasm`. Outside the repository,
/// so that clones share it and `cargo clean` leaves it alone.
pub fn cache() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = set("MWASM_CACHE") {
        return Ok(env::current_dir()?.join(cache));
    }
    if let Some(caches) = set("XDG_CACHE_HOME") {
        return Ok(caches.join("mwasm"));
    }
    let home = set("HOME").context(
        "no place for the toolchains: none of the environment variables MWASM_CACHE, XDG_CACHE_HOME and HOME is set; \
         set MWASM_CACHE to a directory with 4 GB free",
    )?;
    Ok(home.join(".cache/mwasm"))
}
