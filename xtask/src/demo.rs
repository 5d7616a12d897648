//! `cargo xtask demo`: the main job, from nothing: set up, build mwasm and an app, make its three images, run all three, and show what
//! they printed side by side.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{build, guests, paths, progress, run, setup};

/// Arguments of `cargo xtask demo`.
#[derive(Args)]
pub struct Arguments {}

/// A target of the demonstration.
struct Target {
    name: &'static str,
    flags: &'static [&'static str],
    where_it_runs: &'static str,
}

const TARGETS: &[Target] = &[
    Target { name: "desktop", flags: &["--target", "desktop"], where_it_runs: "on this machine" },
    Target { name: "xen", flags: &["--target", "xen"], where_it_runs: "in QEMU microvm" },
    Target { name: "arm", flags: &["--target", "arm"], where_it_runs: "in QEMU virt (aarch64)" },
];

/// Runs the demonstration.
pub fn main(_: &Arguments) -> Result<()> {
    setup::qemu()?;
    build::main(&build::Arguments {})?;
    guests::ensure(&["hello-rust"])?;
    let work = paths::target()?.join("demo");
    std::fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let mut shown = Vec::new();
    for target in TARGETS {
        let image = fuse(target, &work)?;
        let step = progress::step(format!("running it {}", target.where_it_runs));
        let output = run_image(&image)?;
        step.done();
        shown.push((target, image, output));
    }
    println!("\nWhat the same app printed on each target:\n");
    side_by_side(&shown);
    for (target, image, output) in &shown {
        let bytes = std::fs::metadata(image)?.len();
        println!("{:<8} {bytes:>8} bytes, exit code {}: {}", target.name, code(output), image.display());
    }
    let agree =
        shown.windows(2).all(|pair| text(&pair[0].2) == text(&pair[1].2) && code(&pair[0].2) == code(&pair[1].2));
    ensure!(agree, "the targets disagree, which is a fault of mwasm");
    println!("\nAll three agree. Try: {} --help", mwasm()?.display());
    Ok(())
}

fn mwasm() -> Result<PathBuf> {
    Ok(paths::target()?.join("release/mwasm"))
}

/// Makes an image, and shows the report of the first one.
fn fuse(target: &Target, work: &Path) -> Result<PathBuf> {
    let image = work.join(format!("hello-{}", target.name));
    let mut command = Command::new(mwasm()?);
    command.arg("aot").arg(paths::guests()?.join("hello-rust.wasm")).args(target.flags).arg("-o").arg(&image);
    command.arg("--embed").arg(format!("{}::/site", paths::root()?.join("examples/hello/site").display()));
    command.args(["--env", "GREETING=good day", "--report", "text", "--", "one", "two words"]);
    let output = run::finish(&mut command, "fusing an image")?;
    ensure!(output.status.success(), "mwasm aot failed:\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(image)
}

fn run_image(image: &Path) -> Result<Output> {
    run::finish(Command::new(mwasm()?).arg("run").arg(image), "running an image")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Both outputs of a run: machines without an operating system have one line for both.
fn text(output: &Output) -> String {
    [output.stdout.as_slice(), output.stderr.as_slice()].iter().map(|bytes| String::from_utf8_lossy(bytes)).collect()
}

/// Columns of text.
fn side_by_side(shown: &[(&Target, PathBuf, Output)]) {
    const WIDTH: usize = 38;
    let columns: Vec<Vec<String>> =
        shown.iter().map(|(_, _, output)| text(output).lines().map(str::to_owned).collect()).collect();
    let header: String = shown.iter().map(|(target, _, _)| format!("{:<WIDTH$}", target.name)).collect();
    println!("{}\n{}", header.trim_end(), "-".repeat(WIDTH * shown.len()));
    for line in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
        let cells = columns.iter().map(|column| column.get(line).map_or("", String::as_str));
        let row: String = cells.map(|cell| format!("{cell:<WIDTH$}")).collect();
        println!("{}", row.trim_end());
    }
    println!();
}
