//! The way to the targets' libraries where rustup cannot download: Debian's Rust, unpacked but not installed, and the libraries built
//! from the source that Debian ships with it. About 2 minutes on two cores, and 1 GB.
//!
//! Cargo and the linkers (rust-lld, wasm-ld, wasm-component-ld) come from the toolchain that runs this task: Debian 12 has no such linkers,
//! and its cargo loads a dozen libraries. The start-up object of WASI commands is made here ([`START`]).
//! A limit stays: Debian's wasi-libc is of 2022 and has no sockets of WASI 0.2, so `std::net` does not link for wasm32-wasip2.

use std::env::{self, consts::ARCH};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::cross::TARGETS;
use super::{apt, cache};
use crate::{progress, run};

/// Raised when a change of this file makes a different toolchain from the same packages.
const RECIPE: u32 = 1;

/// Debian's Rust compiler ("-web" is its build for browsers, kept newer than the release's own) and the libraries that it loads.
/// Versions are in the names; security updates may move the last digits.
const PACKAGES: &[&str] = &[
    "rustc-web",
    "rust-web-src",
    "libstd-rust-web-dev",
    "libstd-rust-web-1.96",
    "libllvm22",
    "libz3-4",
    "libedit2",
    "libbsd0",
    "libmd0",
    "libxml2",
    "libicu72",
    "wasi-libc",
];

/// Source of the start-up object of WASI commands.
const START: &str = include_str!("crt1_command.rs");

/// The toolchain's directory, made first where it is missing; `stable` is the root of the toolchain whose linkers it takes.
pub fn provide(stable: &Path) -> Result<PathBuf> {
    cache::provide("rust-1.96", &recipe(), |directory| make(directory, stable))
}

/// The toolchain's directory, where it is there.
pub fn provided() -> Result<Option<PathBuf>> {
    Ok(Some(cache::directory("rust-1.96", &recipe())?).filter(|directory| directory.is_dir()))
}

/// Cargo, made to use the compiler in `directory`.
pub fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.env("RUSTC", directory.join("bin/rustc")).env("LD_LIBRARY_PATH", directory.join("lib"));
    command
}

/// The compiler in `directory`.
pub fn rustc(directory: &Path) -> Command {
    let mut command = Command::new(directory.join("bin/rustc"));
    command.env("LD_LIBRARY_PATH", directory.join("lib"));
    command
}

fn recipe() -> String {
    format!("{RECIPE} {PACKAGES:?} {TARGETS:?} {START}")
}

fn make(directory: &Path, stable: &Path) -> Result<()> {
    let step = progress::step("unpacking Debian's Rust 1.96");
    let unpacked = directory.join("unpacked");
    unpack(&unpacked)?;
    arrange(&unpacked, directory, stable)?;
    step.done();
    let (wasm, bare): (Vec<&str>, Vec<&str>) = TARGETS.iter().partition(|target| target.starts_with("wasm32-"));
    build(&unpacked, directory, &bare, &["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem"])?;
    build(&unpacked, directory, &wasm, &["-Zbuild-std=std,panic_abort"])?;
    for target in wasm.iter().filter(|target| target.contains("-wasi")) {
        add_libc(&unpacked, directory, target)?;
    }
    fs::remove_dir_all(&unpacked).with_context(|| format!("removing {}", unpacked.display()))
}

/// Downloads the packages and unpacks them below `unpacked`.
fn unpack(unpacked: &Path) -> Result<()> {
    fs::create_dir_all(unpacked)?;
    apt::download(PACKAGES, unpacked)?;
    for file in files_with_suffix(unpacked, ".deb")? {
        extract(&file, unpacked)?;
        fs::remove_file(&file)?;
    }
    Ok(())
}

/// Unpacks one package, without its documentation and without what is not needed of the compiler's source: 40,000 files less.
fn extract(package: &Path, into: &Path) -> Result<()> {
    let what = format!("unpacking {}", package.display());
    let mut contents = Command::new("dpkg-deb");
    contents.arg("--fsys-tarfile").arg(package).stdout(Stdio::piped());
    let mut contents = contents.spawn().with_context(|| format!("{what}: cannot start dpkg-deb"))?;
    let archive = contents.stdout.take().with_context(|| what.clone())?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--anchored", "--no-wildcards-match-slash"]);
    tar.args(["./usr/share", "./usr/src/*/src", "./usr/src/*/compiler"].map(|path| format!("--exclude={path}")));
    run::quiet(tar.stdin(archive).current_dir(into), &what)?;
    let status = contents.wait()?;
    ensure!(status.success(), "{what}: dpkg-deb failed ({status})");
    Ok(())
}

