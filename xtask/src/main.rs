//! The project's own tasks: `cargo xtask COMMAND`. What a person or CI does to this repository, beyond `cargo build`, is a command here:
//! one variant of [`Command`], one module beside this file. Everything a task needs beyond Rust itself comes through [`setup`], which
//! tasks call as they go, so that no task asks for a step to be done by hand first.

mod bench;
mod build;
mod demo;
mod fuzz;
mod guests;
mod hosts;
mod paths;
mod progress;
mod run;
mod setup;
mod spec;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the mwasm repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the build, the guests and the tests need; quick when it is there already
    Setup(setup::Arguments),
    /// Build the example apps into target/guests, each with its language's real toolchain
    Guests(guests::Arguments),
    /// Build the host objects into target/hosts
    Hosts(hosts::Arguments),
    /// Build mwasm with all host objects in it
    Build(build::Arguments),
    /// The main job from nothing: build mwasm and an app, make its three images and run them
    Demo(demo::Arguments),
    /// Every check and test
    Test(test::Arguments),
    /// Times, side by side in one run
    Bench(bench::Arguments),
    /// Run the fuzz targets for a bounded number of inputs
    Fuzz(fuzz::Arguments),
    /// Measure the promises of docs/specification.md
    Spec(spec::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Setup(arguments) => setup::main(&arguments),
        Command::Guests(arguments) => guests::main(&arguments),
        Command::Hosts(arguments) => hosts::main(&arguments),
        Command::Build(arguments) => build::main(&arguments),
        Command::Demo(arguments) => demo::main(&arguments),
        Command::Test(arguments) => test::main(&arguments),
        Command::Bench(arguments) => bench::main(&arguments),
        Command::Fuzz(arguments) => fuzz::main(&arguments),
        Command::Spec(arguments) => spec::main(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
