//! The app that ends badly on purpose, in every way that examples/traps knows, and what must be said of it.

use crate::cases::Case;
use crate::process::Ran;
use anyhow::{Result, ensure};

/// Exit code of a trap.
pub const TRAP: i32 = 134;

/// A way to end badly.
pub struct Fault {
    /// The name in the table.
    pub name: &'static str,
    /// Arguments of examples/traps.
    pub args: &'static [&'static str],
    /// The function that must be named.
    function: &'static str,
    /// What the report must say.
    words: &'static str,
}

const fn fault(
    name: &'static str,
    args: &'static [&'static str],
    function: &'static str,
    words: &'static str,
) -> Fault {
    Fault { name, args, function, words }
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    fault("trap: unreachable", &["unreachable"], "trap_unreachable", "unreachable"),
    fault("trap: oob", &["oob"], "trap_out_of_bounds", "outside of its memory"),
    fault("trap: divide", &["divide"], "trap_divide_by_zero", "division by zero"),
    fault("trap: stack", &["stack"], "recurse_for_ever", "stack is full"),
    fault("trap: panic", &["panic"], "panic_with_a_message", "a panic, as asked"),
    fault("trap: memory", &["memory"], "allocate", "unreachable"),
];

/// examples/traps with arguments; it must end with `code`.
pub fn app(args: &'static [&'static str], code: i32) -> Case {
    Case {
        name: "traps",
        guest: "traps",
        language: "Rust",
        slow: false,
        args,
        env: &[],
        site: false,
        stdout: Vec::new(),
        stderr: b"",
        code,
    }
}

impl Fault {
    /// Compares a run with what must be said.
    pub fn check(&self, ran: &Ran) -> Result<()> {
        let said = [ran.stdout.as_slice(), ran.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(ran.code == Some(TRAP), "wanted the exit code {TRAP}, found {:?}; it said\n{said}", ran.code);
        ensure!(said.contains(self.function), "wanted {} to be named, found\n{said}", self.function);
        ensure!(said.contains(self.words), "wanted {:?}, found\n{said}", self.words);
        Ok(())
    }
}
