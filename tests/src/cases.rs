//! What is run: apps, how they are started, and what they must print and return.

use crate::root;
use anyhow::{Context, Result};
use std::fs;

/// One run of an app.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name in the table.
    pub name: &'static str,
    /// The app: `target/guests/GUEST.wasm`.
    pub guest: &'static str,
    /// Its language.
    pub language: &'static str,
    /// Whether it takes tens of seconds to compile.
    pub slow: bool,
    /// Arguments.
    pub args: &'static [&'static str],
    /// Environment variables, as `K=V`.
    pub env: &'static [&'static str],
    /// Whether `/site` is embedded.
    pub site: bool,
    /// What it must print on standard output.
    pub stdout: Vec<u8>,
    /// What it must print on standard error.
    pub stderr: &'static [u8],
    /// Its exit code.
    pub code: i32,
}

/// The exit code that the hello apps are asked for. Apps of WASI preview 1, and Rust's standard library at 0.2, import no
/// `exit-with-code`: they can only say success or failure, and end with 1.
const CODE: i32 = 3;

/// The hello apps: guest, language, whether slow, exit code when asked for 3.
const HELLOS: &[(&str, &str, bool, i32)] = &[
    ("hello-rust", "Rust", false, 1),
    ("hello-rust-p3", "Rust, WASI 0.3", false, CODE),
    ("hello-c", "C", false, 1),
    ("hello-go", "Go", false, 1),
    ("hello-assemblyscript", "AssemblyScript", false, 1),
    ("hello-js-p3", "JavaScript, WASI 0.3", false, CODE),
    ("hello-js", "JavaScript", true, CODE),
    ("hello-python", "Python", true, CODE),
];

/// All cases.
pub fn all() -> Result<Vec<Case>> {
    let text =
        |path: &str| fs::read(root().join("examples").join(path)).with_context(|| format!("reading examples/{path}"));
    let full = text("hello/expected.txt")?;
    let mut cases = Vec::new();
    for (guest, language, slow, code) in HELLOS.iter().copied() {
        cases.push(Case {
            name: guest,
            guest,
            language,
            slow,
            args: &["one", "two words"],
            env: &["GREETING=good day", "EXIT_CODE=3"],
            site: true,
            stdout: full.clone(),
            stderr: b"hello: done\n",
            code,
        });
    }
    let plain = |name, guest, language, args, stdout, code| Case {
        name,
        guest,
        language,
        slow: false,
        args,
        env: &[],
        site: false,
        stdout,
        stderr: b"",
        code,
    };
    cases.push(plain("hello-world", "hello-world", "Rust", &[], text("hello-world/expected.txt")?, 0));
    cases.push(plain("sqlite", "sqlite", "C", &[], text("sqlite/expected.txt")?, 0));
    cases.push(plain("exit 0", "traps", "Rust", &["exit", "0"], Vec::new(), 0));
    cases.push(plain("sleep", "traps", "Rust", &["sleep", "20"], Vec::new(), 0));
    cases.push(plain("touch", "traps", "Rust", &["touch", "16"], b"allocated 16 MiB\n".to_vec(), 0));
    Ok(cases)
}
