//! The plan: all that is decided at build time, and the contract between the fuse stage and an image.
//!
//! Two sides read this crate and nothing else of each other. The build side (`aot`) fills a [`Plan`], names the interfaces that
//! the app imports ([`interfaces`]), and links them with a host object. The run side (`host-core`) finds one [`symbols::IMAGE`]
//! table in its own memory, and in it the precompiled app, the encoded plan and the registration functions to call.
//!
//! ```text
//!   manifest, flags --aot--> Plan --encode--> bytes in the image --Plan::decode--> host-core
//! ```
//!
//! The encoding is postcard behind a fixed header ([`encode`], [`Plan::decode`]): a magic, a format version, a length and a CRC, so
//! that `mwasm inspect` can find the plan in any kind of image and a damaged image refuses to start. Strings and file contents are
//! borrowed from the image; nothing is copied at start.
#![no_std]

extern crate alloc;

mod encoding;
mod files;
pub mod interfaces;
pub mod net;
pub mod symbols;
pub mod tunables;

pub use encoding::{DecodeError, FORMAT_VERSION, HEADER_BYTES, MAGIC, MAX_PLAN_BYTES, encode, find};
pub use files::{FileError, MAX_NAME_BYTES, check_tree};

use alloc::vec::Vec;
use net::{Net, Policy};
use serde::{Deserialize, Serialize};

/// Everything that was decided at build time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan<'a> {
    /// The app's name: the file name of the component without its extension.
    #[serde(borrow)]
    pub name: &'a str,
    /// What is called when the image starts.
    #[serde(borrow)]
    pub entry: Entry<'a>,
    /// Arguments after the program's name.
    #[serde(borrow)]
    pub args: Vec<&'a str>,
    /// Environment variables, in the order given.
    #[serde(borrow)]
    pub env: Vec<(&'a str, &'a str)>,
    /// Values of `wasi:config/store`, in the order given.
    #[serde(borrow)]
    pub config: Vec<(&'a str, &'a str)>,
    /// Embedded directories.
    #[serde(borrow)]
    pub dirs: Vec<Dir<'a>>,
    /// How memory is laid out.
    pub memory: Memory,
    /// What the app may reach.
    #[serde(skip)]
    pub policy: Policy<'a>,
    /// How the network is set up.
    #[serde(skip)]
    pub net: Net<'a>,
    /// Both of these as they stand in an image, until [`Plan::read_network`]: to read them takes code that only an image with a network
    /// needs. Empty in a plan that was not decoded.
    #[serde(borrow)]
    pub network: &'a [u8],
    /// Whether the host tells what it does, on standard error.
    pub verbose: bool,
    /// Where the image came from.
    #[serde(borrow)]
    pub provenance: Provenance<'a>,
}

/// What an image calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry<'a> {
    /// The function `run` of an exported `wasi:cli/run@0.2.x`; holds the export's name.
    Run02(&'a str),
    /// The async function `run` of an exported `wasi:cli/run@0.3.x`; holds the export's name.
    Run03(&'a str),
    /// The HTTP handler of an exported `wasi:http/incoming-handler@0.2.x`, once for each request; holds the export's name.
    Serve02(&'a str),
    /// The HTTP handler of an exported `wasi:http/handler@0.3.x`, once for each request; holds the export's name.
    Serve03(&'a str),
    /// Nothing: the app is instantiated and that is all.
    #[default]
    None,
}

/// A read-only directory that is part of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dir<'a> {
    /// The path that the guest sees, absolute, without a slash at the end (but for `/`).
    pub guest: &'a str,
    /// All files and directories below it, sorted by path as bytes; see [`check_tree`].
    #[serde(borrow)]
    pub files: Vec<File<'a>>,
}

/// A file or directory of a [`Dir`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File<'a> {
    /// Relative to the directory: names joined by `/`.
    pub path: &'a str,
    /// The content; `None` for a directory.
    #[serde(borrow)]
    pub content: Option<&'a [u8]>,
}

/// Sizes of the image's memory, all in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The most that all linear memories of the app may have together; `None`: what the machine has.
    pub heap_bytes: Option<u64>,
    /// The most stack that guest code may use.
    pub stack_bytes: u64,
    /// Whether the app's data is laid out in pages, which a host maps, and copies when they are written. It is in apps with much of it;
    /// others are smaller with their data as it is, which is copied at the start.
    pub paged_data: bool,
}

/// Stack of guest code, in bytes, unless the manifest says otherwise: what Wasmtime's command line gives, too.
pub const DEFAULT_STACK_BYTES: u64 = 1 << 20;

impl Default for Memory {
    fn default() -> Self {
        Self { heap_bytes: None, stack_bytes: DEFAULT_STACK_BYTES, paged_data: false }
    }
}

/// Where an image came from; equal inputs give equal values on any machine and day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance<'a> {
    /// Version of mwasm.
    pub mwasm: &'a str,
    /// Version of Wasmtime.
    pub wasmtime: &'a str,
    /// `desktop`, `xen` or `arm`.
    pub target: &'a str,
    /// `x86_64` or `aarch64`.
    pub arch: &'a str,
    /// SHA-256 of the component as it was given, 64 hexadecimal digits.
    pub component_sha256: &'a str,
    /// Component-level imports of the app as compiled, sorted: `interface#function`.
    #[serde(borrow)]
    pub imports: Vec<&'a str>,
}
