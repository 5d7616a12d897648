//! Running other programs: output is kept back, and shown only when the program fails, as part of one error that says what was being done.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// How many lines of what a failed program printed go into the error: the first ones, and the last ones.
const FIRST_LINES: usize = 15;
const LAST_LINES: usize = 40;

/// Runs `command` to its end. An error holds `what` was being done, the command line and the end of what the program printed.
pub fn quiet(command: &mut Command, what: &str) -> Result<()> {
    output(command, what).map(drop)
}

/// Like [`quiet`], and returns what the program printed on standard output.
pub fn output(command: &mut Command, what: &str) -> Result<String> {
    let output = finish(command, what)?;
    if output.status.success() {
        return String::from_utf8(output.stdout).with_context(|| format!("{what}: {} printed no UTF-8", line(command)));
    }
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    bail!("{what} failed ({}): {}\n{}", output.status, line(command), shorten(&printed))
}

/// The first and the last lines of `text`.
fn shorten(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.len() > FIRST_LINES + LAST_LINES {
        lines.splice(FIRST_LINES..lines.len() - LAST_LINES, ["[...]"]);
    }
    lines.join("\n")
}

/// Runs `command` to its end, whatever its exit code: an error only when it cannot be started.
pub fn finish(command: &mut Command, what: &str) -> Result<Output> {
    command.output().with_context(|| format!("{what}: cannot start {}", line(command)))
}

/// The first file called `program` on `PATH`.
pub fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program.as_ref())).find(|file| file.is_file())
}

/// The command line as a person would type it.
fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_reported_with_its_last_words() {
        let error =
            quiet(Command::new("sh").args(["-c", "echo the reason >&2; exit 3"]), "trying").unwrap_err().to_string();
        assert!(error.starts_with("trying failed (exit status: 3): sh -c "), "{error}");
        assert!(error.ends_with("the reason"), "{error}");
    }

    #[test]
    fn long_output_keeps_its_beginning_and_its_end() {
        let text = (1..=100).map(|number| number.to_string()).collect::<Vec<_>>().join("\n");
        let shown = shorten(&text);
        assert!(
            shown.starts_with("1\n2\n") && shown.contains("15\n[...]\n61\n") && shown.ends_with("\n100"),
            "{shown}"
        );
    }

    #[test]
    fn a_missing_program_is_reported_by_name() {
        let error = quiet(&mut Command::new("no-such-program"), "trying").unwrap_err().to_string();
        assert_eq!(error, "trying: cannot start no-such-program");
    }
}
