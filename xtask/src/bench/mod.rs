//! `cargo xtask bench`: times, side by side, in one run. They are no promises, since times differ by machine; ratios differ less.
//!
//! Two tables: how long `mwasm aot` takes for the smallest and the largest of the example apps, and how long a hello takes from its start
//! to its exit as a desktop image, as a static C program, and under the reference runtime with the app compiled beforehand. The programs
//! take turns, so that whatever else the machine does hits all of them.

mod http;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{build, guests, paths, run, setup};

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub struct Arguments {
    /// How often each program is started
    #[arg(long, default_value_t = 100)]
    runs: u32,
    #[command(subcommand)]
    subject: Option<Subject>,
}

/// What else can be measured.
#[derive(clap::Subcommand)]
enum Subject {
    /// HTTP servers: desktop images, the reference runtime, nginx and hyper
    Http(http::Arguments),
}

/// A program to be timed.
struct Contender {
    name: String,
    command: Command,
    times: Vec<Duration>,
}

/// Runs the benchmarks.
pub fn main(arguments: &Arguments) -> Result<()> {
    if let Some(Subject::Http(arguments)) = &arguments.subject {
        return http::main(arguments);
    }
    build::main(&build::Arguments {})?;
    guests::ensure(&["hello-rust", "hello-python"])?;
    let work = paths::target()?.join("bench");
    fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    compile_times(&work)?;
    start_times(&work, arguments.runs)
}

fn mwasm_aot(guest: &str, image: &Path) -> Result<Command> {
    let mut command = Command::new(paths::target()?.join("release/mwasm"));
    command
        .arg("aot")
        .arg(paths::guests()?.join(format!("{guest}.wasm")))
        .args(["--target", "desktop", "-o"])
        .arg(image);
    Ok(command)
}

fn compile_times(work: &Path) -> Result<()> {
    println!("\n| mwasm aot | seconds |\n| --- | --- |");
    for guest in ["hello-rust", "hello-python"] {
        let began = Instant::now();
        run::quiet(&mut mwasm_aot(guest, &work.join(guest))?, "fusing an image")?;
        println!("| {guest} | {:.2} |", began.elapsed().as_secs_f32());
    }
    Ok(())
}

fn start_times(work: &Path, runs: u32) -> Result<()> {
    let mut contenders = vec![
        contender("static C program", Command::new(static_c(work)?)),
        contender("mwasm desktop image", Command::new(work.join("hello-rust"))),
        contender("wasmtime run, precompiled", wasmtime(work)?),
    ];
    for _ in 0..runs {
        for contender in &mut contenders {
            let began = Instant::now();
            let status = contender.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            let status = status.with_context(|| format!("starting {}", contender.name))?;
            contender.times.push(began.elapsed());
            ensure!(status.success(), "{} ended with {status}", contender.name);
        }
    }
    println!("\n| start to exit, {runs} runs | least ms | median ms | median / C |\n| --- | --- | --- | --- |");
    let median = |times: &[Duration]| times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3;
    contenders.iter_mut().for_each(|contender| contender.times.sort());
    let c = contenders.first().map_or(1.0, |contender| median(&contender.times));
    for contender in &contenders {
        let least = contender.times.first().map_or(0.0, Duration::as_secs_f64) * 1e3;
        let middle = median(&contender.times);
        println!("| {} | {least:.2} | {middle:.2} | {:.2} |", contender.name, middle / c);
    }
    Ok(())
}

fn contender(name: &str, command: Command) -> Contender {
    Contender { name: name.into(), command, times: Vec::new() }
}

fn static_c(work: &Path) -> Result<PathBuf> {
    let (source, program) = (work.join("hello.c"), work.join("hello-c"));
    fs::write(&source, "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n")?;
    run::quiet(
        Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(&source),
        "compiling the C program",
    )?;
    Ok(program)
}

/// The reference runtime on the app that it compiled beforehand.
fn wasmtime(work: &Path) -> Result<Command> {
    let python = setup::python()?;
    let compiled = work.join("hello-rust.cwasm");
    let component = paths::guests()?.join("hello-rust.wasm");
    let mut compile = python.wasmtime();
    run::quiet(compile.arg("compile").arg(component).arg("-o").arg(&compiled), "compiling with wasmtime")?;
    let mut command = python.wasmtime();
    command.args(["run", "--allow-precompiled"]).arg(compiled);
    Ok(command)
}
