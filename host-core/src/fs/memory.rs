//! The writable file system in memory: `/tmp`.
//!
//! A tree of inodes behind one lock. File contents are cut into chunks, so that growing never copies and a hole costs nothing.
//! Every chunk is reserved with the machine's memory first: a full machine is `insufficient-space` for the guest, not the end of
//! the host.

use super::{Dir, Entry, ErrorCode, File, Kind, NewTimes, Node, OpenOptions, Result, Stat, path};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use mwasm_ports::{Clock, Memory, WallTime};
use spin::Mutex;

/// Bytes of a chunk of a file.
pub const CHUNK_BYTES: usize = 16 << 10;
/// The most files and directories.
pub const MAX_INODES: usize = 65_536;
/// The largest file in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 40;

type Id = u64;
const ROOT: Id = 0;
/// First number of an identity: no embedded tree has it.
const DEVICE: u64 = u64::MAX;

struct System {
    clock: Arc<dyn Clock>,
    memory: Arc<dyn Memory>,
    inodes: Mutex<Inodes>,
}

struct Inodes {
    next: Id,
    by_id: BTreeMap<Id, Inode>,
}

struct Inode {
    body: Body,
    /// Names and open handles; at 0 the inode goes.
    references: usize,
    accessed: WallTime,
    modified: WallTime,
    changed: WallTime,
}

enum Body {
    Dir(BTreeMap<String, Id>),
    File(Content),
}

/// The bytes of a file: chunks of [`CHUNK_BYTES`], each empty (a hole) or whole.
#[derive(Default)]
struct Content {
    size: u64,
    chunks: Vec<Vec<u8>>,
}

/// An open directory or file.
struct Handle {
    system: Arc<System>,
    id: Id,
}

/// Makes an empty file system and opens its root.
pub fn new(clock: Arc<dyn Clock>, memory: Arc<dyn Memory>) -> Arc<dyn Dir> {
    let now = clock.wall();
    let root = Inode::new(Body::Dir(BTreeMap::new()), now);
    let inodes = Mutex::new(Inodes { next: ROOT + 1, by_id: BTreeMap::from([(ROOT, root)]) });
    let system = Arc::new(System { clock, memory, inodes });
    Arc::new(Handle { system, id: ROOT })
}

impl Inode {
    fn new(body: Body, now: WallTime) -> Self {
        Self { body, references: 1, accessed: now, modified: now, changed: now }
    }

    fn stat(&self) -> Stat {
        let (kind, size) = match &self.body {
            Body::Dir(_) => (Kind::Directory, 0),
            Body::File(content) => (Kind::File, content.size),
        };
        let times = (Some(self.accessed), Some(self.modified), Some(self.changed));
        Stat { kind, links: 1, size, accessed: times.0, modified: times.1, changed: times.2 }
    }

    fn touch(&mut self, now: WallTime) {
        (self.modified, self.changed) = (now, now);
    }

    fn set_times(&mut self, times: NewTimes, now: WallTime) {
        self.accessed = times.accessed.unwrap_or(self.accessed);
        self.modified = times.modified.unwrap_or(self.modified);
        self.changed = now;
    }
}

impl Inodes {
    fn get(&mut self, id: Id) -> Result<&mut Inode> {
        self.by_id.get_mut(&id).ok_or(ErrorCode::NoEntry)
    }

