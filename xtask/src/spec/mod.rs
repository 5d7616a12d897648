//! `cargo xtask spec`: measures the promises of docs/specification.md, and fails when one is broken.
//!
//! The table in the document is the one place where the ceilings are; a promise is a row there and a function here. Everything that is
//! measured is exact: bytes of files, instructions counted by QEMU's translator or by callgrind, and whether a machine of some size runs
//! the app to its end.

mod network;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{build, guests, paths, progress, run, setup};

/// Arguments of `cargo xtask spec`.
#[derive(Args, Default)]
pub struct Arguments {
    /// Lower the ceilings to what was measured, plus one per cent; none is ever raised
    #[arg(long)]
    update: bool,
}

/// A row of the table.
struct Promise {
    key: String,
    ceiling: u64,
    unit: String,
}

/// Measures everything.
pub fn main(arguments: &Arguments) -> Result<()> {
    setup::qemu()?;
    setup::tools()?;
    build::main(&build::Arguments {})?;
    guests::ensure(&["hello-rust", "hello-world", "http-c", "traps", "web-rust"])?;
    let document = paths::root()?.join("docs/specification.md");
    let text = fs::read_to_string(&document).with_context(|| format!("reading {}", document.display()))?;
    let promises = parse(&text)?;
    let work = paths::target()?.join("spec");
    fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let mut broken = Vec::new();
    let mut updated = text.clone();
    for promise in &promises {
        let step = progress::step(format!("measuring {}", promise.key));
        let measured = measure(&promise.key, &work).with_context(|| format!("measuring {}", promise.key))?;
        step.done();
        let verdict = if measured > promise.ceiling { "BROKEN" } else { "kept" };
        println!("{:<24} {measured:>10} of {:>10} {:<12} {verdict}", promise.key, promise.ceiling, promise.unit);
        if measured > promise.ceiling {
            broken.push(promise.key.as_str());
        }
        let lower = (measured + measured.div_ceil(100)).min(promise.ceiling);
        updated = updated.replace(&row_start(&promise.key, promise.ceiling), &row_start(&promise.key, lower));
    }
    if arguments.update && updated != text {
        fs::write(&document, updated).with_context(|| format!("writing {}", document.display()))?;
    }
    ensure!(broken.is_empty(), "these promises of docs/specification.md are broken: {}", broken.join(", "));
    Ok(())
}

fn row_start(key: &str, ceiling: u64) -> String {
    format!("| `{key}` | {ceiling} |")
}

/// The rows of the document's table.
fn parse(text: &str) -> Result<Vec<Promise>> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let promises: Vec<Promise> = rows
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, key, ceiling, unit, _, _] = cells[..] else {
                bail!("docs/specification.md: wanted four cells, found {line:?}")
            };
            let ceiling = ceiling.parse().with_context(|| format!("docs/specification.md: no number in {line:?}"))?;
            Ok(Promise { key: key.trim_matches('`').into(), ceiling, unit: unit.into() })
        })
        .collect::<Result<_>>()?;
    ensure!(!promises.is_empty(), "docs/specification.md has no promises");
    Ok(promises)
}

fn measure(key: &str, work: &Path) -> Result<u64> {
    match key {
        "size-desktop-x86_64" => size(work, "hello-world", DESKTOP),
        "size-desktop-aarch64" => size(work, "hello-world", &["--target", "desktop", "--arch", "aarch64"]),
        "size-xen" => size(work, "hello-world", &["--target", "xen"]),
        "size-arm" => size(work, "hello-world", &["--target", "arm"]),
        "size-full-desktop-x86_64" => size(work, "hello-rust", DESKTOP),
        "size-full-desktop-aarch64" => size(work, "hello-rust", &["--target", "desktop", "--arch", "aarch64"]),
        "size-full-xen" => size(work, "hello-rust", &["--target", "xen"]),
        "size-full-arm" => size(work, "hello-rust", &["--target", "arm"]),
        "instructions-desktop" => callgrind(work, "hello-world"),
        "instructions-full-desktop" => callgrind(work, "hello-rust"),
        "instructions-microvm" => count_microvm(work),
        "instructions-virt" => count_virt(work),
        "size-web-xen" => size(work, "web-rust", &["--target", "xen"]),
        "size-http-desktop-x86_64" => size(work, "http-c", DESKTOP),
        "instructions-http-microvm" => network::per_request(work, network::Machine::Microvm),
        "instructions-http-virt" => network::per_request(work, network::Machine::Virt),
        "instructions-http-desktop" => network::per_request(work, network::Machine::Desktop),
        "instructions-kib-microvm" => network::per_kib(work, network::Machine::Microvm),
        "instructions-kib-virt" => network::per_kib(work, network::Machine::Virt),
        "memory-microvm" => smallest_memory(work),
        other => bail!("docs/specification.md promises '{other}', which nothing measures"),
    }
}

