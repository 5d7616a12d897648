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
    Ok(directory_in(&paths::cache()?, name, recipe))
}

fn directory_in(cache: &Path, name: &str, recipe: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    cache.join(format!("{name}-{:016x}", hasher.finish()))
}

/// Returns the directory of `name` made by `recipe`; where it is missing, `make` fills it first. Two processes that want the same
/// directory take turns, and the second finds it made.
pub fn provide(name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    provide_in(&paths::cache()?, name, recipe, make)
}

fn provide_in(cache: &Path, name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let done = directory_in(cache, name, recipe);
    if done.is_dir() {
        return Ok(done);
    }
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
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

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn an_interrupted_set_up_is_repaired_and_a_finished_one_is_kept() {
        let cache = std::env::temp_dir().join(format!("mwasm-cache-{}", std::process::id()));
        let interrupted = provide_in(&cache, "tool", "1.0", |directory| {
            fs::write(directory.join("half"), "")?;
            bail!("the network is gone")
        });
        assert_eq!(interrupted.unwrap_err().to_string(), "the network is gone");

        let make = |directory: &Path| Ok(fs::write(directory.join("whole"), "")?);
        let done = provide_in(&cache, "tool", "1.0", make).unwrap();
        assert!(done.join("whole").is_file() && !done.join("half").exists());

        let kept = provide_in(&cache, "tool", "1.0", |_| bail!("made a second time")).unwrap();
        assert_eq!(kept, done);
        let newer = provide_in(&cache, "tool", "1.1", make).unwrap();
        assert!(newer != done && done.is_dir(), "a changed recipe makes a new directory beside the old one");
        fs::remove_dir_all(&cache).unwrap();
    }
}
