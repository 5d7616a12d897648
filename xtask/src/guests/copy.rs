//! Copies of an app's own files, for tools that want them beside files of theirs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Copies the files below `from` whose names end in `.EXTENSION` to the same places below `to`.
pub fn files(from: &Path, to: &Path, extension: &str) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            files(&path, &to.join(name), extension)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
            fs::copy(&path, to.join(name)).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}
