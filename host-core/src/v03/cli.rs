//! `wasi:cli/environment`, `exit`, `terminal-*` and `types`: the same functions as at 0.2.

use crate::interface::{handle, interface, item, plain};
use crate::v02::environment::{arguments, environment, initial_cwd};
use crate::v02::exit::{exit, exit_with_code};
use crate::v02::terminal::{TerminalInput, TerminalOutput, terminal_stderr, terminal_stdin, terminal_stdout};

interface! {
    /// `wasi:cli/environment@0.3`.
    ENVIRONMENT = "wasi:cli/environment", "0.3", "wasi:cli/environment@0.3.0" {
        plain, "get-environment", environment;
        plain, "get-arguments", arguments;
        plain, "get-initial-cwd", initial_cwd;
    }
}

interface! {
    /// `wasi:cli/exit@0.3`.
    EXIT = "wasi:cli/exit", "0.3", "wasi:cli/exit@0.3.0" {
        plain, "exit", exit;
        plain, "exit-with-code", exit_with_code;
    }
}

interface! {
    /// `wasi:cli/types@0.3`, which has types only.
    TYPES = "wasi:cli/types", "0.3", "wasi:cli/types@0.3.0" {}
}

interface! {
    /// `wasi:cli/terminal-input@0.3`.
    INPUT = "wasi:cli/terminal-input", "0.3", "wasi:cli/terminal-input@0.3.0" {
        item, "terminal-input", handle::<TerminalInput>;
    }
}

interface! {
    /// `wasi:cli/terminal-output@0.3`.
    OUTPUT = "wasi:cli/terminal-output", "0.3", "wasi:cli/terminal-output@0.3.0" {
        item, "terminal-output", handle::<TerminalOutput>;
    }
}

interface! {
    /// `wasi:cli/terminal-stdin@0.3`.
    STDIN = "wasi:cli/terminal-stdin", "0.3", "wasi:cli/terminal-stdin@0.3.0" {
        plain, "get-terminal-stdin", terminal_stdin;
    }
}

interface! {
    /// `wasi:cli/terminal-stdout@0.3`.
    STDOUT = "wasi:cli/terminal-stdout", "0.3", "wasi:cli/terminal-stdout@0.3.0" {
        plain, "get-terminal-stdout", terminal_stdout;
    }
}

interface! {
    /// `wasi:cli/terminal-stderr@0.3`.
    STDERR = "wasi:cli/terminal-stderr", "0.3", "wasi:cli/terminal-stderr@0.3.0" {
        plain, "get-terminal-stderr", terminal_stderr;
    }
}
