//! The conformance table: which case passed on which machine.
//!
//! Each test writes its rows to a file of its own below `target/conformance/`; `cargo xtask test` puts them together.

use crate::target;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs;

/// Rows of one test.
#[derive(Default)]
pub struct Rows {
    rows: Vec<serde_json::Value>,
    failures: Vec<String>,
}

impl Rows {
    /// Adds what came of a case on a machine.
    pub fn add(&mut self, case: &str, language: &str, machine: &str, result: Result<()>) {
        let passed = result.is_ok();
        if let Err(error) = result {
            self.failures.push(format!("{error:#}"));
        }
        self.rows.push(json!({ "case": case, "language": language, "machine": machine, "passed": passed }));
    }

    /// Writes the rows down, and fails if any case failed.
    pub fn finish(self, test: &str) -> Result<()> {
        let directory = target().join("conformance");
        fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        fs::write(directory.join(format!("{test}.json")), serde_json::to_vec_pretty(&self.rows)?)?;
        if self.failures.is_empty() { Ok(()) } else { anyhow::bail!("{}", self.failures.join("\n\n")) }
    }
}
