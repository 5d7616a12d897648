//! `wasi:filesystem/types`: descriptors.

use super::io::{InputStream, IoError, OutputStream};
use super::wall_clock::Datetime;
use crate::fs::{self, ErrorCode, Kind, NewTimes, Node, OpenOptions};
use crate::interface::{Context, handle, interface, item, plain};
use alloc::string::String;
use mwasm_ports::WallTime;
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Lower, Resource, WasmList, flags};

/// The most bytes that one read returns.
const MAX_READ_BYTES: u64 = 1 << 20;

/// `wasi:filesystem/types.descriptor`.
pub(crate) struct Descriptor {
    /// What is open.
    pub node: Node,
    /// What it was opened for.
    pub flags: DescriptorFlags,
}

impl Descriptor {
    /// A directory that the app starts with.
    pub fn preopened(node: Node) -> Self {
        Self { node, flags: DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY }
    }

    /// The file, if it may be written.
    pub(crate) fn writable(&self) -> fs::Result<&alloc::sync::Arc<dyn fs::File>> {
        let file = self.node.file()?;
        if self.flags.contains(DescriptorFlags::WRITE) { Ok(file) } else { Err(ErrorCode::BadDescriptor) }
    }

    /// The file, if it may be read.
    pub(crate) fn readable(&self) -> fs::Result<&alloc::sync::Arc<dyn fs::File>> {
        let file = self.node.file()?;
        if self.flags.contains(DescriptorFlags::READ) { Ok(file) } else { Err(ErrorCode::BadDescriptor) }
    }
}

struct DirectoryEntryStream(alloc::vec::IntoIter<fs::Entry>);

flags! {
    DescriptorFlags {
        #[component(name = "read")]
        const READ;
        #[component(name = "write")]
        const WRITE;
        #[component(name = "file-integrity-sync")]
        const FILE_INTEGRITY_SYNC;
        #[component(name = "data-integrity-sync")]
        const DATA_INTEGRITY_SYNC;
        #[component(name = "requested-write-sync")]
        const REQUESTED_WRITE_SYNC;
        #[component(name = "mutate-directory")]
        const MUTATE_DIRECTORY;
    }
}

flags! {
    PathFlags {
        #[component(name = "symlink-follow")]
        const SYMLINK_FOLLOW;
    }
}

flags! {
    OpenFlags {
        #[component(name = "create")]
        const CREATE;
        #[component(name = "directory")]
        const DIRECTORY;
        #[component(name = "exclusive")]
        const EXCLUSIVE;
        #[component(name = "truncate")]
        const TRUNCATE;
    }
}

/// Merges the flags of `open-at` into options.
pub(crate) fn open_options(path: PathFlags, open: OpenFlags, flags: DescriptorFlags) -> OpenOptions {
    OpenOptions {
        read: flags.contains(DescriptorFlags::READ),
        write: flags.contains(DescriptorFlags::WRITE),
        create: open.contains(OpenFlags::CREATE),
        exclusive: open.contains(OpenFlags::EXCLUSIVE),
        truncate: open.contains(OpenFlags::TRUNCATE),
        directory: open.contains(OpenFlags::DIRECTORY),
        follow: path.contains(PathFlags::SYMLINK_FOLLOW),
    }
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the type must have all cases of the specification")]
enum DescriptorType {
    #[component(name = "unknown")]
    Unknown,
    #[component(name = "block-device")]
    BlockDevice,
    #[component(name = "character-device")]
    CharacterDevice,
    #[component(name = "directory")]
    Directory,
    #[component(name = "fifo")]
    Fifo,
    #[component(name = "symbolic-link")]
    SymbolicLink,
    #[component(name = "regular-file")]
    RegularFile,
    #[component(name = "socket")]
    Socket,
}

impl From<Kind> for DescriptorType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Directory => Self::Directory,
            Kind::File => Self::RegularFile,
            Kind::Link => Self::SymbolicLink,
            Kind::Other => Self::Unknown,
        }
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct DescriptorStat {
    #[component(name = "type")]
    kind: DescriptorType,
    #[component(name = "link-count")]
    links: u64,
    size: u64,
    #[component(name = "data-access-timestamp")]
    accessed: Option<Datetime>,
    #[component(name = "data-modification-timestamp")]
    modified: Option<Datetime>,
    #[component(name = "status-change-timestamp")]
    changed: Option<Datetime>,
}

