//! Embedded directories: a tree of files, read once, in the order that an image wants them.
//!
//! Symbolic links are followed, so what they point at becomes part of the image. Only names, kinds and contents go in: no times, no
//! owners, so that equal trees give equal images.

use crate::problem::Problem;
use anyhow::{Context, Result};
use mwasm_plan::{Dir, File, MAX_PLAN_BYTES};
use std::fs;
use std::path::Path;

/// The deepest nesting of directories; a circle of symbolic links ends here.
const MAX_DEPTH: usize = 64;

/// A directory that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    guest: String,
    /// Paths and contents, sorted by path; directories have no content.
    files: Vec<(String, Option<Vec<u8>>)>,
}

/// Reads all that is below `directory`, for the guest to see at `guest`.
pub fn read(guest: &str, directory: &Path) -> Result<Tree> {
    let is_directory = fs::metadata(directory).map_err(|error| {
        Problem::new(format!("cannot embed '{}': {error}", directory.display()))
            .help("name a directory of this machine, relative to the manifest or to where you are")
    })?;
    if !is_directory.is_dir() {
        return Err(Problem::new(format!("cannot embed '{}': it is no directory", directory.display()))
            .help("put the file into a directory of its own, and embed that")
            .into());
    }
    let mut tree = Tree { guest: guest.to_owned(), files: Vec::new() };
    walk(directory, "", 0, &mut tree.files)?;
    tree.files.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    let bytes = tree.bytes();
    if bytes > MAX_PLAN_BYTES {
        let message = format!("cannot embed '{}': it holds {bytes} bytes", directory.display());
        return Err(Problem::new(message)
            .help(format!("an image holds at most {MAX_PLAN_BYTES} bytes of files"))
            .into());
    }
    let checked = mwasm_plan::check_tree(&tree.dir()).map_err(|error| error.to_string());
    checked.map_err(|why| Problem::new(format!("cannot embed '{}': {why}", directory.display())))?;
    Ok(tree)
}

fn walk(directory: &Path, prefix: &str, depth: usize, files: &mut Vec<(String, Option<Vec<u8>>)>) -> Result<()> {
    if depth > MAX_DEPTH {
        let message = format!("cannot embed '{}': it is nested deeper than {MAX_DEPTH}", directory.display());
        return Err(Problem::new(message).help("look for a symbolic link that leads in a circle").into());
    }
    let context = || format!("cannot embed '{}'", directory.display());
    for entry in fs::read_dir(directory).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Problem::new(format!("cannot embed '{}': its name is not UTF-8", path.display())).help("rename it")
        })?;
        let inner = format!("{prefix}{name}");
        let kind = fs::metadata(&path).with_context(|| format!("cannot embed '{}'", path.display()))?;
        if kind.is_dir() {
            files.push((inner.clone(), None));
            walk(&path, &format!("{inner}/"), depth + 1, files)?;
        } else if kind.is_file() {
            let content = fs::read(&path).with_context(|| format!("cannot embed '{}'", path.display()))?;
            files.push((inner, Some(content)));
        } else {
            let message = format!("cannot embed '{}': it is neither file nor directory", path.display());
            return Err(Problem::new(message).help("remove it from the directory").into());
        }
    }
    Ok(())
}

impl Tree {
    /// The form in which it stands in a plan.
    pub fn dir(&self) -> Dir<'_> {
        Dir {
            guest: &self.guest,
            files: self.files.iter().map(|(path, content)| File { path, content: content.as_deref() }).collect(),
        }
    }

    /// Number of files.
    pub fn files(&self) -> usize {
        self.files.iter().filter(|(_, content)| content.is_some()).count()
    }

    /// Size of all contents.
    pub fn bytes(&self) -> usize {
        self.files.iter().filter_map(|(_, content)| content.as_ref()).map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_is_sorted_by_bytes_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/c"), "c").unwrap();
        fs::write(at("a-b"), "x").unwrap();
        fs::create_dir(at("empty")).unwrap();
        symlink(at("a/b/c"), at("link")).unwrap();
        let tree = read("/site", directory.path()).unwrap();
        let paths: Vec<_> = tree.files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a", "a-b", "a/b", "a/b/c", "empty", "link"]);
        assert_eq!((tree.files(), tree.bytes()), (3, 3));
    }

    #[test]
    fn what_cannot_be_embedded_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let fails = |path: &Path| format!("{:#}", read("/x", path).unwrap_err());
        assert!(fails(Path::new("/nowhere")).contains("cannot embed '/nowhere'"));
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(fails(&file).contains("it is no directory"));
        symlink(directory.path(), directory.path().join("loop")).unwrap();
        let message = fails(directory.path());
        assert!(message.contains("nested deeper than") || message.contains("symbolic links"), "{message}");
    }
}
