//! `mwasm`: the command line.
//!
//! [`cli`] says what can be typed, one module for each command does it, [`complain`] draws what goes wrong. Standard output belongs
//! to the app and to what was asked for (a report as JSON, an inspection); all else that mwasm says goes to standard error. Exit
//! codes: 2 for wrong usage, 1 for a failed build, else the app's.

mod aot;
mod boot;
mod cli;
mod complain;
mod doctor;
mod inspect;
mod new;
mod progress;
mod run;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::New(arguments) => new::main(arguments),
        Command::Run(arguments) => run::main(arguments),
        Command::Aot(arguments) => aot::main(arguments),
        Command::Inspect(arguments) => inspect::main(arguments),
        Command::Doctor(arguments) => doctor::main(arguments),
        Command::Completions(arguments) => {
            clap_complete::generate(arguments.shell, &mut Cli::command(), "mwasm", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| complain::complain(&error))
}
