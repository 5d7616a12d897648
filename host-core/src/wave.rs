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

/// What an app is told whose result does not fit into [`HELD_BYTES`](crate::console::HELD_BYTES), or into memory.
const TOO_LONG: &str = "the text of the result is longer than 16 MiB, or than there is memory for";

/// All of them.
pub const INTERFACES: &[Interface] = &[PRINT];

/// Standard output, as Rust's formatting wants it.
struct Out<'a, 'c>(&'a mut Context<'c>);

impl Write for Out<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.data_mut().console.hold(Output::Out, text.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
    }
}

fn print(mut context: Context<'_>, text: impl FnOnce(&mut dyn Write) -> fmt::Result) -> Result<()> {
    text(&mut Out(&mut context)).map_err(|_| Error::msg(TOO_LONG))
}

/// A character inside of quotes.
fn quoted(out: &mut dyn Write, letter: char) -> fmt::Result {
    match letter {
        '\\' | '"' | '\'' | '\t' | '\r' | '\n' => write!(out, "{}", letter.escape_default()),
        _ if letter.is_control() => write!(out, "{}", letter.escape_unicode()),
        // As `escape_debug` has it. But what writes that for `{:?}` is in every image, and stays as it is if nobody else uses it.
        _ => write!(Inside(out), "{letter:?}"),
    }
}

/// Passes on all but the quotes around a character.
struct Inside<'a>(&'a mut dyn Write);

impl Write for Inside<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(text.trim_matches('\''))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of wasm-wave's writer, for every character that there is.
    #[test]
    fn characters_are_written_as_wave_has_them() {
        for letter in '\0'..=char::MAX {
            let wanted: String = match letter {
                '\\' | '"' | '\'' | '\t' | '\r' | '\n' => letter.escape_default().collect(),
                _ if letter.is_control() => letter.escape_unicode().collect(),
                _ => letter.escape_debug().collect(),
            };
            let mut found = String::new();
            quoted(&mut found, letter).unwrap();
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn texts_and_floats_have_their_form() {
        let written = |print: &dyn Fn(&mut dyn Write) -> fmt::Result| {
            let mut text = String::new();
            print(&mut text).unwrap();
            text
        };
        assert_eq!(written(&|out| string(out, "a\"b'\u{301}")), r#""a\"b\'\u{301}""#);
        assert_eq!(written(&|out| character(out, '\'')), r"'\''");
        assert_eq!(written(&|out| float(out, true, f32::NAN)), "nan");
        assert_eq!(written(&|out| float(out, false, f64::NEG_INFINITY)), "-inf");
        assert_eq!(written(&|out| float(out, false, 0.1f32)), "0.1");
    }
}