    fn names(&mut self, id: Id) -> Result<&mut BTreeMap<String, Id>> {
        match &mut self.get(id)?.body {
            Body::Dir(names) => Ok(names),
            Body::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    fn content(&mut self, id: Id) -> Result<&mut Content> {
        match &mut self.get(id)?.body {
            Body::Dir(_) => Err(ErrorCode::IsDirectory),
            Body::File(content) => Ok(content),
        }
    }

    fn is_dir(&self, id: Id) -> bool {
        self.by_id.get(&id).is_some_and(|inode| matches!(inode.body, Body::Dir(_)))
    }

    fn walk(&mut self, from: Id, names: &[&str]) -> Result<Id> {
        let mut id = from;
        for name in names {
            id = *self.names(id)?.get(*name).ok_or(ErrorCode::NoEntry)?;
        }
        Ok(id)
    }

    fn find(&mut self, from: Id, path: &str) -> Result<Id> {
        let normal = path::normalize(path)?;
        let id = self.walk(from, &normal.names)?;
        if normal.must_be_dir && !self.is_dir(id) { Err(ErrorCode::NotDirectory) } else { Ok(id) }
    }

    fn add(&mut self, parent: Id, name: &str, body: Body, now: WallTime) -> Result<Id> {
        if self.by_id.len() >= MAX_INODES {
            return Err(ErrorCode::InsufficientSpace);
        }
        let id = self.next;
        self.names(parent)?.insert(name.into(), id);
        self.next += 1;
        self.by_id.insert(id, Inode::new(body, now));
        self.get(parent)?.touch(now);
        Ok(id)
    }
}

impl System {
    fn now(&self) -> WallTime {
        self.clock.wall()
    }

    /// Lets go of one reference, and of the inode with its last.
    fn release(&self, inodes: &mut Inodes, id: Id) {
        let Some(inode) = inodes.by_id.get_mut(&id) else { return };
        inode.references = inode.references.saturating_sub(1);
        if inode.references == 0 {
            if let Body::File(content) = &inode.body {
                self.memory.release(content.held_bytes());
            }
            inodes.by_id.remove(&id);
        }
    }

    fn open(self: &Arc<Self>, inodes: &mut Inodes, id: Id) -> Result<Node> {
        inodes.get(id)?.references += 1;
        let handle = Arc::new(Handle { system: self.clone(), id });
        Ok(if inodes.is_dir(id) { Node::Dir(handle) } else { Node::File(handle) })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.system.release(&mut self.system.inodes.lock(), self.id);
    }
}

impl Content {
    fn held_bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    fn read(&self, into: &mut [u8], offset: u64) -> usize {
        let count = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(into.len());
        let mut at = offset;
        let mut left = into.get_mut(..count).unwrap_or_default();
        while !left.is_empty() {
            let (index, start) = place(at);
            let step = left.len().min(CHUNK_BYTES - start);
            let (now, later) = left.split_at_mut(step);
            match self.chunks.get(index).and_then(|chunk| chunk.get(start..start + step)) {
                Some(bytes) => now.copy_from_slice(bytes),
                None => now.fill(0),
            }
            left = later;
            at += step as u64;
        }
        count
    }

    fn write(&mut self, bytes: &[u8], offset: u64, memory: &dyn Memory) -> Result<usize> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > MAX_FILE_BYTES) {
            return Err(ErrorCode::FileTooLarge);
        }
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let (index, start) = place(offset + written as u64);
            let step = rest.len().min(CHUNK_BYTES - start);
            let chunk = match self.chunk(index, memory) {
                Ok(chunk) => chunk,
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            };
            if let (Some(to), Some(from)) = (chunk.get_mut(start..start + step), rest.get(..step)) {
                to.copy_from_slice(from);
            }
            written += step;
        }
        self.size = self.size.max(offset + written as u64);
        Ok(written)
    }

    /// The chunk at `index`, made if it is missing.
    fn chunk(&mut self, index: usize, memory: &dyn Memory) -> Result<&mut Vec<u8>> {
        if index >= self.chunks.len() {
            self.chunks.try_reserve(index + 1 - self.chunks.len()).map_err(|_| ErrorCode::InsufficientSpace)?;
            self.chunks.resize_with(index + 1, Vec::new);
        }
        let chunk = self.chunks.get_mut(index).ok_or(ErrorCode::InsufficientSpace)?;
        if chunk.is_empty() {
            if !memory.reserve(CHUNK_BYTES as u64) {
                return Err(ErrorCode::InsufficientSpace);
            }
            let Some(zeros) = mwasm_ports::zeroed(CHUNK_BYTES) else {
                memory.release(CHUNK_BYTES as u64);
                return Err(ErrorCode::InsufficientSpace);
            };
            *chunk = zeros;
        }
        Ok(chunk)
    }

    fn set_size(&mut self, size: u64, memory: &dyn Memory) -> Result<()> {
        if size > MAX_FILE_BYTES {
            return Err(ErrorCode::FileTooLarge);
        }
        let before = self.held_bytes();
        let (index, start) = place(size);
        if size < self.size {
            self.chunks.truncate(if start == 0 { index } else { index + 1 });
            // What lies behind the new end must read as zeros if the file grows again.
            if let Some(tail) = self.chunks.get_mut(index).and_then(|chunk| chunk.get_mut(start..)) {
                tail.fill(0);
            }
        }
        self.size = size;
        memory.release(before - self.held_bytes());
        Ok(())
    }
}

