//! Paths of a guest: relative, `/` between names, and never out of the directory that they start at.

use super::{ErrorCode, Result};
use alloc::vec::Vec;
use mwasm_plan::MAX_NAME_BYTES;

/// The longest path in bytes, as on Linux.
pub const MAX_PATH_BYTES: usize = 4096;

/// A path in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal<'a> {
    /// The names on the way; none for the directory itself.
    pub names: Vec<&'a str>,
    /// The path ended in a slash (or in `.` or `..`), so it must name a directory.
    pub must_be_dir: bool,
}

/// Brings a path into normal form: drops `.` and empty names, takes `..` back by one name. An absolute path, and one that leaves
/// the directory that it starts at, is not permitted.
pub fn normalize(path: &str) -> Result<Normal<'_>> {
    if path.is_empty() {
        return Err(ErrorCode::NoEntry);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(ErrorCode::NameTooLong);
    }
    if path.starts_with('/') {
        return Err(ErrorCode::NotPermitted);
    }
    if path.contains('\0') {
        return Err(ErrorCode::Invalid);
    }
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop().ok_or(ErrorCode::NotPermitted)?;
            }
            name if name.len() > MAX_NAME_BYTES => return Err(ErrorCode::NameTooLong),
            name => names.push(name),
        }
    }
    let must_be_dir = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    Ok(Normal { names, must_be_dir })
}

impl<'a> Normal<'a> {
    /// The names before the last, and the last; an error for the directory itself.
    pub fn split_last(&self) -> Result<(&[&'a str], &'a str)> {
        let (last, before) = self.names.split_last().ok_or(ErrorCode::Invalid)?;
        Ok((before, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn paths_are_brought_into_normal_form() {
        let normal = |path| normalize(path).map(|normal| normal.names.join("/"));
        assert_eq!(normal("a/./b//c").as_deref(), Ok("a/b/c"));
        assert_eq!(normal("a/../b").as_deref(), Ok("b"));
        assert_eq!(normal(".").as_deref(), Ok(""));
        assert!(normalize("a/").unwrap().must_be_dir && !normalize("a").unwrap().must_be_dir);
    }

    #[test]
    fn nothing_leaves_its_directory() {
        for path in ["/etc", "..", "a/../..", "./../x"] {
            assert_eq!(normalize(path), Err(ErrorCode::NotPermitted), "{path}");
        }
        assert_eq!(normalize(""), Err(ErrorCode::NoEntry));
        assert_eq!(normalize("a\0b"), Err(ErrorCode::Invalid));
        let long = alloc::string::String::from_utf8(vec![b'x'; MAX_NAME_BYTES + 1]).unwrap();
        assert_eq!(normalize(&long), Err(ErrorCode::NameTooLong));
    }
}
