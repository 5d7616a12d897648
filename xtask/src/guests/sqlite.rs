//! SQLite: the amalgamation, unmodified, from the source that the crate libsqlite3-sys carries, with a small program around it.

use std::path::PathBuf;

use anyhow::Result;

use super::{Job, c, crates};

/// The source text of this module and of the C recipe that it builds on.
pub const RECIPE: &str = concat!(include_str!("sqlite.rs"), include_str!("c.rs"));

/// Holds SQLite 3.54.1.
const CRATE_VERSION: &str = "0.40.0";

/// Compiles SQLite and the program.
pub fn build(job: &Job) -> Result<PathBuf> {
    let sqlite = crates::source(job, "libsqlite3-sys", CRATE_VERSION)?.join("sqlite3");
    let mut compiler = c::compiler(job)?;
    // A component has one thread, and loads no native extensions.
    compiler.args(["-Os", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION"]);
    compiler.arg("-I").arg(&sqlite).arg(job.source.join("main.c")).arg(sqlite.join("sqlite3.c"));
    c::link(job, compiler)
}
