//! Stage 1, load: from a file to a valid component.
//!
//! Three kinds of file are taken: a component, a core module of WASI preview 1 (which [`module`] wraps into a component), and the text
//! form of either. All else is refused with a message that says what the file is instead.

mod module;

use crate::app::{App, Encoding, Surface, encoding};
use crate::engine;
use crate::problem::Problem;
use crate::report::{Input, Report, Stage};
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::Path;
use wasmparser::Validator;

/// Reads and checks an app.
pub fn load(path: &Path, report: &mut Report) -> Result<App> {
    let given = std::fs::read(path).map_err(|error| {
        Problem::new(format!("cannot read the app '{}': {error}", path.display()))
            .help("name a WebAssembly component, a WASI preview 1 module, or the text form of either (.wat)")
    })?;
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let app = load_bytes(&path.display().to_string(), name, &given)?;
    report.stage(Stage::new("load", given.len(), app.component.len()));
    report.surface(&Surface::of(&app.component)?);
    report.app = Input { name: app.name.clone(), sha256: app.sha256.clone() };
    Ok(app)
}

/// Checks the bytes of the file that messages call `file`.
fn load_bytes(file: &str, name: String, given: &[u8]) -> Result<App> {
    let binary = to_binary(file, given)?;
    let component = match encoding(&binary) {
        Some(Encoding::Component) => {
            validate(file, &binary)?;
            binary.into_owned()
        }
        Some(Encoding::Module) => {
            validate(file, &binary)?;
            module::wrap(file, &binary)?
        }
        None => {
            return Err(Problem::new(format!("'{file}' is cut off or no WebAssembly of a version that is known"))
                .help("build the app again")
                .into());
        }
    };
    Ok(App { name, sha256: hex(&Sha256::digest(given)), component })
}

/// The binary form of a file that may be text.
fn to_binary<'a>(file: &str, given: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if given.starts_with(b"\0asm") {
        return Ok(Cow::Borrowed(given));
    }
    let text = std::str::from_utf8(given).ok().filter(|text| text.trim_start().starts_with(['(', ';']));
    let Some(text) = text else {
        return Err(Problem::new(format!("'{file}' is not WebAssembly: it is {}", describe(given)))
            .help("name a WebAssembly component, a WASI preview 1 module, or the text form of either (.wat)")
            .into());
    };
    let mut error = match wat::parse_str(text) {
        Ok(binary) => return Ok(Cow::Owned(binary)),
        Err(error) => error,
    };
    error.set_path(file);
    let problem = Problem::new(format!("'{file}' is not valid WebAssembly text"));
    Err(anyhow::Error::from(error).context(problem))
}

/// What a file is that is no WebAssembly.
fn describe(given: &[u8]) -> &'static str {
    if given.is_empty() {
        "empty"
    } else if mwasm_plan::find(given).is_ok() {
        "an image that mwasm made ('mwasm run' starts it)"
    } else if given.starts_with(b"\x7fELF") {
        "an ELF file (a native program or library)"
    } else if std::str::from_utf8(given).is_ok() {
        "text"
    } else {
        "data of another format"
    }
}

fn validate(file: &str, binary: &[u8]) -> Result<()> {
    let Err(error) = Validator::new_with_features(engine::features()?).validate_all(binary) else { return Ok(()) };
    let offset = error.offset();
    let problem = if error.message().starts_with("unexpected end") {
        Problem::new(format!("'{file}' is cut off: it ends at byte {}, in the middle of a section", binary.len()))
            .help("copy or build the app again")
    } else {
        Problem::new(format!("'{file}' is not valid: {} (at offset {offset:#x})", error.message()))
            .help("'wasm-tools validate' explains the rule; if a compiler made the file, its version may be too new or too old")
    };
    Err(problem.into())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(given: &[u8]) -> String {
        format!("{:#}", load_bytes("app.wasm", "app".into(), given).unwrap_err())
    }

    #[test]
    fn what_is_no_webassembly_is_named() {
        assert!(fails(b"").contains("is empty"));
        assert!(fails(b"hello\n").contains("it is text"));
        assert!(fails(b"\x7fELF\x02\x01").contains("an ELF file"));
        assert!(fails(b"\xff\xfe\0").contains("another format"));
        assert!(fails(b"\0asm").contains("cut off"));
        assert!(fails(b"\0asm\x07\0\x05\0").contains("no WebAssembly of a version"));
        let image = mwasm_plan::encode(&mwasm_plan::Plan::default()).unwrap();
        assert!(fails(&image).contains("an image that mwasm made"));
    }

    #[test]
    fn text_errors_name_the_line() {
        let message = fails(b"(component\n  (bogus))");
        assert!(message.contains("app.wasm:2:4"), "{message}");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let component =
            wat::parse_str(r#"(component (core module $m (func (export "f"))) (import "x" (func)))"#).unwrap();
        assert!(load_bytes("f", "f".into(), &component).is_ok());
        for cut in 9..component.len() {
            // A cut between two sections leaves a smaller component that may well be valid.
            if let Err(error) = load_bytes("f", "f".into(), &component[..cut]) {
                let message = error.to_string();
                assert!(message.contains("cut off") || message.contains("not valid"), "{cut}: {message}");
            }
        }
        assert!(load_bytes("f", "f".into(), &component[..component.len() - 1]).is_err());
    }

    #[test]
    fn invalid_code_is_placed() {
        let message = fails(&wat::parse_str("(module (func (result i32)))").unwrap());
        assert!(message.contains("at offset 0x"), "{message}");
    }

    #[test]
    fn the_hash_is_that_of_the_file() {
        let app = load_bytes("f", "f".into(), b"(component)").unwrap();
        assert_eq!(app.sha256, hex(&Sha256::digest(b"(component)")));
        assert_eq!(app.sha256.len(), 64);
    }
}
