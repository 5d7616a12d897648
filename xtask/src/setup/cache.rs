//! Directories that are made whole or not at all. A directory is built under a name of its own beside the final one and renamed when it
//! is complete, so that a set-up that was interrupted is repaired by running it again; and it is named after a hash of its recipe, so
//! that a changed pin makes a new directory and the old one stays usable by older clones.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::paths;

/// The directory of `name` made by `recipe`, whether or not it is there. `recipe` is any text that changes when the outcome would.
pub fn directory(name: &str, recipe: &str) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    Ok(paths::cache()?.join(format!("{name}-{:016x}", hasher.finish())))
}

/// Returns the directory of `name` made by `recipe`; where it is missing, `make` fills it first. Two processes that want the same
/// directory take turns, and the second finds it made.
pub fn provide(name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let done = directory(name, recipe)?;
    if done.is_dir() {
        return Ok(done);
    }
    let cache = paths::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    let lock = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock).with_context(|| format!("making {}", lock.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("{name}: waiting for another set-up to finish");
        lock.lock().with_context(|| format!("waiting for another set-up of {name}"))?;
    }
    if done.is_dir() {
        return Ok(done);
    }
    let mut partial = done.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        fs::remove_dir_all(&partial)
            .with_context(|| format!("removing what is left of an interrupted set-up, {}", partial.display()))?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("making {}", partial.display()))?;
    make(&partial)?;
    fs::rename(&partial, &done).with_context(|| format!("renaming {} to {}", partial.display(), done.display()))?;
    Ok(done)
}
