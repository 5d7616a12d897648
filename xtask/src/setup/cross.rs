//! Rust's core libraries for the targets that are not the build machine: bare metal for the hosts, WebAssembly for the guests. The
//! ordinary way is `rustup target add`. Where rustup cannot download, Debian's Rust and a build of the libraries take its place
//! ([`super::debian_rust`]). [`Cross`] hides which of the two it is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::debian_rust;
use crate::{progress, run};

/// What hosts and guests are compiled to.
pub const TARGETS: &[&str] =
    &["x86_64-unknown-none", "aarch64-unknown-none", "wasm32-unknown-unknown", "wasm32-wasip1", "wasm32-wasip2"];

/// Chooses the way by hand: `rustup` or `debian`.
const CHOICE: &str = "MWASM_CROSS";

/// A Rust toolchain that compiles to all [`TARGETS`].
pub enum Cross {
    /// The toolchain that runs this task, with the targets added by rustup.
    Rustup,
    /// Debian's Rust, unpacked in this directory.
    Debian(PathBuf),
}

/// The toolchain for [`TARGETS`], set up first where it is missing.
pub fn cross() -> Result<Cross> {
    match env::var(CHOICE).as_deref() {
        Ok("rustup") => return with_rustup(),
        Ok("debian") => return Ok(Cross::Debian(debian_rust::provide(&sysroot()?)?)),
        Ok(other) if !other.is_empty() => {
            bail!("{CHOICE} is {other:?}; wanted `rustup`, `debian`, or that it is not set")
        }
        _ => {}
    }
    if missing(&sysroot()?).is_empty() {
        return Ok(Cross::Rustup);
    }
    if let Some(directory) = debian_rust::provided()? {
        return Ok(Cross::Debian(directory));
    }
    let Err(rustup) = with_rustup() else { return Ok(Cross::Rustup) };
    eprintln!("{rustup:#}\nTaking Debian's Rust instead.");
    let directory = debian_rust::provide(&sysroot()?).with_context(|| {
        format!("neither way to Rust's libraries for {} works. rustup: {rustup:#}. Debian", TARGETS.join(", "))
    })?;
    Ok(Cross::Debian(directory))
}

impl Cross {
    /// Cargo, ready for `build --target` with any of [`TARGETS`].
    pub fn cargo(&self) -> Command {
        match self {
            Cross::Rustup => Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            Cross::Debian(directory) => debian_rust::cargo(directory),
        }
    }

    /// One line for a person.
    pub fn describe(&self) -> String {
        match self {
            Cross::Rustup => format!("the installed Rust has {}", TARGETS.join(", ")),
            Cross::Debian(directory) => directory.display().to_string(),
        }
    }

    /// The compiler's version, all of it: what is built again when it changes.
    pub fn version(&self) -> Result<String> {
        let mut rustc = match self {
            Cross::Rustup => Command::new("rustc"),
            Cross::Debian(directory) => debian_rust::rustc(directory),
        };
        run::output(rustc.arg("--version").arg("--verbose"), "asking the compiler for its version")
    }
}

/// The root of the toolchain that runs this task.
fn sysroot() -> Result<PathBuf> {
    let sysroot =
        run::output(Command::new("rustc").args(["--print", "sysroot"]), "asking the compiler for its directory")?;
    Ok(PathBuf::from(sysroot.trim()))
}

fn missing(sysroot: &Path) -> Vec<&'static str> {
    TARGETS.iter().copied().filter(|target| !sysroot.join("lib/rustlib").join(target).join("lib").is_dir()).collect()
}

fn with_rustup() -> Result<Cross> {
    let missing = missing(&sysroot()?);
    if !missing.is_empty() {
        let step = progress::step(format!("adding Rust's libraries for {}", missing.join(", ")));
        run::quiet(Command::new("rustup").args(["target", "add"]).args(&missing), "adding targets with rustup")?;
        step.done();
    }
    Ok(Cross::Rustup)
}
