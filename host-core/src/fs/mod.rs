//! Files and directories, whatever they are made of.
//!
//! `wasi:filesystem` at 0.2 and 0.3 both stand on two small traits, [`Dir`] and [`File`]. Here are two implementations:
//! [`embedded`], read-only trees that are part of the image and are read where they lie, and [`memory`], the writable `/tmp` that
//! is gone at the end. A desktop host adds directories of its machine as a third.
//!
//! A path is always relative to an open directory and cannot leave it: [`path`] refuses absolute paths and `..` beyond the start,
//! so a directory is a capability.

pub mod embedded;
mod error;
pub mod memory;
pub mod path;

pub use error::ErrorCode;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use mwasm_ports::WallTime;

/// What a file is; the cases of `wasi:filesystem/types.descriptor-type` that this system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file of bytes.
    File,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe of the machine.
    Other,
}

/// `wasi:filesystem/types.descriptor-stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Names that it has.
    pub links: u64,
    /// Bytes of a file; 0 for a directory.
    pub size: u64,
    /// When it was last read, where that is known.
    pub accessed: Option<WallTime>,
    /// When its content last changed.
    pub modified: Option<WallTime>,
    /// When its content or attributes last changed.
    pub changed: Option<WallTime>,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Without any slash.
    pub name: String,
}

/// How to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Bytes are to be read.
    pub read: bool,
    /// Bytes are to be written.
    pub write: bool,
    /// Make the file if it is missing.
    pub create: bool,
    /// With `create`: fail if it is there.
    pub exclusive: bool,
    /// Cut the file to nothing.
    pub truncate: bool,
    /// Fail if it is no directory.
    pub directory: bool,
    /// Follow a symbolic link at the end of the path.
    pub follow: bool,
}

/// Times to set; `None` leaves one alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewTimes {
    /// When it was last read.
    pub accessed: Option<WallTime>,
    /// When its content last changed.
    pub modified: Option<WallTime>,
}

/// Something open.
#[derive(Clone)]
pub enum Node {
    /// A directory.
    Dir(Arc<dyn Dir>),
    /// A file.
    File(Arc<dyn File>),
}

/// Result of everything here.
pub type Result<T, E = ErrorCode> = core::result::Result<T, E>;

/// An open directory. Paths are relative to it and cannot leave it. What is not overridden refuses: a read-only tree needs only
/// the first five.
pub trait Dir: Send + Sync {
    /// Opens what is at `path`.
    fn open_at(&self, path: &str, options: OpenOptions) -> Result<Node>;
    /// The directory itself.
    fn stat(&self) -> Result<Stat>;
    /// What is at `path`.
    fn stat_at(&self, path: &str, follow: bool) -> Result<Stat>;
    /// All names in it, sorted by bytes, without `.` and `..`.
    fn entries(&self) -> Result<Vec<Entry>>;
    /// Two numbers that are the same for the same object only.
    fn identity(&self) -> (u64, u64);
    /// For implementations that must know each other ([`Dir::rename_at`]).
    fn as_any(&self) -> &dyn Any;

    /// Makes a directory.
    fn create_dir_at(&self, _path: &str) -> Result<()> {
        Err(ErrorCode::ReadOnly)
    }

    /// Removes an empty directory.
    fn remove_dir_at(&self, _path: &str) -> Result<()> {
        Err(ErrorCode::ReadOnly)
    }

    /// Removes a name of a file.
    fn unlink_at(&self, _path: &str) -> Result<()> {
        Err(ErrorCode::ReadOnly)
    }

    /// Moves `old` to `new` in `to`, and replaces what is there.
    fn rename_at(&self, _old: &str, _to: &dyn Dir, _new: &str) -> Result<()> {
        Err(ErrorCode::ReadOnly)
    }

    /// Gives `old` a second name, `new` in `to`.
    fn link_at(&self, _old: &str, _to: &dyn Dir, _new: &str) -> Result<()> {
        Err(ErrorCode::Unsupported)
    }

    /// Makes a symbolic link at `path` with `target` in it.
    fn symlink_at(&self, _target: &str, _path: &str) -> Result<()> {
        Err(ErrorCode::Unsupported)
    }

    /// The target of the symbolic link at `path`.
    fn readlink_at(&self, path: &str) -> Result<String> {
        self.stat_at(path, false).and(Err(ErrorCode::Invalid))
    }

    /// Sets times of the directory itself (`path` is `None`) or of what is at `path`.
    fn set_times(&self, _path: Option<&str>, _follow: bool, _times: NewTimes) -> Result<()> {
        Err(ErrorCode::ReadOnly)
    }

    /// Returns when what was changed in it is safe.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// An open file. What is not overridden refuses.
pub trait File: Send + Sync {
    /// Reads from `offset` to the front of `into`; 0 at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize>;
    /// The file itself.
    fn stat(&self) -> Result<Stat>;
    /// Two numbers that are the same for the same object only.
    fn identity(&self) -> (u64, u64);

    /// Writes at `offset`; returns how many bytes were taken, at least 1 of a non-empty slice.
    fn write_at(&self, _bytes: &[u8], _offset: u64) -> Result<usize> {
        Err(ErrorCode::ReadOnly)
    }

    /// Cuts the file, or fills it with zeros, to `size` bytes.
    fn set_size(&self, _size: u64) -> Result<()> {
        Err(ErrorCode::ReadOnly)
    }

    /// Sets times.
    fn set_times(&self, _times: NewTimes) -> Result<()> {
        Err(ErrorCode::ReadOnly)
    }

    /// Returns when what was written is safe.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

impl Node {
    /// The object itself.
    pub fn stat(&self) -> Result<Stat> {
        match self {
            Self::Dir(dir) => dir.stat(),
            Self::File(file) => file.stat(),
        }
    }

    /// Two numbers that are the same for the same object only.
    pub fn identity(&self) -> (u64, u64) {
        match self {
            Self::Dir(dir) => dir.identity(),
            Self::File(file) => file.identity(),
        }
    }

    /// As a directory.
    pub fn dir(&self) -> Result<&Arc<dyn Dir>> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    /// As a file.
    pub fn file(&self) -> Result<&Arc<dyn File>> {
        match self {
            Self::Dir(_) => Err(ErrorCode::IsDirectory),
            Self::File(file) => Ok(file),
        }
    }
}
