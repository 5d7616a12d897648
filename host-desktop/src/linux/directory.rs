//! A directory of the machine as a capability, by cap-std: no path leads out of it, through a symbolic link neither.

use cap_std::ambient_authority;
use cap_std::fs::{self as cap, MetadataExt, OpenOptionsExt};
use mwasm_host_core::fs::{Dir, Entry, ErrorCode, File, Kind, NewTimes, Node, OpenOptions, Result, Stat, path};
use mwasm_ports::WallTime;
use std::any::Any;
use std::fs::FileTimes;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Of `open(2)`; the same on x86-64 and aarch64.
const O_NONBLOCK: i32 = 0o4000;

struct HostDir(cap::Dir);

struct HostFile(std::fs::File);

/// Opens a directory of the machine.
pub fn open(path: &Path) -> io::Result<Arc<dyn Dir>> {
    Ok(Arc::new(HostDir(cap::Dir::open_ambient_dir(path, ambient_authority())?)))
}

/// The error of an operation, in WASI's words.
fn code(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorCode::NoEntry,
        io::ErrorKind::PermissionDenied if error.raw_os_error() == Some(1) => ErrorCode::NotPermitted,
        // cap-std says so, without an error number, when a path leads out of the directory.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => ErrorCode::NotPermitted,
        io::ErrorKind::PermissionDenied => ErrorCode::Access,
        io::ErrorKind::AlreadyExists => ErrorCode::Exist,
        io::ErrorKind::NotADirectory => ErrorCode::NotDirectory,
        io::ErrorKind::IsADirectory => ErrorCode::IsDirectory,
        io::ErrorKind::DirectoryNotEmpty => ErrorCode::NotEmpty,
        io::ErrorKind::ReadOnlyFilesystem => ErrorCode::ReadOnly,
        io::ErrorKind::StorageFull => ErrorCode::InsufficientSpace,
        io::ErrorKind::QuotaExceeded => ErrorCode::Quota,
        io::ErrorKind::FileTooLarge => ErrorCode::FileTooLarge,
        io::ErrorKind::CrossesDevices => ErrorCode::CrossDevice,
        io::ErrorKind::TooManyLinks => ErrorCode::TooManyLinks,
        io::ErrorKind::InvalidFilename => ErrorCode::NameTooLong,
        io::ErrorKind::InvalidInput => ErrorCode::Invalid,
        io::ErrorKind::ResourceBusy => ErrorCode::Busy,
        io::ErrorKind::Unsupported => ErrorCode::Unsupported,
        // ELOOP has no stable kind.
        _ if error.raw_os_error() == Some(40) => ErrorCode::Loop,
        _ => ErrorCode::Io,
    }
}

fn check<T>(result: io::Result<T>) -> Result<T> {
    result.map_err(|error| code(&error))
}

fn wall(seconds: i64, nanoseconds: i64) -> Option<WallTime> {
    Some(WallTime { seconds: u64::try_from(seconds).ok()?, nanoseconds: u32::try_from(nanoseconds).ok()? })
}

fn stat(metadata: &cap::Metadata) -> Stat {
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_file() => Kind::File,
        kind if kind.is_symlink() => Kind::Link,
        _ => Kind::Other,
    };
    Stat {
        kind,
        links: metadata.nlink(),
        size: metadata.size(),
        accessed: wall(metadata.atime(), metadata.atime_nsec()),
        modified: wall(metadata.mtime(), metadata.mtime_nsec()),
        changed: wall(metadata.ctime(), metadata.ctime_nsec()),
    }
}

fn identity(metadata: &cap::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn file_times(times: NewTimes) -> FileTimes {
    let system =
        |time: WallTime| SystemTime::UNIX_EPOCH + Duration::new(time.seconds, time.nanoseconds.min(999_999_999));
    let mut set = FileTimes::new();
    if let Some(accessed) = times.accessed {
        set = set.set_accessed(system(accessed));
    }
    if let Some(modified) = times.modified {
        set = set.set_modified(system(modified));
    }
    set
}

impl HostDir {
    fn metadata(&self, path: &str, follow: bool) -> Result<cap::Metadata> {
        path::normalize(path)?;
        check(if follow { self.0.metadata(path) } else { self.0.symlink_metadata(path) })
    }

    fn other<'a>(&self, to: &'a dyn Dir) -> Result<&'a cap::Dir> {
        Ok(&to.as_any().downcast_ref::<Self>().ok_or(ErrorCode::CrossDevice)?.0)
    }
}

impl Dir for HostDir {
    fn open_at(&self, path: &str, options: OpenOptions) -> Result<Node> {
        path::normalize(path)?;
        let existing = self.metadata(path, options.follow);
        if let Ok(metadata) = &existing {
            if options.create && options.exclusive {
                return Err(ErrorCode::Exist);
            }
            if metadata.is_symlink() {
                return Err(ErrorCode::Loop);
            }
            if metadata.is_dir() {
                let writes = options.write || options.truncate;
                return if writes {
                    Err(ErrorCode::IsDirectory)
                } else {
                    Ok(Node::Dir(Arc::new(Self(check(self.0.open_dir(path))?))))
                };
            }
            if options.directory {
                return Err(ErrorCode::NotDirectory);
            }
        }
        let mut open = cap::OpenOptions::new();
        // A file must be opened for something; what the guest may do is checked by its descriptor.
        open.read(options.read || !options.write).write(options.write || options.truncate || options.create);
        open.create(options.create).create_new(options.create && options.exclusive).truncate(options.truncate);
        // A pipe without a writer must not make the host wait.
        open.custom_flags(O_NONBLOCK);
        Ok(Node::File(Arc::new(HostFile(check(self.0.open_with(path, &open))?.into_std()))))
    }

