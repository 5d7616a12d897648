//! `cargo xtask test`: every check and test of the project, in an order that fails early. CI runs just this.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{build, fuzz, guests, paths, setup, spec};

/// Arguments of `cargo xtask test`.
#[derive(Args)]
pub struct Arguments {}

/// A step: its name and what it does.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("format", format),
    ("set-up", || setup::all()),
    ("mwasm and its host objects", || build::main(&build::Arguments {})),
    ("lints", lints),
    ("example apps", || guests::ensure(&[])),
    ("tests", tests),
    ("conformance table", table),
    ("fuzz targets", || fuzz::main(&fuzz::Arguments::default())),
    ("promises", || spec::main(&spec::Arguments::default())),
];

/// Runs every step; stops at the first that fails.
pub fn main(_: &Arguments) -> Result<()> {
    let start = Instant::now();
    for (number, (name, step)) in (1..).zip(STEPS) {
        let began = Instant::now();
        eprintln!("==> {number}/{}: {name}", STEPS.len());
        step().with_context(|| format!("step {number}, {name}"))?;
        eprintln!("==> {number}/{}: {name}: passed in {:.0} s", STEPS.len(), began.elapsed().as_secs_f32());
    }
    eprintln!("==> all passed in {:.0} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// Runs cargo of the stable toolchain, with its output shown.
fn cargo(arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::root()?).args(arguments).env("MWASM_HOSTS", paths::target()?.join("hosts"));
    let status = cargo.status().with_context(|| format!("starting cargo {}", arguments.join(" ")))?;
    if status.success() { Ok(()) } else { bail!("cargo {} failed ({status})", arguments.join(" ")) }
}

fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])
}

fn lints() -> Result<()> {
    cargo(&["clippy", "--quiet", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}

/// All packages at once, so that what they share is built once: cargo builds a dependency again for each set of features.
fn tests() -> Result<()> {
    let conformance = paths::target()?.join("conformance");
    if conformance.exists() {
        fs::remove_dir_all(&conformance).with_context(|| format!("removing {}", conformance.display()))?;
    }
    cargo(&["test", "--release", "--workspace"])
}

/// Prints the table of what ran where, from what the tests wrote down.
fn table() -> Result<()> {
    let directory = paths::target()?.join("conformance");
    let mut rows: Vec<serde_json::Value> = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            rows.extend(serde_json::from_slice::<Vec<serde_json::Value>>(&fs::read(&path)?)?);
        }
    }
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let distinct = |key: &str| {
        let mut values: Vec<String> = rows.iter().map(|row| text(row, key)).collect();
        values.sort();
        values.dedup();
        values
    };
    let (cases, machines) = (distinct("case"), distinct("machine"));
    let mut out = format!("| case | {} |\n|{}\n", machines.join(" | "), " --- |".repeat(machines.len() + 1));
    for case in &cases {
        out.push_str(&format!("| {case} |"));
        for machine in &machines {
            let row = rows.iter().find(|row| text(row, "case") == *case && text(row, "machine") == *machine);
            let mark = row.map_or("", |row| if row["passed"] == true { "ok" } else { "FAILED" });
            out.push_str(&format!(" {mark} |"));
        }
        out.push('\n');
    }
    let file = paths::target()?.join("conformance.md");
    fs::write(&file, &out).with_context(|| format!("writing {}", file.display()))?;
    print!("{out}");
    Ok(())
}
