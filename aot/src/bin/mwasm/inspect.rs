//! `mwasm inspect`: what an app or an image needs, may do, and is made of.

use crate::cli::{Format, Inspect};
use anyhow::Result;
use mwasm_aot::{inspect, write};
use std::process::ExitCode;

/// Pages are text.
const TEXT_MODE: u32 = 0o644;

/// Shows what the arguments name. What was asked for goes to standard output, in either form.
pub fn main(arguments: Inspect) -> Result<ExitCode> {
    let inspection = inspect::inspect(&arguments.file)?;
    if let Some(page) = &arguments.html {
        write::atomically(page, inspect::html::page(&inspection).as_bytes(), TEXT_MODE)?;
    }
    match arguments.format {
        Format::Text => anstream::print!("{}", inspect::text::draw(&inspection)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&inspection)?),
    }
    Ok(ExitCode::SUCCESS)
}
