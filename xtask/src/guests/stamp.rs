//! What a built app was made from, as one short text that is kept beside it: equal texts mean that building again would change nothing.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The stamp of all files below `directory` (names and contents) and of `texts`, such as recipes and versions.
pub fn stamp(directory: &Path, texts: &[&str]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    for file in files(directory)? {
        file.strip_prefix(directory)?.hash(&mut hasher);
        fs::read(&file).with_context(|| format!("reading {}", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// All files below `directory`, sorted.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("listing {}", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_changes_with_contents_names_and_texts() {
        let directory = std::env::temp_dir().join(format!("mwasm-stamp-{}", std::process::id()));
        fs::create_dir_all(directory.join("src")).unwrap();
        fs::write(directory.join("src/a"), "1").unwrap();
        let first = stamp(&directory, &["recipe"]).unwrap();
        assert_eq!(first, stamp(&directory, &["recipe"]).unwrap());
        assert_ne!(first, stamp(&directory, &["another recipe"]).unwrap());
        fs::write(directory.join("src/a"), "2").unwrap();
        let second = stamp(&directory, &["recipe"]).unwrap();
        assert_ne!(first, second);
        fs::rename(directory.join("src/a"), directory.join("src/b")).unwrap();
        assert_ne!(second, stamp(&directory, &["recipe"]).unwrap());
        fs::remove_dir_all(&directory).unwrap();
    }
}
