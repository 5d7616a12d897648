//! The host objects: what `mwasm` fuses apps with.
//!
//! ```text
//!   crate host-* --cargo rustc--> static library --rust-lld -r--> one object --split, zstd--> target/hosts/NAME.o.zst
//! ```
//!
//! Each host is built for each architecture that it runs on, with and without the component model's async; the smaller object serves
//! apps that use none. The static library is linked to one relocatable object here, so that on the user's machine a link takes
//! milliseconds. Objects that are newer than their library are left as they are.

mod split;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, progress, run, setup};

/// `cargo xtask hosts`.
#[derive(Default, clap::Args)]
pub struct Arguments {
    /// Build only the hosts whose names begin with one of these, such as `xen` or `desktop-x86_64`
    names: Vec<String>,
}

/// A host to build.
#[derive(Clone, Copy)]
struct Host {
    name: &'static str,
    package: &'static str,
    triple: &'static str,
}

/// All hosts; those that share a target stand together, so that cargo builds what they share once.
const HOSTS: &[Host] = &[
    Host { name: "desktop-x86_64", package: "mwasm-host-desktop", triple: "x86_64-unknown-none" },
    Host { name: "xen-x86_64", package: "mwasm-host-xen", triple: "x86_64-unknown-none" },
    Host { name: "desktop-aarch64", package: "mwasm-host-desktop", triple: "aarch64-unknown-none" },
    Host { name: "arm-aarch64", package: "mwasm-host-arm", triple: "aarch64-unknown-none" },
];

/// The feature, the suffix of the object's name, and the words for it.
const VARIANTS: &[(Option<&str>, &str)] = &[(None, ""), (Some("component-model-async"), "-async")];

/// Build profile of hosts, in the workspace's Cargo.toml.
const PROFILE: &str = "host";
/// The strongest level of zstd that does not need a large window to decompress.
const ZSTD_LEVEL: i32 = 19;

/// Builds what the arguments say.
pub fn main(arguments: &Arguments) -> Result<()> {
    let wanted = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|begin| name.starts_with(begin));
    let cross = setup::cross()?;
    let cargo = || cross.cargo();
    let directory = paths::target()?.join("hosts");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let mut built = 0;
    for triple in ["x86_64-unknown-none", "aarch64-unknown-none"] {
        for (feature, suffix) in VARIANTS {
            for host in HOSTS.iter().filter(|host| host.triple == triple) {
                let name = format!("{}{suffix}", host.name);
                if wanted(&name) {
                    build(&cargo, *host, *feature, &name, &directory)?;
                    built += 1;
                }
            }
        }
    }
    if built == 0 {
        let names: Vec<&str> = HOSTS.iter().map(|host| host.name).collect();
        bail!("no host is called {}; wanted one of {}", arguments.names.join(", "), names.join(", "));
    }
    Ok(())
}

fn build(cargo: &dyn Fn() -> Command, host: Host, feature: Option<&str>, name: &str, directory: &Path) -> Result<()> {
    let step = progress::step(format!("building the host {name}"));
    let library = compile(cargo(), host, feature)?;
    let object = directory.join(format!("{name}.o"));
    let compressed = directory.join(format!("{name}.o.zst"));
    if !is_newer(&compressed, &library)? {
        link(&library, &object)?;
        compress(&object, &compressed)?;
        fs::remove_file(&object)?;
    }
    step.done();
    Ok(())
}

/// Compiles a host to a static library; cargo leaves it alone where nothing changed.
fn compile(mut cargo: Command, host: Host, feature: Option<&str>) -> Result<PathBuf> {
    let target = paths::target()?.join("cross");
    cargo.current_dir(paths::root()?).args(["rustc", "--lib", "--crate-type", "staticlib", "--profile", PROFILE]);
    cargo.args(["--package", host.package, "--target", host.triple]).arg("--target-dir").arg(&target);
    cargo.args(feature.iter().flat_map(|feature| ["--features", feature]));
    // Flags for the build machine would change what goes into images.
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\u{1f}"));
    run::quiet(&mut cargo, &format!("compiling {}", host.package))?;
    let library = format!("lib{}.a", host.package.replace('-', "_"));
    let built = target.join(host.triple).join(PROFILE).join(&library);
    // Both variants have the same name in cargo's directory; each keeps a copy of its own, touched only when it changed.
    let suffix = feature.map_or("", |_| "-async");
    let own = target.join(host.triple).join(PROFILE).join(format!("{}{suffix}.a", host.package));
    if !same_content(&built, &own)? {
        fs::copy(&built, &own).with_context(|| format!("copying {}", built.display()))?;
    }
    Ok(own)
}

/// What the compiler is told beyond the profile.
fn flags() -> Result<Vec<String>> {
    // LLVM takes `#[inline]` as a reason to inline functions of up to 325 instructions, also where it compiles for size. That is how
    // reading an app's metadata became a function of 49 KB.
    let mut flags = vec!["-Cllvm-args=-inlinehint-threshold=60".to_owned()];
    // A panic names its place; where this machine keeps the sources is nobody's business, and would make images differ.
    let sources = paths::cargo_home()?.join("registry/src");
    for registry in fs::read_dir(&sources).with_context(|| format!("reading {}", sources.display()))? {
        flags.push(format!("--remap-path-prefix={}/=", registry?.path().display()));
    }
    flags.sort();
    Ok(flags)
}

fn same_content(a: &Path, b: &Path) -> Result<bool> {
    if !b.exists() || fs::metadata(a)?.len() != fs::metadata(b)?.len() {
        return Ok(false);
    }
    Ok(fs::read(a)? == fs::read(b)?)
}

fn is_newer(file: &Path, than: &Path) -> Result<bool> {
    Ok(file.exists() && fs::metadata(file)?.modified()? >= fs::metadata(than)?.modified()?)
}

/// What no image has a use for. Unwind tables would be kept by the final link, because they refer to the code.
const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.comment) *(.debug_*) *(.note.GNU-stack) } }\n";

/// Links all of a library to one object, each function and constant still in a section of its own.
fn link(library: &Path, object: &Path) -> Result<()> {
    let script = object.with_extension("ld");
    fs::write(&script, SCRIPT).with_context(|| format!("writing {}", script.display()))?;
    let mut lld = Command::new(rust_lld()?);
    lld.args(["-flavor", "gnu", "-r", "--strip-debug", "-T"]).arg(&script);
    lld.arg("--whole-archive").arg(library).arg("-o").arg(object);
    run::quiet(&mut lld, &format!("linking {}", library.display()))?;
    fs::remove_file(&script).with_context(|| format!("removing {}", script.display()))
}

/// The linker that comes with Rust.
fn rust_lld() -> Result<PathBuf> {
    let sysroot = run::output(Command::new("rustc").args(["--print", "sysroot"]), "asking the compiler for its place")?;
    let machine = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(machine).join("bin/rust-lld");
    if !linker.exists() {
        bail!("wanted the linker that comes with Rust, found no {}", linker.display());
    }
    Ok(linker)
}

fn compress(object: &Path, compressed: &Path) -> Result<()> {
    let bytes = fs::read(object).with_context(|| format!("reading {}", object.display()))?;
    let bytes = split::split_merged(&bytes)?;
    let partial = compressed.with_extension("partial");
    let mut encoder = zstd::Encoder::new(File::create(&partial)?, ZSTD_LEVEL)?;
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.include_contentsize(true)?;
    std::io::Write::write_all(&mut encoder, &bytes)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&partial, compressed).with_context(|| format!("renaming {}", partial.display()))
}