    fn stat(&self) -> Result<Stat> {
        Ok(stat(&check(self.0.dir_metadata())?))
    }

    fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        Ok(stat(&self.metadata(path, follow)?))
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in check(self.0.entries())? {
            let entry = check(entry)?;
            // A name that is not UTF-8 cannot be said to a guest.
            let Ok(name) = entry.file_name().into_string() else { return Err(ErrorCode::IllegalByteSequence) };
            entries.push(Entry { kind: stat(&check(entry.metadata())?).kind, name });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn identity(&self) -> (u64, u64) {
        self.0.dir_metadata().map_or((0, 0), |metadata| identity(&metadata))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn create_dir_at(&self, path: &str) -> Result<()> {
        path::normalize(path)?;
        check(self.0.create_dir(path))
    }

    fn remove_dir_at(&self, path: &str) -> Result<()> {
        path::normalize(path)?;
        check(self.0.remove_dir(path))
    }

    fn unlink_at(&self, path: &str) -> Result<()> {
        path::normalize(path)?;
        check(self.0.remove_file(path))
    }

    fn rename_at(&self, old: &str, to: &dyn Dir, new: &str) -> Result<()> {
        path::normalize(old).and(path::normalize(new))?;
        check(self.0.rename(old, self.other(to)?, new))
    }

    fn link_at(&self, old: &str, to: &dyn Dir, new: &str) -> Result<()> {
        path::normalize(old).and(path::normalize(new))?;
        check(self.0.hard_link(old, self.other(to)?, new))
    }

    fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        path::normalize(path)?;
        check(self.0.symlink(target, path))
    }

    fn readlink_at(&self, path: &str) -> Result<String> {
        path::normalize(path)?;
        let target = check(self.0.read_link(path))?;
        target.into_os_string().into_string().map_err(|_| ErrorCode::IllegalByteSequence)
    }

    fn set_times(&self, path: Option<&str>, follow: bool, times: NewTimes) -> Result<()> {
        let path = path.unwrap_or(".");
        if self.metadata(path, follow)?.is_symlink() {
            return Err(ErrorCode::Unsupported);
        }
        let node = self.open_at(path, OpenOptions { read: true, follow, ..OpenOptions::default() })?;
        match node {
            Node::File(file) => file.set_times(times),
            Node::Dir(_) => check(check(self.0.open_dir(path))?.into_std_file().set_times(file_times(times))),
        }
    }

    fn sync(&self) -> Result<()> {
        check(self.0.try_clone().and_then(|dir| dir.into_std_file().sync_all()))
    }
}

impl File for HostFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        check(FileExt::read_at(&self.0, into, offset))
    }

    fn stat(&self) -> Result<Stat> {
        Ok(stat(&cap::Metadata::from_just_metadata(check(self.0.metadata())?)))
    }

    fn identity(&self) -> (u64, u64) {
        use std::os::unix::fs::MetadataExt;
        self.0.metadata().map_or((0, 0), |metadata| (metadata.dev(), metadata.ino()))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        check(FileExt::write_at(&self.0, bytes, offset))
    }

    fn set_size(&self, size: u64) -> Result<()> {
        check(self.0.set_len(size))
    }

    fn set_times(&self, times: NewTimes) -> Result<()> {
        check(self.0.set_times(file_times(times)))
    }

    fn sync(&self) -> Result<()> {
        check(self.0.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Arc<dyn Dir>) {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "no").unwrap();
        std::fs::create_dir(outside.path().join("inside")).unwrap();
        std::fs::write(outside.path().join("inside/open"), "yes").unwrap();
        let dir = open(&outside.path().join("inside")).unwrap();
        (outside, dir)
    }

    const READ: OpenOptions = OpenOptions {
        read: true,
        write: false,
        create: false,
        exclusive: false,
        truncate: false,
        directory: false,
        follow: true,
    };

    #[test]
    fn no_path_and_no_link_leads_out() {
        let (outside, dir) = tree();
        symlink("../secret", outside.path().join("inside/up")).unwrap();
        symlink(outside.path().join("secret"), outside.path().join("inside/absolute")).unwrap();
        symlink("open", outside.path().join("inside/fine")).unwrap();
        for path in ["../secret", "up", "absolute", "/etc/passwd", "a/../../secret"] {
            assert!(matches!(dir.open_at(path, READ), Err(ErrorCode::NotPermitted)), "{path}");
        }
        assert!(dir.open_at("fine", READ).is_ok());
        assert!(matches!(dir.open_at("fine", OpenOptions { follow: false, ..READ }), Err(ErrorCode::Loop)));
    }

    #[test]
    fn files_are_made_written_and_listed() {
        let (outside, dir) = tree();
        let options = OpenOptions { write: true, create: true, ..READ };
        let node = dir.open_at("new", options).unwrap();
        let file = node.file().unwrap();
        assert_eq!(file.write_at(b"hello", 0), Ok(5));
        file.sync().unwrap();
        assert_eq!(std::fs::read(outside.path().join("inside/new")).unwrap(), b"hello");
        let names: Vec<_> = dir.entries().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["new", "open"]);
        assert!(matches!(dir.open_at("new", OpenOptions { exclusive: true, ..options }), Err(ErrorCode::Exist)));
        dir.rename_at("new", &*dir, "old").unwrap();
        dir.unlink_at("old").unwrap();
        assert!(matches!(dir.open_at("old", READ), Err(ErrorCode::NoEntry)));
    }
}
