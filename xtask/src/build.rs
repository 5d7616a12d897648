//! `mwasm` with everything in it: the host objects first, then the program that carries them.

use std::process::Command;

use anyhow::Result;

use crate::{hosts, paths, progress, run};

/// `cargo xtask build`.
#[derive(clap::Args)]
pub struct Arguments {}

/// Builds the hosts and `mwasm`, optimised.
pub fn main(_: &Arguments) -> Result<()> {
    hosts::main(&hosts::Arguments::default())?;
    let step = progress::step("building mwasm");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::root()?).args(["build", "--release", "--package", "mwasm-aot", "--bin", "mwasm"]);
    cargo.env("MWASM_HOSTS", paths::target()?.join("hosts"));
    run::quiet(&mut cargo, "building mwasm")?;
    step.done();
    eprintln!("{}", paths::target()?.join("release/mwasm").display());
    Ok(())
}
