//! `cargo xtask fuzz`: runs the fuzz targets (fuzz/) for a bounded number of inputs.
//!
//! libFuzzer's instrumentation needs nothing but flags that stable Rust has; address sanitizing, which it lacks, would find nothing in
//! parsers without `unsafe`. Inputs that were found worth keeping stay in `target/fuzz/corpus` and start the next run.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{paths, progress, run};

/// Arguments of `cargo xtask fuzz`.
#[derive(Args)]
pub struct Arguments {
    /// Only these targets (default: all)
    names: Vec<String>,
    /// How many inputs each target is given
    #[arg(long, default_value_t = RUNS)]
    runs: u64,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { names: Vec::new(), runs: RUNS }
    }
}

/// Inputs for each target in CI: some seconds each.
const RUNS: u64 = 300_000;
/// The longest input, in bytes: enough for any of the formats.
const MOST_BYTES: u32 = 4096;

const TARGETS: &[&str] = &["acpi", "device-tree", "frames", "http-request", "plan", "start-info", "xenstore"];

/// What `cargo fuzz` passes, less what needs a nightly compiler.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Builds and runs the targets.
pub fn main(arguments: &Arguments) -> Result<()> {
    let unknown = arguments.names.iter().find(|name| !TARGETS.contains(&name.as_str()));
    ensure!(unknown.is_none(), "wanted one of {}, found {}", TARGETS.join(", "), unknown.map_or("", String::as_str));
    let target = paths::target()?.join("fuzz");
    let step = progress::step("building the fuzz targets");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::root()?.join("fuzz")).args(["build", "--release", "--bins"]).env("RUSTFLAGS", FLAGS);
    // A target is named, so that build scripts and macros are built without the instrumentation.
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    run::quiet(cargo.args(["--target", &triple, "--target-dir"]).arg(&target), "building the fuzz targets")?;
    step.done();
    for name in
        TARGETS.iter().filter(|name| arguments.names.is_empty() || arguments.names.iter().any(|one| one == *name))
    {
        let step = progress::step(format!("fuzzing {name} with {} inputs", arguments.runs));
        let corpus = target.join("corpus").join(name);
        fs::create_dir_all(&corpus).with_context(|| format!("making {}", corpus.display()))?;
        let mut fuzzer = Command::new(target.join(&triple).join("release").join(name));
        fuzzer.arg(&corpus).arg(format!("-runs={}", arguments.runs)).arg(format!("-max_len={MOST_BYTES}"));
        fuzzer.args(["-seed=1", "-timeout=10"]).arg(format!("-artifact_prefix={}/", target.display()));
        run::quiet(&mut fuzzer, &format!("fuzzing {name}"))?;
        step.done();
    }
    Ok(())
}
