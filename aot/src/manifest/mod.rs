//! The manifest, `mwasm.toml`: what an image is made of, beside the app.
//!
//! ```text
//!   text --reader--> Manifest { base, targets } --layer(target)--> Layer
//! ```
//!
//! A manifest is a base [`Layer`] and one more layer for each `[target.NAME]`, in which the same sections may stand again. The layer
//! for a target is the base with the target's values laid over it: single values and lists are replaced, tables (environment,
//! configuration, embedded directories, plugins) are merged key by key. Mistakes are [`Problem`]s that point at their line.

pub mod net;
mod reader;
mod sections;
pub mod values;

use crate::problem::Problem;
use crate::target::Target;
use anyhow::Result;
use mwasm_plan::net::Listen;
use net::{HttpLayer, NetLayer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The manifest's usual name.
pub const FILE_NAME: &str = "mwasm.toml";

/// A whole manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    base: Layer,
    targets: BTreeMap<Target, Layer>,
}

/// What a manifest says for one target. Paths are as this process can open them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// The app.
    pub component: Option<PathBuf>,
    /// Arguments after the program's name.
    pub args: Option<Vec<String>>,
    /// Whether the app is initialised at build time.
    pub preinit: Option<Preinit>,
    /// Whether the host tells what it does.
    pub verbose: Option<bool>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Values of `wasi:config/store`.
    pub config: Vec<(String, String)>,
    /// Ports to listen on.
    pub listen: Option<Vec<Listen>>,
    /// Peers to connect to.
    pub connect: Option<Vec<String>>,
    /// How the network is set up.
    pub net: NetLayer,
    /// How an HTTP handler is served.
    pub http: HttpLayer,
    /// The most linear memory, in bytes.
    pub heap_bytes: Option<u64>,
    /// The most guest stack, in bytes.
    pub stack_bytes: Option<u64>,
    /// Embedded directories: the guest's path, and the directory on this machine.
    pub embed: Vec<(String, PathBuf)>,
    /// Components to plug in: a name for messages, and the file.
    pub plugins: Vec<(String, PathBuf)>,
}

/// Whether and how an app is initialised at build time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preinit {
    /// Never, even if the app exports an initialiser.
    Off,
    /// By calling this export.
    Call(String),
}

/// The export that initialises an app, unless the manifest names another.
pub const INITIALIZER: &str = "wizer-initialize";

impl Manifest {
    /// Reads and checks a manifest; the paths in it are relative to its directory.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Problem::new(format!("cannot read the manifest '{}': {error}", path.display()))
                .help(format!("'mwasm new' makes a project with a {FILE_NAME}"))
        })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::parse(&path.display().to_string(), &text, directory)
    }

    /// Checks the text of the manifest that messages call `file`; paths in it are relative to `directory`.
    pub fn parse(file: &str, text: &str, directory: &Path) -> Result<Self> {
        let reader = reader::Reader { file, text, directory };
        let (base, targets) = sections::manifest(&reader)?;
        Ok(Self { base, targets })
    }

    /// What the manifest says for a target.
    pub fn layer(&self, target: Target) -> Layer {
        match self.targets.get(&target) {
            Some(over) => self.base.clone().under(over.clone()),
            None => self.base.clone(),
        }
    }
}

impl Layer {
    /// Lays `over` over `self`.
    fn under(self, over: Self) -> Self {
        Self {
            component: over.component.or(self.component),
            args: over.args.or(self.args),
            preinit: over.preinit.or(self.preinit),
            verbose: over.verbose.or(self.verbose),
            env: merge(self.env, over.env),
            config: merge(self.config, over.config),
            listen: over.listen.or(self.listen),
            connect: over.connect.or(self.connect),
            net: self.net.under(over.net),
            http: self.http.under(over.http),
            heap_bytes: over.heap_bytes.or(self.heap_bytes),
            stack_bytes: over.stack_bytes.or(self.stack_bytes),
            embed: merge(self.embed, over.embed),
            plugins: merge(self.plugins, over.plugins),
        }
    }
}

/// The pairs of both; where a key is in both, the later value in the earlier place.
pub fn merge<V>(mut pairs: Vec<(String, V)>, over: impl IntoIterator<Item = (String, V)>) -> Vec<(String, V)> {
    for (key, value) in over {
        match pairs.iter_mut().find(|(known, _)| *known == key) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
    pairs
}

#[cfg(test)]
mod tests;
