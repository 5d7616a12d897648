//! `cargo xtask guests --check`: runs the built apps on the reference runtime, Wasmtime's own program, and compares what they do with
//! what their examples say. What passes here is what mwasm's hosts are then held to.

mod server;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::table::Guest;
use crate::{paths, setup};

/// What lets the reference runtime run components of WASI 0.3; the same for compiling and for running.
const FEATURES: &[&str] = &["-W", "component-model-async=y"];

/// Checks the app built at `component`.
pub fn check(guest: &Guest, component: &Path) -> Result<()> {
    let app = App::compile(component)?;
    let example = paths::root()?.join("examples");
    match guest.name {
        "traps" => traps(&app),
        // Frames are mwasm's own: the reference runtime has none.
        "link" => Ok(()),
        "hello-world" => same_text(&app.run(&[], &[])?, 0, &example.join("hello-world/expected.txt")),
        "sqlite" => same_text(&app.run(&["--dir", &app.granted_tmp()?], &[])?, 0, &example.join("sqlite/expected.txt")),
        "dns" => server::dns(&app, &example.join("dns/zones")),
        "proxy" => server::proxy(&app),
        name if name.starts_with("echo-") => server::echo(&app),
        name if name.starts_with("fetch-") => server::fetch(&app),
        name if name.starts_with("http-") => server::http(&app),
        name if name.starts_with("web-") => server::web(&app, &example.join("web/site")),
        _ => hello(&app, &example.join("hello")),
    }
}

/// The hello app with everything granted, then with nothing.
fn hello(app: &App, example: &Path) -> Result<()> {
    let site = format!("{}::/site", example.join("site").display());
    let options = ["--dir", &site, "--dir", &app.granted_tmp()?, "--env", "GREETING=good day", "--env", "EXIT_CODE=3"];
    let full = app.run(&options, &["one", "two words"])?;
    // The exit of WASI preview 1 and of WASI before 0.2.12 tells success from failure, and no more.
    let code = if full.status.code() == Some(1) { 1 } else { 3 };
    same_text(&full, code, &example.join("expected.txt"))?;
    ensure!(
        full.stderr == b"hello: done\n",
        "wanted \"hello: done\" on standard error, found:\n{}",
        text(&full.stderr)
    );
    same_text(&app.run(&[], &[])?, 0, &example.join("expected-nothing-granted.txt"))
}

/// Each way to end, and what the runtime reports of it.
fn traps(app: &App) -> Result<()> {
    for (argument, function, cause) in [
        ("unreachable", "trap_unreachable", "unreachable"),
        ("oob", "trap_out_of_bounds", "out of bounds memory access"),
        ("divide", "trap_divide_by_zero", "integer divide by zero"),
        ("stack", "recurse_for_ever", "call stack exhausted"),
        ("memory", "allocate", "unreachable"),
        ("panic", "panic_with_a_message", "a panic, as asked"),
    ] {
        let output = app.run(&[], &[argument])?;
        let report = text(&output.stderr);
        ensure!(!output.status.success(), "`traps {argument}` was to trap, and ended well");
        for wanted in [function, cause] {
            ensure!(report.contains(wanted), "`traps {argument}`: wanted {wanted:?} in the report, found:\n{report}");
        }
    }
    for (arguments, wanted) in [(["touch", "16"], "allocated 16 MiB\n"), (["sleep", "1"], ""), (["exit", "0"], "")] {
        let output = app.run(&[], &arguments)?;
        ensure!(
            output.status.success() && text(&output.stdout) == wanted,
            "`traps {}`: found {output:?}",
            arguments.join(" ")
        );
    }
    ensure!(app.run(&[], &["exit", "7"])?.status.code() == Some(1), "`traps exit 7` was to fail");
    let input = b"from standard input\n";
    let output = app.run_with_input(&[], &["stdin"], input)?;
    ensure!(output.stdout == input, "`traps stdin`: wanted its input back, found {output:?}");
    Ok(())
}

/// Fails where `output` is not exactly what the file at `expected` holds, or the exit code is not `code`.
fn same_text(output: &Output, code: i32, expected: &Path) -> Result<()> {
    let wanted = fs::read(expected).with_context(|| format!("reading {}", expected.display()))?;
    if output.stdout != wanted || output.status.code() != Some(code) {
        bail!(
            "wanted exit code {code} and the text of {}:\n{}found {} and:\n{}with, on standard error:\n{}",
            expected.display(),
            text(&wanted),
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An app that the reference runtime has compiled, and a place for its files.
struct App {
    compiled: PathBuf,
    directory: PathBuf,
}

impl App {
    /// Compiles the component once for all runs of it.
    fn compile(component: &Path) -> Result<App> {
        let name = component.file_stem().unwrap_or_default();
        let directory = paths::guests()?.join("build").join(name).join("check");
        fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        let compiled = directory.join("app.cwasm");
        let mut command = setup::python()?.wasmtime();
        command.arg("compile").args(FEATURES).arg(component).arg("-o").arg(&compiled);
        crate::run::quiet(&mut command, "compiling with the reference runtime")?;
        Ok(App { compiled, directory })
    }

    /// An empty directory, as an option that grants it as `/tmp`.
    fn granted_tmp(&self) -> Result<String> {
        let tmp = self.directory.join("tmp");
        if tmp.exists() {
            fs::remove_dir_all(&tmp)?;
        }
        fs::create_dir_all(&tmp)?;
        Ok(format!("{}::/tmp", tmp.display()))
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> Result<Output> {
        self.run_with_input(options, arguments, b"")
    }

    fn run_with_input(&self, options: &[&str], arguments: &[&str], input: &[u8]) -> Result<Output> {
        let mut command = self.command(options, arguments)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // An app that ends without reading its input has closed it; that is for the checks to judge.
            let _ = stdin.write_all(input);
        }
        child.wait_with_output().context("waiting for the reference runtime")
    }

    fn command(&self, options: &[&str], arguments: &[&str]) -> Result<Command> {
        let mut command = setup::python()?.wasmtime();
        // The reports of traps are the app's; the runtime's own stack is not of interest.
        command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
        command
            .args(["run", "--allow-precompiled", "-S", "p3=y", "-S", "cli-exit-with-code=y"])
            .args(FEATURES)
            .args(options);
        command.arg(&self.compiled).args(arguments);
        Ok(command)
    }
}
