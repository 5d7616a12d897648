//! `mwasm:wave/print`: prints values in WAVE, the text form of the component model's values, on standard output.
//!
//! It serves no app that anybody wrote. An app of which one function is called (`--invoke`) is put inside a component that calls it
//! and walks through its result; that component imports these functions, one for each kind of piece. What they print is handed over
//! at the end of the run, in one write.

use crate::interface::{Context, Interface, interface, plain};
use alloc::string::String;
use core::fmt::{self, Write};
use mwasm_ports::Output;
use wasmtime::{Error, Result};

/// All of them.
pub const INTERFACES: &[Interface] = &[PRINT];

/// Standard output, as Rust's formatting wants it.
struct Out<'a, 'c>(&'a mut Context<'c>);

impl Write for Out<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.data_mut().console.hold(Output::Out, text.as_bytes());
        Ok(())
    }
}

fn print(mut context: Context<'_>, text: impl FnOnce(&mut dyn Write) -> fmt::Result) -> Result<()> {
    text(&mut Out(&mut context)).map_err(|_| Error::msg("cannot print the result"))
}

/// A character inside of quotes.
fn quoted(out: &mut dyn Write, letter: char) -> fmt::Result {
    match letter {
        '\\' | '"' | '\'' | '\t' | '\r' | '\n' => write!(out, "{}", letter.escape_default()),
        _ if letter.is_control() => write!(out, "{}", letter.escape_unicode()),
        _ => write!(out, "{}", letter.escape_debug()),
    }
}

fn string(out: &mut dyn Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    text.chars().try_for_each(|letter| quoted(out, letter))?;
    out.write_char('"')
}

fn character(out: &mut dyn Write, letter: char) -> fmt::Result {
    out.write_char('\'')?;
    quoted(out, letter)?;
    out.write_char('\'')
}

/// A float; whether it is a number is told, because Rust writes `NaN` and WAVE `nan`.
fn float(out: &mut dyn Write, is_nan: bool, value: impl fmt::Display) -> fmt::Result {
    if is_nan { out.write_str("nan") } else { write!(out, "{value}") }
}

interface! {
    /// `mwasm:wave/print@0.1`.
    PRINT = "mwasm:wave/print", "0.1", "mwasm:wave/print@0.1.0" {
        plain, "text", |context, (text,): (String,)| print(context, |out| out.write_str(&text));
        plain, "string", |context, (text,): (String,)| print(context, |out| string(out, &text));
        plain, "char", |context, (letter,): (char,)| print(context, |out| character(out, letter));
        plain, "signed", |context, (value,): (i64,)| print(context, |out| write!(out, "{value}"));
        plain, "unsigned", |context, (value,): (u64,)| print(context, |out| write!(out, "{value}"));
        plain, "f32", |context, (value,): (f32,)| print(context, |out| float(out, value.is_nan(), value));
        plain, "f64", |context, (value,): (f64,)| print(context, |out| float(out, value.is_nan(), value));
    }
}
