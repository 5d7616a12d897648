//! The example apps.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use super::{Job, assemblyscript, c, go, javascript, python, rust, sqlite};

/// How long a test with the app takes. An app is slow when it holds a whole language runtime, which is compiled ahead of time with it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// Up to a few MB: compiled within seconds
    Quick,
    /// More than 10 MB: compiled within half a minute
    Slow,
}

impl Tier {
    pub fn name(self) -> &'static str {
        match self {
            Tier::Quick => "quick",
            Tier::Slow => "slow",
        }
    }
}

/// An example app.
pub struct Guest {
    /// Its file is `target/guests/NAME.wasm`.
    pub name: &'static str,
    pub language: &'static str,
    pub tier: Tier,
    /// Its directory below `examples/`.
    pub source: &'static str,
    /// Makes the component from the source, and returns its path.
    pub build: fn(&Job) -> Result<PathBuf>,
    /// Versions of the tools that `build` runs.
    pub toolchain: fn() -> Result<String>,
    /// The source text of `build`: the app is built again when it changes.
    pub recipe: &'static str,
}

/// All of them.
pub const GUESTS: &[Guest] = &[
    Guest {
        name: "hello-rust",
        language: "Rust",
        tier: Tier::Quick,
        source: "hello/rust",
        build: rust::command,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "hello-rust-p3",
        language: "Rust",
        tier: Tier::Quick,
        source: "hello/rust-p3",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "hello-c",
        language: "C",
        tier: Tier::Quick,
        source: "hello/c",
        build: c::hello,
        toolchain: c::toolchain,
        recipe: c::RECIPE,
    },
    Guest {
        name: "hello-go",
        language: "Go",
        tier: Tier::Quick,
        source: "hello/go",
        build: go::command,
        toolchain: go::toolchain,
        recipe: go::RECIPE,
    },
    Guest {
        name: "hello-assemblyscript",
        language: "AssemblyScript",
        tier: Tier::Quick,
        source: "hello/assemblyscript",
        build: assemblyscript::build,
        toolchain: assemblyscript::toolchain,
        recipe: assemblyscript::RECIPE,
    },
    Guest {
        name: "hello-js-p3",
        language: "JavaScript",
        tier: Tier::Quick,
        source: "hello/js-p3",
        build: javascript::quickjs,
        toolchain: javascript::toolchain,
        recipe: javascript::RECIPE,
    },
    Guest {
        name: "hello-js",
        language: "JavaScript",
        tier: Tier::Slow,
        source: "hello/js",
        build: javascript::starlingmonkey,
        toolchain: javascript::toolchain,
        recipe: javascript::RECIPE,
    },
    Guest {
        name: "hello-python",
        language: "Python",
        tier: Tier::Slow,
        source: "hello/python",
        build: python::build,
        toolchain: python::toolchain,
        recipe: python::RECIPE,
    },
    Guest {
        name: "sqlite",
        language: "C",
        tier: Tier::Quick,
        source: "sqlite",
        build: sqlite::build,
        toolchain: c::toolchain,
        recipe: sqlite::RECIPE,
    },
    Guest {
        name: "hello-world",
        language: "Rust",
        tier: Tier::Quick,
        source: "hello-world",
        build: rust::command,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "traps",
        language: "Rust",
        tier: Tier::Quick,
        source: "traps",
        build: rust::command,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "web-rust",
        language: "Rust",
        tier: Tier::Quick,
        source: "web/rust",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "web-python",
        language: "Python",
        tier: Tier::Slow,
        source: "web/python",
        build: python::build,
        toolchain: python::toolchain,
        recipe: python::RECIPE,
    },
    Guest {
        name: "proxy",
        language: "Rust",
        tier: Tier::Quick,
        source: "proxy",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "dns",
        language: "Rust",
        tier: Tier::Quick,
        source: "dns",
        build: rust::command,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "echo-c",
        language: "C",
        tier: Tier::Quick,
        source: "echo/c",
        build: c::command,
        toolchain: c::toolchain,
        recipe: c::RECIPE,
    },
    Guest {
        name: "echo-python",
        language: "Python",
        tier: Tier::Slow,
        source: "echo/python",
        build: python::build,
        toolchain: python::toolchain,
        recipe: python::RECIPE,
    },
    Guest {
        name: "echo-rust",
        language: "Rust",
        tier: Tier::Quick,
        source: "echo/rust",
        build: rust::command,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "http-c",
        language: "C",
        tier: Tier::Quick,
        source: "http/c",
        build: c::reactor,
        toolchain: c::toolchain,
        recipe: c::RECIPE,
    },
    Guest {
        name: "http-rust",
        language: "Rust",
        tier: Tier::Quick,
        source: "http/rust",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "http-rust-p3",
        language: "Rust",
        tier: Tier::Quick,
        source: "http/rust-p3",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "fetch-rust",
        language: "Rust",
        tier: Tier::Quick,
        source: "fetch/rust",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "fetch-rust-p3",
        language: "Rust",
        tier: Tier::Quick,
        source: "fetch/rust-p3",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "link",
        language: "Rust",
        tier: Tier::Quick,
        source: "link",
        build: rust::component,
        toolchain: rust::toolchain,
        recipe: rust::RECIPE,
    },
    Guest {
        name: "http-go",
        language: "Go",
        tier: Tier::Quick,
        source: "http/go",
        build: go::reactor,
        toolchain: go::toolchain,
        recipe: go::RECIPE,
    },
    Guest {
        name: "http-js",
        language: "JavaScript",
        tier: Tier::Slow,
        source: "http/js",
        build: javascript::starlingmonkey_http,
        toolchain: javascript::toolchain,
        recipe: javascript::RECIPE,
    },
    Guest {
        name: "http-python",
        language: "Python",
        tier: Tier::Slow,
        source: "http/python",
        build: python::build,
        toolchain: python::toolchain,
        recipe: python::RECIPE,
    },
];
