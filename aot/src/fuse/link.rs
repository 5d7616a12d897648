//! Linking: the host object and the app's object become one program, dropping every section that nothing refers to.
//!
//! The linker is libwild, called as a function on files that exist in memory only: no process, no temporary folder, nothing to clean
//! up.

use crate::target::Arch;
use anyhow::{Result, anyhow};
use libwild::{FileSystem, FileType, InputFileData, Linker, OutputFileData, OutputOptions};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is linked, and where.
pub struct Job<'a> {
    /// The architecture of both objects.
    pub arch: Arch,
    /// The address that the program is loaded at.
    pub base: u64,
    /// Where execution starts.
    pub entry: &'a str,
    /// The host object.
    pub host: Vec<u8>,
    /// The object with the table, the app and the plan.
    pub app: Vec<u8>,
}

const SCRIPT: &str = "base.ld";
const APP: &str = "app.o";
const HOST: &str = "host.o";
const OUT: &str = "image";

/// Links a static program that is loaded at a fixed address.
pub fn link(job: Job<'_>) -> Result<Vec<u8>> {
    let emulation = match job.arch {
        Arch::X86_64 => "elf_x86_64",
        Arch::Aarch64 => "aarch64linux",
    };
    let script = format!("SECTIONS {{ . = {:#x}; }}\n", job.base);
    let memory = InMemory::with([(APP, job.app), (HOST, job.host), (SCRIPT, script.into_bytes())]);
    let arguments = [
        "wild",
        "-m",
        emulation,
        "-static",
        "-no-pie",
        "--gc-sections",
        "--build-id=none",
        "-z",
        "noexecstack",
        "-z",
        "max-page-size=4096",
        "-T",
        SCRIPT,
        "-e",
        job.entry,
        APP,
        HOST,
        "-o",
        OUT,
    ];
    let run = || -> libwild::error::Result<()> {
        let mut args = libwild::Args::new(|| arguments.iter())?;
        args.parse(|| arguments.iter())?;
        Linker::with_file_system(memory.clone()).run(&args)?;
        Ok(())
    };
    run().map_err(|error| anyhow!("{error:?}").context("cannot link the image"))?;
    memory.take(OUT).ok_or_else(|| anyhow!("the linker wrote no image"))
}

/// Files that exist in memory only.
#[derive(Clone, Default)]
struct InMemory {
    files: Arc<Mutex<BTreeMap<PathBuf, Arc<Vec<u8>>>>>,
}

impl InMemory {
    fn with<const N: usize>(files: [(&str, Vec<u8>); N]) -> Self {
        let files = files.into_iter().map(|(name, bytes)| (PathBuf::from(name), Arc::new(bytes))).collect();
        Self { files: Arc::new(Mutex::new(files)) }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Arc<Vec<u8>>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, name: &str) -> Option<Vec<u8>> {
        let bytes = self.files().remove(Path::new(name))?;
        Some(Arc::unwrap_or_clone(bytes))
    }
}

#[derive(Debug)]
struct Input(Arc<Vec<u8>>);

impl InputFileData for Input {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

struct Output {
    path: PathBuf,
    bytes: Vec<u8>,
    memory: InMemory,
}

impl OutputFileData for Output {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn finish(self) -> libwild::error::Result {
        self.memory.files().insert(self.path, Arc::new(self.bytes));
        Ok(())
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file '{}' in memory", path.display()))
}

impl FileSystem for InMemory {
    type Input = Input;
    type Output = Output;

    fn open_input(&self, path: &Path, _prepopulate: bool) -> libwild::error::Result<(Input, Option<Arc<File>>)> {
        let bytes = self.files().get(path).cloned().ok_or_else(|| missing(path))?;
        Ok((Input(bytes), None))
    }

    fn file_type(&self, path: &Path) -> libwild::error::Result<FileType> {
        if self.files().contains_key(path) { Ok(FileType::File) } else { Err(missing(path).into()) }
    }

    fn canonicalize(&self, path: &Path) -> libwild::error::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    fn remove_file(&self, path: &Path) -> libwild::error::Result<()> {
        self.files().remove(path).map(|_| ()).ok_or_else(|| missing(path).into())
    }

    fn rename_file(&self, path: &Path, new_path: &Path) -> libwild::error::Result<()> {
        let mut files = self.files();
        let bytes = files.remove(path).ok_or_else(|| missing(path))?;
        files.insert(new_path.to_path_buf(), bytes);
        Ok(())
    }

    fn create_output(&self, path: Arc<Path>, options: OutputOptions) -> libwild::error::Result<Output> {
        let size = usize::try_from(options.size).map_err(|_| missing(&path))?;
        Ok(Output { path: path.to_path_buf(), bytes: vec![0; size], memory: self.clone() })
    }

    fn write_auxiliary(&self, path: &Path, bytes: &[u8]) -> libwild::error::Result {
        self.files().insert(path.to_path_buf(), Arc::new(bytes.to_vec()));
        Ok(())
    }
}