/// Moves what the toolchain is made of from Debian's places to those where a relocated rustc looks, and adds the linkers of `stable`.
fn arrange(unpacked: &Path, directory: &Path, stable: &Path) -> Result<()> {
    let (bin, lib) = (directory.join("bin"), directory.join("lib"));
    fs::create_dir_all(&bin)?;
    fs::create_dir_all(&lib)?;
    rename(&unpacked.join("usr/bin/rustc"), &bin.join("rustc"))?;
    for entry in entries(&unpacked.join(format!("usr/lib/{ARCH}-linux-gnu")))? {
        if entry.file_name().is_some_and(|name| name.to_string_lossy().contains(".so")) {
            rename(&entry, &lib.join(entry.file_name().unwrap_or_default()))?;
        }
    }
    rename(&unpacked.join("usr/lib/rustlib"), &lib.join("rustlib"))?;

    let sources = lib.join("rustlib/src/rust");
    if sources.symlink_metadata().is_ok() {
        fs::remove_dir_all(&sources).or_else(|_| fs::remove_file(&sources))?;
    }
    fs::create_dir_all(&sources)?;
    let Some(library) =
        entries(&unpacked.join("usr/src"))?.into_iter().map(|source| source.join("library")).find(|l| l.is_dir())
    else {
        bail!(
            "wanted the standard library's source in Debian's package rust-web-src, found none; its layout has changed"
        );
    };
    rename(&library, &sources.join("library"))?;

    let tools = format!("lib/rustlib/{ARCH}-unknown-linux-gnu/bin");
    copy(&stable.join(&tools), &directory.join(&tools))?;
    for library in entries(&stable.join("lib"))? {
        if library.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libLLVM")) {
            copy(&library, &lib)?;
        }
    }
    Ok(())
}

/// Builds the libraries of `targets` from source, with an empty crate that asks cargo for them, and lays them where rustc looks.
fn build(unpacked: &Path, directory: &Path, targets: &[&str], options: &[&str]) -> Result<()> {
    let what = format!("building Rust's libraries for {}", targets.join(", "));
    let step = progress::step(&what);
    let sysroot = unpacked.join("sysroot");
    fs::create_dir_all(sysroot.join("src"))?;
    let manifest = "[package]\nname = \"sysroot\"\nedition = \"2024\"\n[profile.release]\npanic = \"abort\"\n";
    fs::write(sysroot.join("Cargo.toml"), manifest)?;
    fs::write(sysroot.join("src/lib.rs"), "#![no_std]")?;
    let mut command = cargo(directory);
    command.args(["build", "--release"]).args(options).current_dir(&sysroot);
    for target in targets {
        command.args(["--target", target]);
        fs::create_dir_all(own_objects(directory, target))?;
    }
    // Lets the released compiler build its own standard library; with bitcode, so that the library takes part in link-time optimisation.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Cembed-bitcode=yes").env_remove("CARGO_TARGET_DIR");
    run::quiet(&mut command, &what)?;
    for target in targets {
        for library in files_with_suffix(&sysroot.join("target").join(target).join("release/deps"), ".rlib")? {
            let name = library.file_name().unwrap_or_default();
            if !name.to_string_lossy().starts_with("libsysroot") {
                rename(&library, &libraries(directory, target).join(name))?;
            }
        }
    }
    step.done();
    Ok(())
}

/// Where rustc looks for the libraries of `target`.
fn libraries(directory: &Path, target: &str) -> PathBuf {
    directory.join("lib/rustlib").join(target).join("lib")
}

/// Where rustc looks for the C library and the start-up objects of `target` that it links by itself.
fn own_objects(directory: &Path, target: &str) -> PathBuf {
    libraries(directory, target).join("self-contained")
}

/// Adds wasi-libc and the start-up objects for `target`.
fn add_libc(unpacked: &Path, directory: &Path, target: &str) -> Result<()> {
    let own = own_objects(directory, target);
    for file in ["libc.a", "crt1-reactor.o"] {
        fs::copy(unpacked.join("usr/lib/wasm32-wasi").join(file), own.join(file))
            .with_context(|| format!("taking {file} from Debian's wasi-libc"))?;
    }
    build_start(directory, target, &own)
}

/// Compiles the start-up object of WASI commands into `own`.
fn build_start(directory: &Path, target: &str, own: &Path) -> Result<()> {
    let source = own.join("crt1_command.rs");
    fs::write(&source, START)?;
    let mut command = rustc(directory);
    command.args(["--edition=2024", "--crate-type=lib", "--emit=obj", "--target", target]);
    command
        .args(["-Cpanic=abort", "-Copt-level=s", "-Ccodegen-units=1", "-o"])
        .arg(own.join("crt1-command.o"))
        .arg(&source);
    run::quiet(&mut command, "compiling the start of WASI commands")?;
    fs::remove_file(&source)?;
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let read =
        || fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>();
    read().with_context(|| format!("listing {}", directory.display()))
}

fn files_with_suffix(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut files = entries(directory)?;
    files.retain(|file| file.to_string_lossy().ends_with(suffix));
    Ok(files)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("moving {} to {}", from.display(), to.display()))
}

/// Copies a file or a directory with all that is in it, links as links.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    run::quiet(Command::new("cp").arg("-a").arg(from).arg(to), "copying the linkers of the installed Rust")
}