/// Chunk and place in it of an offset below [`MAX_FILE_BYTES`].
fn place(offset: u64) -> (usize, usize) {
    ((offset / CHUNK_BYTES as u64) as usize, (offset % CHUNK_BYTES as u64) as usize)
}

impl Dir for Handle {
    fn open_at(&self, path: &str, options: OpenOptions) -> Result<Node> {
        let mut inodes = self.system.inodes.lock();
        let id = match inodes.find(self.id, path) {
            Ok(_) if options.create && options.exclusive => return Err(ErrorCode::Exist),
            Ok(id) => id,
            Err(ErrorCode::NoEntry) if options.create && !options.directory => {
                let normal = path::normalize(path)?;
                let (before, name) = normal.split_last()?;
                if normal.must_be_dir {
                    return Err(ErrorCode::IsDirectory);
                }
                let parent = inodes.walk(self.id, before)?;
                inodes.add(parent, name, Body::File(Content::default()), self.system.now())?
            }
            Err(error) => return Err(error),
        };
        if options.directory && !inodes.is_dir(id) {
            return Err(ErrorCode::NotDirectory);
        }
        if (options.write || options.truncate) && inodes.is_dir(id) {
            return Err(ErrorCode::IsDirectory);
        }
        if options.truncate {
            inodes.content(id)?.set_size(0, &*self.system.memory)?;
            inodes.get(id)?.touch(self.system.now());
        }
        self.system.open(&mut inodes, id)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.system.inodes.lock().get(self.id)?.stat())
    }

    fn stat_at(&self, path: &str, _follow: bool) -> Result<Stat> {
        let mut inodes = self.system.inodes.lock();
        let id = inodes.find(self.id, path)?;
        Ok(inodes.get(id)?.stat())
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        let mut inodes = self.system.inodes.lock();
        let names: Vec<_> = inodes.names(self.id)?.iter().map(|(name, id)| (name.clone(), *id)).collect();
        let kind = |id| if inodes.is_dir(id) { Kind::Directory } else { Kind::File };
        Ok(names.into_iter().map(|(name, id)| Entry { kind: kind(id), name }).collect())
    }

    fn identity(&self) -> (u64, u64) {
        (DEVICE, self.id)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn create_dir_at(&self, path: &str) -> Result<()> {
        let mut inodes = self.system.inodes.lock();
        if inodes.find(self.id, path).is_ok() {
            return Err(ErrorCode::Exist);
        }
        let normal = path::normalize(path)?;
        let (before, name) = normal.split_last()?;
        let parent = inodes.walk(self.id, before)?;
        inodes.add(parent, name, Body::Dir(BTreeMap::new()), self.system.now()).map(drop)
    }

    fn remove_dir_at(&self, path: &str) -> Result<()> {
        let mut inodes = self.system.inodes.lock();
        let id = inodes.find(self.id, path)?;
        if !inodes.names(id)?.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(&mut inodes, path)
    }

    fn unlink_at(&self, path: &str) -> Result<()> {
        let mut inodes = self.system.inodes.lock();
        let id = inodes.find(self.id, path)?;
        if inodes.is_dir(id) {
            return Err(ErrorCode::IsDirectory);
        }
        self.remove(&mut inodes, path)
    }

    fn rename_at(&self, old: &str, to: &dyn Dir, new: &str) -> Result<()> {
        let to = to.as_any().downcast_ref::<Self>().filter(|to| Arc::ptr_eq(&to.system, &self.system));
        let to = to.ok_or(ErrorCode::CrossDevice)?;
        let mut inodes = self.system.inodes.lock();
        let id = inodes.find(self.id, old)?;
        let (normal_old, normal_new) = (path::normalize(old)?, path::normalize(new)?);
        let ((before_old, name_old), (before_new, name_new)) = (normal_old.split_last()?, normal_new.split_last()?);
        let parent_old = inodes.walk(self.id, before_old)?;
        let parent_new = inodes.walk(to.id, before_new)?;
        if inodes.is_dir(id) && inodes.is_below(parent_new, id) {
            return Err(ErrorCode::Invalid);
        }
        let replaced = inodes.names(parent_new)?.get(name_new).copied();
        match replaced {
            Some(other) if other == id => return Ok(()),
            Some(other) => inodes.may_replace(other, id)?,
            None if normal_new.must_be_dir && !inodes.is_dir(id) => return Err(ErrorCode::NotDirectory),
            None => {}
        }
        let now = self.system.now();
        inodes.names(parent_old)?.remove(name_old);
        inodes.names(parent_new)?.insert(name_new.into(), id);
        inodes.get(parent_old)?.touch(now);
        inodes.get(parent_new)?.touch(now);
        if let Some(other) = replaced {
            self.system.release(&mut inodes, other);
        }
        Ok(())
    }

    fn set_times(&self, path: Option<&str>, _follow: bool, times: NewTimes) -> Result<()> {
        let mut inodes = self.system.inodes.lock();
        let id = path.map_or(Ok(self.id), |path| inodes.find(self.id, path))?;
        inodes.get(id)?.set_times(times, self.system.now());
        Ok(())
    }
}

