//! Stage 3, configure: what the manifest and the command line say becomes constants of the image.
//!
//! The command line goes before the manifest's part for the target, which goes before the manifest's base. The result is an owned
//! [`Settings`]; the plan that goes into the image borrows from it.

pub mod embed;

use crate::app::Surface;
use crate::manifest::{Layer, merge};
use crate::report::{Report, Stage};
use anyhow::Result;
use embed::Tree;
use mwasm_plan::net::{Connect, Listen, Net, Policy};
use mwasm_plan::{Dir, Entry, Memory, Plan, Provenance};
use std::path::PathBuf;

/// What the command line says about an image, already checked by the command line's own rules.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Arguments after the program's name; none leaves the manifest's.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Values of `wasi:config/store`.
    pub set: Vec<(String, String)>,
    /// Directories to embed: the guest's path, and the directory here.
    pub embed: Vec<(String, PathBuf)>,
    /// Ports to listen on, beside the manifest's.
    pub listen: Vec<String>,
    /// Peers to connect to, beside the manifest's.
    pub connect: Vec<String>,
    /// Whether the host tells what it does.
    pub verbose: bool,
    /// A call that takes the place of the app's entry, in WAVE.
    pub invoke: Option<String>,
}

/// What an image calls; owned form of [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Run02(String),
    Run03(String),
    Nothing,
}

/// All constants of an image.
#[derive(Clone, Debug)]
pub struct Settings {
    name: String,
    start: Start,
    args: Vec<String>,
    env: Vec<(String, String)>,
    config: Vec<(String, String)>,
    trees: Vec<Tree>,
    memory: Memory,
    listen: Vec<String>,
    connect: Vec<String>,
    verbose: bool,
}

/// Puts together the manifest's part for the target, the flags, and what the app exports.
pub fn configure(name: &str, exports: &Surface, layer: Layer, flags: Flags, report: &mut Report) -> Result<Settings> {
    let args = if flags.args.is_empty() { layer.args.unwrap_or_default() } else { flags.args };
    let trees: Vec<Tree> = merge(layer.embed, flags.embed)
        .into_iter()
        .map(|(guest, directory)| embed::read(&guest, &directory))
        .collect::<Result<_>>()?;
    let default = Memory::default();
    let settings = Settings {
        name: name.to_owned(),
        start: start(exports),
        args,
        env: merge(layer.env, flags.env),
        config: merge(layer.config, flags.set),
        trees,
        memory: Memory {
            heap_bytes: layer.heap_bytes.or(default.heap_bytes),
            stack_bytes: layer.stack_bytes.unwrap_or(default.stack_bytes),
            ..default
        },
        listen: union(layer.listen.unwrap_or_default(), flags.listen),
        connect: union(layer.connect.unwrap_or_default(), flags.connect),
        verbose: flags.verbose || layer.verbose.unwrap_or_default(),
    };
    report.stage(settings.row());
    Ok(settings)
}

fn start(exports: &Surface) -> Start {
    let exported = |minor| exports.exported("wasi:cli/run", minor).map(str::to_owned);
    exported("0.3").map(Start::Run03).or_else(|| exported("0.2").map(Start::Run02)).unwrap_or(Start::Nothing)
}

/// The members of both, each once, in the order in which they came.
fn union(mut grants: Vec<String>, more: Vec<String>) -> Vec<String> {
    for grant in more {
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    grants
}

impl Settings {
    /// The plan that these settings make, for an image of this provenance.
    pub fn plan<'a>(&'a self, provenance: Provenance<'a>) -> Plan<'a> {
        Plan {
            name: &self.name,
            entry: match &self.start {
                Start::Run02(export) => Entry::Run02(export),
                Start::Run03(export) => Entry::Run03(export),
                Start::Nothing => Entry::None,
            },
            args: self.args.iter().map(String::as_str).collect(),
            env: borrow(&self.env),
            config: borrow(&self.config),
            dirs: self.trees.iter().map(Tree::dir).collect::<Vec<Dir<'a>>>(),
            memory: self.memory,
            policy: Policy {
                listen: self.listen.iter().filter_map(|grant| Listen::parse(grant)).collect(),
                connect: self.connect.iter().filter_map(|grant| Connect::parse(grant)).collect(),
                loopback: false,
            },
            net: Net::default(),
            verbose: self.verbose,
            provenance,
        }
    }

    fn row(&self) -> Stage {
        let files: usize = self.trees.iter().map(Tree::files).sum();
        let bytes: usize = self.trees.iter().map(Tree::bytes).sum();
        let mut stage = Stage::new("configure", 0, bytes);
        let mut count = |count: usize, one: &str, many: &str| {
            if count > 0 {
                stage.notes.push(format!("{count} {}", if count == 1 { one } else { many }));
            }
        };
        count(self.args.len(), "argument", "arguments");
        count(self.env.len(), "environment variable", "environment variables");
        count(self.config.len(), "configuration value", "configuration values");
        count(files, "embedded file", "embedded files");
        if self.start == Start::Nothing {
            stage.notes.push("the app exports no wasi:cli/run: it is instantiated, and that is all".to_owned());
        }
        stage
    }
}

fn borrow(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Item;
    use crate::target::{Arch, Target};

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn configured(layer: Layer, flags: Flags) -> Settings {
        let item = |name: &str| Item { name: name.to_owned(), kind: "instance" };
        let exports = Surface { imports: vec![], exports: vec![item("wasi:cli/run@0.2.6")] };
        configure("app", &exports, layer, flags, &mut Report::new(Target::Xen, Arch::X86_64)).unwrap()
    }

    #[test]
    fn flags_go_before_the_manifest() {
        let layer = Layer {
            args: Some(vec!["manifest".into()]),
            env: vec![pair("A", "1"), pair("B", "2")],
            config: vec![pair("k", "v")],
            listen: Some(vec!["tcp:80".into()]),
            ..Layer::default()
        };
        let flags = Flags {
            args: vec!["flag".into()],
            env: vec![pair("B", "3"), pair("C", "4")],
            set: vec![pair("k", "w")],
            listen: vec!["tcp:80".into(), "tcp:81".into()],
            ..Flags::default()
        };
        let settings = configured(layer.clone(), flags);
        let plan = settings.plan(Provenance::default());
        assert_eq!(plan.args, ["flag"]);
        assert_eq!(plan.env, [("A", "1"), ("B", "3"), ("C", "4")]);
        assert_eq!(plan.config, [("k", "w")]);
        let listen: Vec<_> = plan.policy.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["tcp:80", "tcp:81"]);
        assert_eq!(plan.entry, Entry::Run02("wasi:cli/run@0.2.6"));
        assert_eq!(configured(layer, Flags::default()).plan(Provenance::default()).args, ["manifest"]);
    }

    #[test]
    fn nothing_said_gives_the_defaults() {
        let settings = configured(Layer::default(), Flags::default());
        let plan = settings.plan(Provenance::default());
        assert_eq!(plan.memory, Memory::default());
        assert!(plan.policy.listen.is_empty() && plan.policy.connect.is_empty() && plan.dirs.is_empty());
    }
}