impl From<fs::Stat> for DescriptorStat {
    fn from(stat: fs::Stat) -> Self {
        Self {
            kind: stat.kind.into(),
            links: stat.links,
            size: stat.size,
            accessed: stat.accessed.map(Datetime::from),
            modified: stat.modified.map(Datetime::from),
            changed: stat.changed.map(Datetime::from),
        }
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct DirectoryEntry {
    #[component(name = "type")]
    kind: DescriptorType,
    name: String,
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(variant)]
enum NewTimestamp {
    #[component(name = "no-change")]
    NoChange,
    #[component(name = "now")]
    Now,
    #[component(name = "timestamp")]
    Timestamp(Datetime),
}

impl NewTimestamp {
    fn resolve(self, now: WallTime) -> Option<WallTime> {
        match self {
            Self::NoChange => None,
            Self::Now => Some(now),
            Self::Timestamp(time) => Some(time.into()),
        }
    }
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the type must have all cases of the specification")]
enum Advice {
    #[component(name = "normal")]
    Normal,
    #[component(name = "sequential")]
    Sequential,
    #[component(name = "random")]
    Random,
    #[component(name = "will-need")]
    WillNeed,
    #[component(name = "dont-need")]
    DontNeed,
    #[component(name = "no-reuse")]
    NoReuse,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct MetadataHash {
    lower: u64,
    upper: u64,
}

impl From<(u64, u64)> for MetadataHash {
    fn from((lower, upper): (u64, u64)) -> Self {
        Self { lower, upper }
    }
}

type Handle = Resource<Descriptor>;
/// What goes wrong for the guest; outside of it what ends the guest.
type Answer<T> = Result<(fs::Result<T>,)>;

/// Runs `action` on what a handle stands for.
fn with<T>(context: &Context<'_>, handle: &Handle, action: impl FnOnce(&Descriptor) -> fs::Result<T>) -> Answer<T> {
    Ok((action(context.data().table.get(handle)?),))
}

fn output(mut context: Context<'_>, handle: &Handle, offset: Option<u64>) -> Answer<Resource<OutputStream>> {
    let file = context.data().table.get(handle)?.writable().cloned();
    Ok((match file {
        Ok(file) => Ok(context.data_mut().table.push(OutputStream::File { file, offset })?),
        Err(error) => Err(error),
    },))
}

fn sync(context: Context<'_>, (handle,): (Handle,)) -> Answer<()> {
    with(&context, &handle, |descriptor| match &descriptor.node {
        Node::Dir(dir) => dir.sync(),
        Node::File(file) => file.sync(),
    })
}

fn new_times(context: &Context<'_>, accessed: NewTimestamp, modified: NewTimestamp) -> NewTimes {
    let now = context.data().ports.clock.wall();
    NewTimes { accessed: accessed.resolve(now), modified: modified.resolve(now) }
}

interface! {
    /// `wasi:filesystem/types@0.2`.
    TYPES = "wasi:filesystem/types", "0.2", "wasi:filesystem/types@0.2.0" {
        item, "descriptor", handle::<Descriptor>;
        item, "directory-entry-stream", handle::<DirectoryEntryStream>;
        plain, "filesystem-error-code", |context, (error,): (Resource<IoError>,)| {
            Ok((match context.data().table.get(&error)? {
                IoError::File(code) => Some(*code),
                IoError::Console(_) | IoError::Network(_) | IoError::Http(_) => None,
            },))
        };
        // Streams.
        plain, "[method]descriptor.read-via-stream", |mut context, (handle, offset): (Handle, u64)| {
            let file = context.data().table.get(&handle)?.readable().cloned();
            Ok((match file {
                Ok(file) => Ok(context.data_mut().table.push(InputStream::File { file, offset })?),
                Err(error) => Err(error),
            },))
        };
        plain, "[method]descriptor.write-via-stream", |context, (handle, offset): (Handle, u64)| {
            output(context, &handle, Some(offset))
        };
        plain, "[method]descriptor.append-via-stream", |context, (handle,): (Handle,)| output(context, &handle, None);
        // Bytes.
        plain, "[method]descriptor.read", |context, (handle, length, offset): (Handle, u64, u64)| {
            with(&context, &handle, |descriptor| {
                let mut bytes = alloc::vec![0; length.min(MAX_READ_BYTES) as usize];
                let count = descriptor.readable()?.read_at(&mut bytes, offset)?;
                bytes.truncate(count);
                Ok((bytes, count == 0 && length > 0))
            })
        };
        plain, "[method]descriptor.write", |context, (handle, bytes, offset): (Handle, WasmList<u8>, u64)| {
            with(&context, &handle, |descriptor| {
                Ok(descriptor.writable()?.write_at(bytes.as_le_slice(&context), offset)? as u64)
            })
        };
        plain, "[method]descriptor.set-size", |context, (handle, size): (Handle, u64)| {
            with(&context, &handle, |descriptor| descriptor.writable()?.set_size(size))
        };
        plain, "[method]descriptor.sync", sync;
        plain, "[method]descriptor.sync-data", sync;
        plain, "[method]descriptor.advise", |context, (handle, _, _, _): (Handle, u64, u64, Advice)| {
            with(&context, &handle, |descriptor| descriptor.node.file().map(drop))
        };
        // Attributes.
        plain, "[method]descriptor.get-flags", |context, (handle,): (Handle,)| {
            with(&context, &handle, |descriptor| Ok(descriptor.flags))
        };
        plain, "[method]descriptor.get-type", |context, (handle,): (Handle,)| {
            with(&context, &handle, |descriptor| Ok(DescriptorType::from(descriptor.node.stat()?.kind)))
        };
        plain, "[method]descriptor.stat", |context, (handle,): (Handle,)| {
            with(&context, &handle, |descriptor| Ok(DescriptorStat::from(descriptor.node.stat()?)))
        };
        plain, "[method]descriptor.stat-at", |context, (handle, flags, path): (Handle, PathFlags, String)| {
            with(&context, &handle, |descriptor| {
                let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
                Ok(DescriptorStat::from(descriptor.node.dir()?.stat_at(&path, follow)?))
            })
        };
        plain, "[method]descriptor.set-times",
            |context, (handle, accessed, modified): (Handle, NewTimestamp, NewTimestamp)| {
                let times = new_times(&context, accessed, modified);
                with(&context, &handle, |descriptor| match &descriptor.node {
                    Node::Dir(dir) => dir.set_times(None, false, times),
                    Node::File(file) => file.set_times(times),
                })
            };
        plain, "[method]descriptor.set-times-at",
            |context, (handle, flags, path, accessed, modified): (Handle, PathFlags, String, NewTimestamp, NewTimestamp)| {
                let times = new_times(&context, accessed, modified);
                let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
                with(&context, &handle, |descriptor| descriptor.node.dir()?.set_times(Some(&path), follow, times))
            };
        plain, "[method]descriptor.is-same-object", |context, (one, other): (Handle, Handle)| {
            let table = &context.data().table;
            Ok((table.get(&one)?.node.identity() == table.get(&other)?.node.identity(),))
        };
        plain, "[method]descriptor.metadata-hash", |context, (handle,): (Handle,)| {
            with(&context, &handle, |descriptor| Ok(MetadataHash::from(descriptor.node.identity())))
        };
        plain, "[method]descriptor.metadata-hash-at", |context, (handle, flags, path): (Handle, PathFlags, String)| {
            with(&context, &handle, |descriptor| {
                let options = OpenOptions { follow: flags.contains(PathFlags::SYMLINK_FOLLOW), ..OpenOptions::default() };
                Ok(MetadataHash::from(descriptor.node.dir()?.open_at(&path, options)?.identity()))
            })
        };
        // Directories.
        plain, "[method]descriptor.read-directory", |mut context, (handle,): (Handle,)| {
            let entries = context.data().table.get(&handle)?.node.dir().and_then(|dir| dir.entries());
            Ok((match entries {
                Ok(entries) => Ok(context.data_mut().table.push(DirectoryEntryStream(entries.into_iter()))?),
                Err(error) => Err(error),
            },))
        };
        plain, "[method]directory-entry-stream.read-directory-entry",
            |mut context, (stream,): (Resource<DirectoryEntryStream>,)| {
                let entry = context.data_mut().table.get_mut(&stream)?.0.next();
                let entry = entry.map(|entry| DirectoryEntry { kind: entry.kind.into(), name: entry.name });
                Ok((fs::Result::<_>::Ok(entry),))
            };
        plain, "[method]descriptor.open-at",
            |mut context, (handle, path_flags, path, open_flags, flags): (Handle, PathFlags, String, OpenFlags, DescriptorFlags)| {
                let options = open_options(path_flags, open_flags, flags);
                let opened = context.data().table.get(&handle)?.node.dir().and_then(|dir| dir.open_at(&path, options));
                Ok((match opened {
                    Ok(node) => Ok(context.data_mut().table.push(Descriptor { node, flags })?),
                    Err(error) => Err(error),
                },))
            };
        plain, "[method]descriptor.create-directory-at", |context, (handle, path): (Handle, String)| {
            with(&context, &handle, |descriptor| descriptor.node.dir()?.create_dir_at(&path))
        };
        plain, "[method]descriptor.remove-directory-at", |context, (handle, path): (Handle, String)| {
            with(&context, &handle, |descriptor| descriptor.node.dir()?.remove_dir_at(&path))
        };
        // Names.
        plain, "[method]descriptor.unlink-file-at", |context, (handle, path): (Handle, String)| {
            with(&context, &handle, |descriptor| descriptor.node.dir()?.unlink_at(&path))
        };
        plain, "[method]descriptor.readlink-at", |context, (handle, path): (Handle, String)| {
            with(&context, &handle, |descriptor| descriptor.node.dir()?.readlink_at(&path))
        };
        plain, "[method]descriptor.symlink-at", |context, (handle, target, path): (Handle, String, String)| {
            with(&context, &handle, |descriptor| descriptor.node.dir()?.symlink_at(&target, &path))
        };
        plain, "[method]descriptor.rename-at", |context, (from, old, to, new): (Handle, String, Handle, String)| {
            let to = context.data().table.get(&to)?.node.dir();
            with(&context, &from, |from| from.node.dir()?.rename_at(&old, &**to?, &new))
        };
        plain, "[method]descriptor.link-at",
            |context, (from, _flags, old, to, new): (Handle, PathFlags, String, Handle, String)| {
                let to = context.data().table.get(&to)?.node.dir();
                with(&context, &from, |from| from.node.dir()?.link_at(&old, &**to?, &new))
            };
    }
}
