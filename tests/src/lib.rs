//! The harness of the tests that cross modules: real guests, fused by the real `mwasm`, on real (emulated) machines.
//!
//! ```text
//!   cases: app, arguments, expected bytes, exit code
//!      x
//!   machines: in process, desktop, desktop on aarch64, microvm, q35, virt, Xen on x86_64 and ARM
//!      =
//!   the conformance table (target/conformance.md)
//! ```
//!
//! [`cases`] is the one table of what is run, [`machine`] knows how to run it anywhere, [`process`] runs programs without ever
//! waiting for ever, [`xen`] has the machines that boot a real Xen, [`faults`] what apps that trap must say, [`net`] networks of the tests' own, [`server`] apps that serve, [`table`] writes down what
//! passed where. The tests need what `cargo xtask setup`, `build` and `guests` make; `cargo xtask test` does all three first.

pub mod cases;
pub mod faults;
pub mod machine;
pub mod net;
pub mod process;
pub mod server;
pub mod table;
pub mod xen;

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Cargo's build directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The `mwasm` under test.
pub fn mwasm() -> Result<PathBuf> {
    let path = target().join("release/mwasm");
    ensure!(path.is_file(), "wanted {}, which `cargo xtask build` makes", path.display());
    Ok(path)
}

/// A built example app.
pub fn guest(name: &str) -> Result<PathBuf> {
    let path = target().join("guests").join(format!("{name}.wasm"));
    ensure!(path.is_file(), "wanted {}, which `cargo xtask guests` makes", path.display());
    Ok(path)
}
