//! `wasi:filesystem/types`: descriptors, with streams for bytes and names.
//!
//! Most functions are `async` in the specification, since a file may be far away. Here they are not: they end in the call, and are
//! registered by [`at_once`].

use super::at_once;
use super::clocks::Instant;
use super::streams::{Failure, Input, Sink, read_stream, result_future, write_stream};
use crate::fs::{self, File, Kind, NewTimes, Node, OpenOptions};
use crate::interface::{Context, handle, interface, item, plain};
use crate::state::State;
use crate::v02::filesystem::{Descriptor, DescriptorFlags, OpenFlags, PathFlags, open_options};
use crate::v02::preopens;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Lower, Resource, StreamReader};

macro_rules! error_codes {
    ($($case:ident = $name:literal),* $(,)?) => {
        /// `wasi:filesystem/types.error-code`.
        #[derive(Clone, Debug, ComponentType, Lift, Lower)]
        #[component(variant)]
        enum ErrorCode {
            $(#[component(name = $name)] $case,)*
            #[component(name = "other")]
            Other(Option<String>),
        }

        impl From<fs::ErrorCode> for ErrorCode {
            fn from(code: fs::ErrorCode) -> Self {
                match code {
                    $(fs::ErrorCode::$case => Self::$case,)*
                    // Not a case at 0.3, and nothing here would block.
                    fs::ErrorCode::WouldBlock => Self::Other(None),
                }
            }
        }
    };
}

error_codes! {
    Access = "access",
    Already = "already",
    BadDescriptor = "bad-descriptor",
    Busy = "busy",
    Deadlock = "deadlock",
    Quota = "quota",
    Exist = "exist",
    FileTooLarge = "file-too-large",
    IllegalByteSequence = "illegal-byte-sequence",
    InProgress = "in-progress",
    Interrupted = "interrupted",
    Invalid = "invalid",
    Io = "io",
    IsDirectory = "is-directory",
    Loop = "loop",
    TooManyLinks = "too-many-links",
    MessageSize = "message-size",
    NameTooLong = "name-too-long",
    NoDevice = "no-device",
    NoEntry = "no-entry",
    NoLock = "no-lock",
    InsufficientMemory = "insufficient-memory",
    InsufficientSpace = "insufficient-space",
    NotDirectory = "not-directory",
    NotEmpty = "not-empty",
    NotRecoverable = "not-recoverable",
    Unsupported = "unsupported",
    NoTty = "no-tty",
    NoSuchDevice = "no-such-device",
    Overflow = "overflow",
    NotPermitted = "not-permitted",
    Pipe = "pipe",
    ReadOnly = "read-only",
    InvalidSeek = "invalid-seek",
    TextFileBusy = "text-file-busy",
    CrossDevice = "cross-device",
}

impl From<Failure> for ErrorCode {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::File(code) => code.into(),
            Failure::Console(_) => Self::Io,
        }
    }
}

#[derive(Clone, ComponentType, Lift, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the type must have all cases of the specification")]
enum DescriptorType {
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
    #[component(name = "other")]
    Other(Option<String>),
}

impl From<Kind> for DescriptorType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Directory => Self::Directory,
            Kind::File => Self::RegularFile,
            Kind::Link => Self::SymbolicLink,
            Kind::Other => Self::Other(None),
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
    accessed: Option<Instant>,
    #[component(name = "data-modification-timestamp")]
    modified: Option<Instant>,
    #[component(name = "status-change-timestamp")]
    changed: Option<Instant>,
}

impl From<fs::Stat> for DescriptorStat {
    fn from(stat: fs::Stat) -> Self {
        Self {
            kind: stat.kind.into(),
            links: stat.links,
            size: stat.size,
            accessed: stat.accessed.map(Instant::from),
            modified: stat.modified.map(Instant::from),
            changed: stat.changed.map(Instant::from),
        }
    }
}

#[derive(Clone, ComponentType, Lift, Lower)]
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
    Timestamp(Instant),
}

impl NewTimestamp {
    fn resolve(self, state: &State) -> Option<mwasm_ports::WallTime> {
        match self {
            Self::NoChange => None,
            Self::Now => Some(state.ports.clock.wall()),
            Self::Timestamp(time) => Some(time.into()),
        }
    }
}