impl Inodes {
    /// Whether `id` is `above` or lies below it.
    fn is_below(&mut self, id: Id, above: Id) -> bool {
        let mut open = alloc::vec![above];
        while let Some(next) = open.pop() {
            if next == id {
                return true;
            }
            if let Ok(names) = self.names(next) {
                open.extend(names.values());
            }
        }
        false
    }

    fn may_replace(&mut self, other: Id, by: Id) -> Result<()> {
        match (self.is_dir(other), self.is_dir(by)) {
            (true, false) => Err(ErrorCode::IsDirectory),
            (false, true) => Err(ErrorCode::NotDirectory),
            (true, true) if !self.names(other)?.is_empty() => Err(ErrorCode::NotEmpty),
            _ => Ok(()),
        }
    }
}

impl Handle {
    fn remove(&self, inodes: &mut Inodes, path: &str) -> Result<()> {
        let normal = path::normalize(path)?;
        let (before, name) = normal.split_last()?;
        let parent = inodes.walk(self.id, before)?;
        let id = inodes.names(parent)?.remove(name).ok_or(ErrorCode::NoEntry)?;
        inodes.get(parent)?.touch(self.system.now());
        self.system.release(inodes, id);
        Ok(())
    }
}

impl File for Handle {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        Ok(self.system.inodes.lock().content(self.id)?.read(into, offset))
    }

    fn stat(&self) -> Result<Stat> {
        Dir::stat(self)
    }

    fn identity(&self) -> (u64, u64) {
        Dir::identity(self)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        let mut inodes = self.system.inodes.lock();
        let written = inodes.content(self.id)?.write(bytes, offset, &*self.system.memory)?;
        inodes.get(self.id)?.touch(self.system.now());
        Ok(written)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        let mut inodes = self.system.inodes.lock();
        inodes.content(self.id)?.set_size(size, &*self.system.memory)?;
        inodes.get(self.id)?.touch(self.system.now());
        Ok(())
    }

    fn set_times(&self, times: NewTimes) -> Result<()> {
        Dir::set_times(self, None, false, times)
    }
}

#[cfg(test)]
mod tests;
