//! `wasi:cli/terminal-*`: whether standard input and outputs are terminals.

use crate::interface::{Context, handle, interface, item, plain};
use mwasm_ports::Output;
use wasmtime::Result;
use wasmtime::component::Resource;

/// `wasi:cli/terminal-input.terminal-input`, which has no functions.
pub(crate) struct TerminalInput;
/// `wasi:cli/terminal-output.terminal-output`, which has no functions.
pub(crate) struct TerminalOutput;

/// Standard input, if it is a terminal.
pub(crate) fn terminal_stdin(mut context: Context<'_>, (): ()) -> Result<(Option<Resource<TerminalInput>>,)> {
    let state = context.data_mut();
    let is_terminal = state.ports.console.input_is_terminal();
    Ok((if is_terminal { Some(state.table.push(TerminalInput)?) } else { None },))
}

/// Standard output, if it is a terminal.
pub(crate) fn terminal_stdout(context: Context<'_>, (): ()) -> Result<(Option<Resource<TerminalOutput>>,)> {
    terminal_output(context, Output::Out)
}

/// Standard error, if it is a terminal.
pub(crate) fn terminal_stderr(context: Context<'_>, (): ()) -> Result<(Option<Resource<TerminalOutput>>,)> {
    terminal_output(context, Output::Err)
}

fn terminal_output(mut context: Context<'_>, which: Output) -> Result<(Option<Resource<TerminalOutput>>,)> {
    let state = context.data_mut();
    let is_terminal = state.ports.console.output_is_terminal(which);
    Ok((if is_terminal { Some(state.table.push(TerminalOutput)?) } else { None },))
}

interface! {
    /// `wasi:cli/terminal-input@0.2`.
    INPUT = "wasi:cli/terminal-input", "0.2", "wasi:cli/terminal-input@0.2.0" {
        item, "terminal-input", handle::<TerminalInput>;
    }
}

interface! {
    /// `wasi:cli/terminal-output@0.2`.
    OUTPUT = "wasi:cli/terminal-output", "0.2", "wasi:cli/terminal-output@0.2.0" {
        item, "terminal-output", handle::<TerminalOutput>;
    }
}

interface! {
    /// `wasi:cli/terminal-stdin@0.2`.
    STDIN = "wasi:cli/terminal-stdin", "0.2", "wasi:cli/terminal-stdin@0.2.0" {
        plain, "get-terminal-stdin", terminal_stdin;
    }
}

interface! {
    /// `wasi:cli/terminal-stdout@0.2`.
    STDOUT = "wasi:cli/terminal-stdout", "0.2", "wasi:cli/terminal-stdout@0.2.0" {
        plain, "get-terminal-stdout", terminal_stdout;
    }
}

interface! {
    /// `wasi:cli/terminal-stderr@0.2`.
    STDERR = "wasi:cli/terminal-stderr", "0.2", "wasi:cli/terminal-stderr@0.2.0" {
        plain, "get-terminal-stderr", terminal_stderr;
    }
}
