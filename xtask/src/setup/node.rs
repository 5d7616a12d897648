//! Guest toolchains from npm: JavaScript, twice, and AssemblyScript. Two directories, because the two JavaScript toolchains want
//! different versions of the same packages. The lock files beside this crate (`npm/`) pin every package down to its hash. Node.js itself
//! comes from npm too: Debian 12's is older than what these packages run on.

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

/// Where the packages' programs are, in either directory.
const PROGRAMS: &str = "node_modules/.bin";

/// The guest toolchains from npm.
pub struct Node {
    jco: PathBuf,
    starlingmonkey: PathBuf,
}

/// The guest toolchains from npm, set up first where they are missing.
pub fn node() -> Result<Node> {
    Ok(Node { jco: provide(&JCO)?, starlingmonkey: provide(&STARLINGMONKEY)? })
}

fn provide(set: &Set) -> Result<PathBuf> {
    cache::provide(set.name, set.lock, |directory| {
        if run::find("npm").is_none() {
            apt::install(&["npm"], "Node.js's npm")?;
        }
        let step = progress::step(format!("installing guest toolchains from npm ({})", set.name));
        fs::write(directory.join("package.json"), set.package)?;
        fs::write(directory.join("package-lock.json"), set.lock)?;
        // Not `ci`: it refuses a lock file without the packages for other platforms. No package's own scripts: they would compile or
        // download what the lock file does not pin.
        let arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run::quiet(Command::new("npm").args(arguments).current_dir(directory), "installing guest toolchains from npm")?;
        step.done();
        Ok(())
    })
}

impl Node {
    /// Where JavaScript on QuickJS and AssemblyScript are.
    pub fn directory(&self) -> &Path {
        &self.jco
    }

    /// The packages' lock files: what is built again when they change.
    pub fn version(&self) -> String {
        [JCO.lock, STARLINGMONKEY.lock].concat()
    }

    /// `jco`, which makes a component of a JavaScript module; its QuickJS back end speaks WASI 0.3.
    pub fn jco(&self) -> Result<Command> {
        self.program(&self.jco, "jco")
    }

    /// `componentize-js`, which makes a component of a JavaScript module on StarlingMonkey (WASI 0.2).
    pub fn componentize_js(&self) -> Result<Command> {
        self.program(&self.starlingmonkey, "componentize-js")
    }

    /// `asc`, the AssemblyScript compiler. It finds imported packages below [`Node::directory`].
    pub fn asc(&self) -> Result<Command> {
        self.program(&self.jco, "asc")
    }

    fn program(&self, directory: &Path, name: &str) -> Result<Command> {
        let pinned = self.jco.join(PROGRAMS).join("node");
        let node = if pinned.is_file() { Some(pinned) } else { run::find("node") };
        let Some(node) = node else {
            bail!(
                "wanted Node.js 22, found none: npm has no package of it for this machine, and there is no `node` on PATH; install it"
            );
        };
        let mut command = Command::new(node);
        command.arg(directory.join(PROGRAMS).join(name));
        Ok(command)
    }
}
