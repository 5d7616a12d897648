//! Read-only trees that are part of the image.
//!
//! A tree is a sorted list of paths ([`mwasm_plan::check_tree`]) that borrows its contents from the image: opening is a binary
//! search, listing is a range of the list, and reading copies straight from the image into the guest.

use super::{Dir, Entry, ErrorCode, File, Kind, Node, OpenOptions, Result, Stat, path};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use mwasm_plan as plan;

/// A directory of an embedded tree.
pub struct EmbeddedDir {
    tree: Arc<plan::Dir<'static>>,
    /// Number of the tree, so that objects of two trees differ.
    number: u64,
    /// Path of this directory in the tree; empty for the root.
    at: String,
}

struct EmbeddedFile {
    content: &'static [u8],
    identity: (u64, u64),
}

/// Opens the root of a tree that keeps the rules of [`mwasm_plan::check_tree`].
pub fn open(tree: plan::Dir<'static>, number: u64) -> Arc<dyn Dir> {
    Arc::new(EmbeddedDir { tree: Arc::new(tree), number, at: String::new() })
}

/// Objects that hold no file number (roots) have this one.
const ROOT: u64 = u64::MAX;

impl EmbeddedDir {
    fn join(&self, names: &[&str]) -> String {
        let mut full = self.at.clone();
        for name in names {
            if !full.is_empty() {
                full.push('/');
            }
            full.push_str(name);
        }
        full
    }

    fn index(&self, full: &str) -> Option<usize> {
        self.tree.files.binary_search_by(|file| file.path.as_bytes().cmp(full.as_bytes())).ok()
    }

    /// What is at a path: `None` for the root, else its place in the list.
    fn find(&self, path: &str) -> Result<(String, Option<usize>)> {
        let normal = path::normalize(path)?;
        let full = self.join(&normal.names);
        if full.is_empty() {
            return Ok((full, None));
        }
        let Some(index) = self.index(&full) else {
            return Err(self.why_missing(&normal.names));
        };
        if normal.must_be_dir && self.content(index).is_some() {
            return Err(ErrorCode::NotDirectory);
        }
        Ok((full, Some(index)))
    }

    /// A name on the way may be a file, which is another error than nothing at all.
    fn why_missing(&self, names: &[&str]) -> ErrorCode {
        let through_file = (1..names.len()).any(|count| {
            let above = self.join(names.get(..count).unwrap_or_default());
            self.index(&above).is_some_and(|index| self.content(index).is_some())
        });
        if through_file { ErrorCode::NotDirectory } else { ErrorCode::NoEntry }
    }

    fn content(&self, index: usize) -> Option<&'static [u8]> {
        self.tree.files.get(index).and_then(|file| file.content)
    }
}

fn stat_of(content: Option<&[u8]>) -> Stat {
    let (kind, size) = match content {
        Some(bytes) => (Kind::File, bytes.len() as u64),
        None => (Kind::Directory, 0),
    };
    Stat { kind, links: 1, size, accessed: None, modified: None, changed: None }
}

impl Dir for EmbeddedDir {
    fn open_at(&self, path: &str, options: OpenOptions) -> Result<Node> {
        let found = match self.find(path) {
            Err(ErrorCode::NoEntry) if options.create => return Err(ErrorCode::ReadOnly),
            other => other?,
        };
        if options.exclusive && options.create {
            return Err(ErrorCode::Exist);
        }
        if options.write || options.truncate {
            return Err(ErrorCode::ReadOnly);
        }
        match found {
            (_, Some(index)) if self.content(index).is_some() => {
                let content = self.content(index).unwrap_or_default();
                if options.directory {
                    return Err(ErrorCode::NotDirectory);
                }
                Ok(Node::File(Arc::new(EmbeddedFile { content, identity: (self.number, index as u64) })))
            }
            (at, _) => Ok(Node::Dir(Arc::new(Self { tree: self.tree.clone(), number: self.number, at }))),
        }
    }

    fn stat(&self) -> Result<Stat> {
        Ok(stat_of(None))
    }

    fn stat_at(&self, path: &str, _follow: bool) -> Result<Stat> {
        let (_, index) = self.find(path)?;
        Ok(stat_of(index.and_then(|index| self.content(index))))
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        let below = |path: &'static str| -> Option<&'static str> {
            if self.at.is_empty() { Some(path) } else { path.strip_prefix(&self.at)?.strip_prefix('/') }
        };
        let files = self.tree.files.iter();
        Ok(files
            .filter_map(|file| Some((file, below(file.path)?)))
            .filter(|(_, name)| !name.contains('/'))
            .map(|(file, name)| Entry { kind: stat_of(file.content).kind, name: name.into() })
            .collect())
    }

    fn identity(&self) -> (u64, u64) {
        (self.number, self.index(&self.at).map_or(ROOT, |index| index as u64))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for EmbeddedFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.content.get(offset..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        for (slot, byte) in into.iter_mut().zip(rest) {
            *slot = *byte;
        }
        Ok(count)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(stat_of(Some(self.content)))
    }

    fn identity(&self) -> (u64, u64) {
        self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn tree() -> Arc<dyn Dir> {
        let file = |path, content| plan::File { path, content };
        let files = vec![
            file("a", None),
            file("a-b", Some(b"sorts between a and a/".as_slice())),
            file("a/x.txt", Some(b"inner".as_slice())),
            file("z", Some(b"".as_slice())),
        ];
        let tree = plan::Dir { guest: "/site", files };
        assert_eq!(plan::check_tree(&tree), Ok(()));
        open(tree, 0)
    }

    fn names(dir: &dyn Dir) -> Vec<String> {
        dir.entries().unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn files_are_found_listed_and_read() {
        let root = tree();
        assert_eq!(names(&*root), ["a", "a-b", "z"]);
        let Node::Dir(inner) = root.open_at("a", OpenOptions::default()).unwrap() else { panic!("a is a directory") };
        assert_eq!(names(&*inner), ["x.txt"]);
        let file = inner.open_at("../a/x.txt", OpenOptions::default());
        assert!(matches!(file, Err(ErrorCode::NotPermitted)), "the directory is a capability");
        let Node::File(file) = inner.open_at("./x.txt", OpenOptions::default()).unwrap() else { panic!("a file") };
        let mut buffer = [0; 3];
        assert_eq!((file.read_at(&mut buffer, 2), &buffer), (Ok(3), b"ner"));
        assert_eq!(file.read_at(&mut buffer, 5), Ok(0));
        assert_eq!(file.read_at(&mut buffer, u64::MAX), Ok(0));
        assert_eq!(file.stat().unwrap().size, 5);
    }

    #[test]
    fn nothing_can_be_changed() {
        let root = tree();
        let open = |path, options| root.open_at(path, options).map(drop);
        assert_eq!(open("z", OpenOptions { write: true, ..Default::default() }), Err(ErrorCode::ReadOnly));
        assert_eq!(open("new", OpenOptions { create: true, ..Default::default() }), Err(ErrorCode::ReadOnly));
        assert_eq!(open("z", OpenOptions { directory: true, ..Default::default() }), Err(ErrorCode::NotDirectory));
        assert_eq!(open("z/", OpenOptions::default()), Err(ErrorCode::NotDirectory));
        assert_eq!(open("z/y", OpenOptions::default()), Err(ErrorCode::NotDirectory));
        assert_eq!(open("q/y", OpenOptions::default()), Err(ErrorCode::NoEntry));
        assert_eq!(root.unlink_at("z"), Err(ErrorCode::ReadOnly));
    }
}