fn new_times(state: &State, accessed: NewTimestamp, modified: NewTimestamp) -> NewTimes {
    NewTimes { accessed: accessed.resolve(state), modified: modified.resolve(state) }
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
/// The future by which a guest learns how a stream ended.
type End = super::streams::End<ErrorCode>;

/// Runs `action` on what a handle stands for.
fn with<T>(
    state: &State,
    handle: &Handle,
    action: impl FnOnce(&Descriptor) -> fs::Result<T>,
) -> Result<(Result<T, ErrorCode>,)> {
    Ok((action(state.table.get(handle)?).map_err(ErrorCode::from),))
}

/// A stream that has ended, and the future that tells why.
fn failed_stream<T: Lower + Lift + Send + Sync + Unpin + 'static>(
    context: &mut Context<'_>,
    error: fs::ErrorCode,
) -> Result<(StreamReader<T>, End)> {
    let (sender, future) = result_future(&mut *context)?;
    // The other end was made just now.
    let _ = sender.send(ErrorCode::from(error));
    Ok((StreamReader::new(&mut *context, Vec::new())?, future))
}

fn write(context: Context<'_>, handle: &Handle, data: StreamReader<u8>, offset: Option<u64>) -> Result<(End,)> {
    let file: fs::Result<Arc<dyn File>> = context.data().table.get(handle)?.writable().cloned();
    Ok((match file {
        Ok(file) => write_stream(context, data, Sink::File(file, offset))?,
        Err(error) => {
            let mut context = context;
            let mut data = data;
            data.close(&mut context)?;
            failed_stream::<u8>(&mut context, error)?.1
        }
    },))
}

fn sync(state: &mut State, (handle,): (Handle,)) -> Result<(Result<(), ErrorCode>,)> {
    with(state, &handle, |descriptor| match &descriptor.node {
        Node::Dir(dir) => dir.sync(),
        Node::File(file) => file.sync(),
    })
}

interface! {
    /// `wasi:filesystem/preopens@0.3`.
    PREOPENS = "wasi:filesystem/preopens", "0.3", "wasi:filesystem/preopens@0.3.0" {
        plain, "get-directories", preopens::opened;
    }
}