/// Fuses an app, and returns the image's path.
fn image(work: &Path, guest: &str, target: &[&str], args: &[&str]) -> Result<PathBuf> {
    let image = work.join(format!("{guest}-{}", target.concat().replace('-', "")));
    let mut mwasm = Command::new(paths::target()?.join("release/mwasm"));
    mwasm.arg("aot").arg(paths::guests()?.join(format!("{guest}.wasm"))).args(target).arg("-o").arg(&image);
    if guest == "hello-rust" {
        mwasm.arg("--embed").arg(format!("{}::/site", paths::root()?.join("examples/hello/site").display()));
    }
    if guest == "web-rust" {
        mwasm.arg("--embed").arg(format!("{}::/site", paths::root()?.join("examples/web/site").display()));
    }
    run::quiet(mwasm.arg("--").args(args), "fusing an image")?;
    Ok(image)
}

const DESKTOP: &[&str] = &["--target", "desktop", "--arch", "x86_64"];

fn size(work: &Path, guest: &str, target: &[&str]) -> Result<u64> {
    Ok(fs::metadata(image(work, guest, target, &[])?)?.len())
}

fn callgrind(work: &Path, guest: &str) -> Result<u64> {
    let image = image(work, guest, DESKTOP, &[])?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(image);
    let output = run::finish(&mut valgrind, "counting instructions with callgrind")?;
    number_after(&String::from_utf8_lossy(&output.stderr), "Collected : ")
}

/// The number that follows `label` in what a program printed.
fn number_after(text: &str, label: &str) -> Result<u64> {
    let (_, rest) = text.split_once(label).with_context(|| format!("wanted '{label}' and a number, found:\n{text}"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("wanted a number after '{label}', found:\n{text}"))
}

/// Compiles the counting plugin.
fn plugin(work: &Path) -> Result<PathBuf> {
    let plugin = work.join("insn-count.so");
    let source = paths::root()?.join("tests/insn-count/insn-count.c");
    run::quiet(
        Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&plugin).arg(source),
        "compiling the counting plugin",
    )?;
    Ok(plugin)
}

/// What makes a run of QEMU count the same on every machine: time is the number of instructions.
fn counting(qemu: &mut Command, plugin: &Path, range: &str) -> Result<String> {
    qemu.args(["-accel", "tcg", "-icount", "shift=0,sleep=off", "-d", "plugin", "-plugin"]);
    qemu.arg(format!("{}{range}", plugin.display()));
    qemu.args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "null", "-monitor", "none", "-m", "64M"]);
    let output = run::finish(qemu, "counting instructions with QEMU")?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn count_microvm(work: &Path) -> Result<u64> {
    let image = image(work, "traps", &["--target", "xen"], &["exit", "0"])?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-M", "microvm", "-cpu", "max", "-kernel"]).arg(image);
    // The image lies at 1 MiB and above; what runs below is QEMU's firmware.
    let text = counting(&mut qemu, &plugin(work)?, ",lo=0x100000,hi=0xf0000000")?;
    number_after(&text, "inside ")
}

fn count_virt(work: &Path) -> Result<u64> {
    let image = image(work, "traps", &["--target", "arm"], &["exit", "0"])?;
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.args(["-M", "virt", "-cpu", "cortex-a57", "-kernel"]).arg(image);
    number_after(&counting(&mut qemu, &plugin(work)?, "")?, "insn-count: all ")
}

/// No machine of QEMU's is smaller, in MiB.
const LEAST_MIB: u64 = 2;
/// The largest that is tried, in MiB.
const MOST_MIB: u64 = 64;

fn smallest_memory(work: &Path) -> Result<u64> {
    let image = image(work, "hello-rust", &["--target", "xen"], &[])?;
    for mib in LEAST_MIB..=MOST_MIB {
        let mut qemu = Command::new("timeout");
        qemu.args(["60", "qemu-system-x86_64", "-M", "microvm,isa-serial=on", "-cpu", "max", "-m", &format!("{mib}M")]);
        qemu.args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-monitor", "none", "-kernel"]);
        let output = run::finish(qemu.arg(&image), "booting a small machine")?;
        if output.stdout.starts_with(b"hello, component\n") && output.stdout.ends_with(b"hello: done\n") {
            return Ok(mib);
        }
    }
    bail!("hello does not run with {MOST_MIB} MiB either")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_read_row_by_row() {
        let text = "# x\n| promise | at most | unit | what |\n| --- | --- | --- | --- |\n| `size-xen` | 850000 | bytes | file |\n";
        let promises = parse(text).unwrap();
        assert_eq!(
            (promises[0].key.as_str(), promises[0].ceiling, promises[0].unit.as_str()),
            ("size-xen", 850_000, "bytes")
        );
        assert!(parse("no table").is_err());
        assert!(parse("| `size-xen` | many | bytes | file |").is_err());
    }

    #[test]
    fn counts_are_found_in_what_tools_print() {
        assert_eq!(number_after("==1== Collected : 571930\n", "Collected : ").unwrap(), 571_930);
        assert!(number_after("nothing", "Collected : ").is_err());
    }
}
