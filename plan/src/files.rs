//! The rules that an embedded tree keeps, checked when it is built and again when an image starts.
//!
//! A tree is a list sorted by path, so that a host looks a path up by binary search and lists a directory by a range, without an
//! index of its own.

use crate::Dir;
use core::fmt;

/// The longest name of a file or directory in bytes, as on Linux.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a tree is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileError<'a> {
    /// The guest's path is not absolute, or not in normal form.
    Guest(&'a str),
    /// A name is empty, `.`, `..`, too long, or holds a zero byte.
    Name(&'a str),
    /// The path does not come after the one before it.
    Order(&'a str),
    /// The directory that holds this path is not listed before it.
    Parent(&'a str),
}

impl fmt::Display for FileError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(path) => write!(f, "'{path}' is no absolute path in normal form (such as /site)"),
            Self::Name(path) => {
                write!(f, "'{path}' has a name that is empty, '.', '..' or over {MAX_NAME_BYTES} bytes")
            }
            Self::Order(path) => write!(f, "'{path}' is out of order"),
            Self::Parent(path) => write!(f, "'{path}' is in no directory"),
        }
    }
}

fn name_is_fine(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME_BYTES && !name.contains('\0')
}

/// Checks the rules: the guest's path is absolute and normal, paths are sorted by bytes without repeats, names are fine, and each
/// file's directory is listed.
pub fn check_tree<'a>(dir: &Dir<'a>) -> Result<(), FileError<'a>> {
    let rest = dir.guest.strip_prefix('/').ok_or(FileError::Guest(dir.guest))?;
    if !(rest.is_empty() || rest.split('/').all(name_is_fine)) {
        return Err(FileError::Guest(dir.guest));
    }
    let mut last: Option<&str> = None;
    for file in &dir.files {
        if !file.path.split('/').all(name_is_fine) {
            return Err(FileError::Name(file.path));
        }
        if last.is_some_and(|last| last.as_bytes() >= file.path.as_bytes()) {
            return Err(FileError::Order(file.path));
        }
        last = Some(file.path);
        if let Some((parent, _)) = file.path.rsplit_once('/') {
            let at = dir.files.binary_search_by(|other| other.path.as_bytes().cmp(parent.as_bytes()));
            if !at.is_ok_and(|at| dir.files[at].content.is_none()) {
                return Err(FileError::Parent(file.path));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::File;
    use alloc::vec;

    fn dir(guest: &'static str, paths: &[&'static str]) -> Dir<'static> {
        let file = |path: &&'static str| match path.strip_suffix('/') {
            Some(path) => File { path, content: None },
            None => File { path, content: Some(b"") },
        };
        Dir { guest, files: paths.iter().map(file).collect() }
    }

    #[test]
    fn trees_keep_the_rules() {
        assert_eq!(check_tree(&dir("/site", &["a/", "a/b", "c"])), Ok(()));
        assert_eq!(check_tree(&dir("/", &[])), Ok(()));
        assert_eq!(check_tree(&dir("site", &[])), Err(FileError::Guest("site")));
        assert_eq!(check_tree(&dir("/a/../b", &[])), Err(FileError::Guest("/a/../b")));
        assert_eq!(check_tree(&dir("/s", &["../x"])), Err(FileError::Name("../x")));
        assert_eq!(check_tree(&dir("/s", &["b", "a"])), Err(FileError::Order("a")));
        assert_eq!(check_tree(&dir("/s", &["a", "a/b"])), Err(FileError::Parent("a/b")));
        assert_eq!(check_tree(&dir("/s", &["a/b"])), Err(FileError::Parent("a/b")));
        let long = vec![b'x'; MAX_NAME_BYTES + 1];
        let long: &'static str = alloc::string::String::from_utf8(long).unwrap().leak();
        assert_eq!(check_tree(&dir("/s", &[long])), Err(FileError::Name(long)));
    }
}