interface! {
    /// `wasi:filesystem/types@0.3`.
    TYPES = "wasi:filesystem/types", "0.3", "wasi:filesystem/types@0.3.0" {
        item, "descriptor", handle::<Descriptor>;
        // Streams.
        plain, "[method]descriptor.read-via-stream", |mut context, (handle, offset): (Handle, u64)| {
            let file = context.data().table.get(&handle)?.readable().cloned();
            Ok((match file {
                Ok(file) => read_stream::<ErrorCode>(context, Input::File(file, offset))?,
                Err(error) => failed_stream(&mut context, error)?,
            },))
        };
        plain, "[method]descriptor.write-via-stream",
            |context, (handle, data, offset): (Handle, StreamReader<u8>, u64)| write(context, &handle, data, Some(offset));
        plain, "[method]descriptor.append-via-stream",
            |context, (handle, data): (Handle, StreamReader<u8>)| write(context, &handle, data, None);
        plain, "[method]descriptor.read-directory", |mut context, (handle,): (Handle,)| {
            let entries = context.data().table.get(&handle)?.node.dir().and_then(|dir| dir.entries());
            Ok((match entries {
                Ok(entries) => {
                    let entry = |entry: fs::Entry| DirectoryEntry { kind: entry.kind.into(), name: entry.name };
                    let entries: Vec<_> = entries.into_iter().map(entry).collect();
                    // Dropped without a word: success.
                    let (_, future) = result_future(&mut context)?;
                    (StreamReader::new(&mut context, entries)?, future)
                }
                Err(error) => failed_stream(&mut context, error)?,
            },))
        };
        // Files.
        at_once, "[method]descriptor.set-size", |state, (handle, size): (Handle, u64)| {
            with(state, &handle, |descriptor| descriptor.writable()?.set_size(size))
        };
        at_once, "[method]descriptor.sync", sync;
        at_once, "[method]descriptor.sync-data", sync;
        at_once, "[method]descriptor.advise", |state, (handle, _, _, _): (Handle, u64, u64, Advice)| {
            with(state, &handle, |descriptor| descriptor.node.file().map(drop))
        };
        // Attributes.
        at_once, "[method]descriptor.get-flags", |state, (handle,): (Handle,)| {
            with(state, &handle, |descriptor| Ok(descriptor.flags))
        };
        at_once, "[method]descriptor.get-type", |state, (handle,): (Handle,)| {
            with(state, &handle, |descriptor| Ok(DescriptorType::from(descriptor.node.stat()?.kind)))
        };
        at_once, "[method]descriptor.stat", |state, (handle,): (Handle,)| {
            with(state, &handle, |descriptor| Ok(DescriptorStat::from(descriptor.node.stat()?)))
        };
        at_once, "[method]descriptor.stat-at", |state, (handle, flags, path): (Handle, PathFlags, String)| {
            with(state, &handle, |descriptor| {
                let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
                Ok(DescriptorStat::from(descriptor.node.dir()?.stat_at(&path, follow)?))
            })
        };
        at_once, "[method]descriptor.set-times",
            |state, (handle, accessed, modified): (Handle, NewTimestamp, NewTimestamp)| {
                let times = new_times(state, accessed, modified);
                with(state, &handle, |descriptor| match &descriptor.node {
                    Node::Dir(dir) => dir.set_times(None, false, times),
                    Node::File(file) => file.set_times(times),
                })
            };
        at_once, "[method]descriptor.set-times-at",
            |state, (handle, flags, path, accessed, modified): (Handle, PathFlags, String, NewTimestamp, NewTimestamp)| {
                let times = new_times(state, accessed, modified);
                let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
                with(state, &handle, |descriptor| descriptor.node.dir()?.set_times(Some(&path), follow, times))
            };
        at_once, "[method]descriptor.is-same-object", |state, (one, other): (Handle, Handle)| {
            Ok((state.table.get(&one)?.node.identity() == state.table.get(&other)?.node.identity(),))
        };
        at_once, "[method]descriptor.metadata-hash", |state, (handle,): (Handle,)| {
            with(state, &handle, |descriptor| Ok(MetadataHash::from(descriptor.node.identity())))
        };
        at_once, "[method]descriptor.metadata-hash-at", |state, (handle, flags, path): (Handle, PathFlags, String)| {
            with(state, &handle, |descriptor| {
                let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
                let options = OpenOptions { follow, ..OpenOptions::default() };
                Ok(MetadataHash::from(descriptor.node.dir()?.open_at(&path, options)?.identity()))
            })
        };
        // Names.
        at_once, "[method]descriptor.open-at",
            |state, (handle, path_flags, path, open_flags, flags): (Handle, PathFlags, String, OpenFlags, DescriptorFlags)| {
                let options = open_options(path_flags, open_flags, flags);
                let opened = state.table.get(&handle)?.node.dir().and_then(|dir| dir.open_at(&path, options));
                Ok((match opened {
                    Ok(node) => Ok(state.table.push(Descriptor { node, flags })?),
                    Err(error) => Err(ErrorCode::from(error)),
                },))
            };
        at_once, "[method]descriptor.create-directory-at", |state, (handle, path): (Handle, String)| {
            with(state, &handle, |descriptor| descriptor.node.dir()?.create_dir_at(&path))
        };
        at_once, "[method]descriptor.remove-directory-at", |state, (handle, path): (Handle, String)| {
            with(state, &handle, |descriptor| descriptor.node.dir()?.remove_dir_at(&path))
        };
        at_once, "[method]descriptor.unlink-file-at", |state, (handle, path): (Handle, String)| {
            with(state, &handle, |descriptor| descriptor.node.dir()?.unlink_at(&path))
        };
        at_once, "[method]descriptor.readlink-at", |state, (handle, path): (Handle, String)| {
            with(state, &handle, |descriptor| descriptor.node.dir()?.readlink_at(&path))
        };
        at_once, "[method]descriptor.symlink-at", |state, (handle, target, path): (Handle, String, String)| {
            with(state, &handle, |descriptor| descriptor.node.dir()?.symlink_at(&target, &path))
        };
        at_once, "[method]descriptor.rename-at", |state, (from, old, to, new): (Handle, String, Handle, String)| {
            let to = state.table.get(&to)?.node.dir();
            with(state, &from, |from| from.node.dir()?.rename_at(&old, &**to?, &new))
        };
        at_once, "[method]descriptor.link-at",
            |state, (from, _flags, old, to, new): (Handle, PathFlags, String, Handle, String)| {
                let to = state.table.get(&to)?.node.dir();
                with(state, &from, |from| from.node.dir()?.link_at(&old, &**to?, &new))
            };
    }
}
