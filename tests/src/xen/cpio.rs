//! Writes the archives that Linux takes its first files from: cpio of the kind "newc" (`Documentation/driver-api/early-userspace/
//! buffer-format.rst`). One entry is a header of hexadecimal numbers, the name, and the content, each filled up to a multiple of 4 bytes.

use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
/// The name of the entry that ends an archive.
const END: &[u8] = b"TRAILER!!!";

/// An archive under way. Everything in it belongs to root and may be executed.
pub struct Archive<W> {
    out: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    /// An empty archive, which goes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, entries: 0 }
    }

    fn entry(&mut self, name: &[u8], mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        let bytes = u32::try_from(content.len()).context("cpio holds no file of 4 GiB or more")?;
        let name_bytes = u32::try_from(name.len() + 1).context("a name of 4 GiB")?;
        // Number, mode, owner, group, links, time, size, device of the file (2), device that it is (2), name's size, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, bytes, 0, 0, 0, 0, name_bytes, 0];
        let mut head = b"070701".to_vec();
        for field in fields {
            head.extend(format!("{field:08x}").bytes());
        }
        head.extend(name);
        head.push(0);
        for part in [head.as_slice(), content] {
            self.out.write_all(part)?;
            self.out.write_all(&[0; 3][..part.len().next_multiple_of(4) - part.len()])?;
        }
        Ok(())
    }

    /// Adds a directory; its parents come before it.
    pub fn directory(&mut self, name: &str) -> Result<()> {
        self.entry(name.as_bytes(), DIRECTORY, &[])
    }

    /// Adds a file.
    pub fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name.as_bytes(), FILE, content)
    }

    /// Adds what is in a directory of this machine, links as links. `prefix` goes before the names.
    pub fn tree(&mut self, directory: &Path, prefix: &str) -> Result<()> {
        self.below(directory, &mut prefix.into()).with_context(|| format!("archiving {}", directory.display()))
    }

    fn below(&mut self, directory: &Path, prefix: &mut Vec<u8>) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, kind, parent) = (entry.path(), entry.file_type()?, prefix.len());
            prefix.extend(entry.file_name().as_bytes());
            if kind.is_symlink() {
                self.entry(prefix, LINK, fs::read_link(&path)?.as_os_str().as_bytes())?;
            } else if kind.is_dir() {
                self.entry(prefix, DIRECTORY, &[])?;
                prefix.push(b'/');
                self.below(&path, prefix)?;
            } else {
                self.entry(prefix, FILE, &fs::read(&path)?)?;
            }
            prefix.truncate(parent);
        }
        Ok(())
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<()> {
        self.entry(END, 0, &[])?;
        Ok(self.out.flush()?)
    }
}
