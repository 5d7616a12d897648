//! `wasi:cli/terminal-*`: whether standard input and outputs are terminals.

use super::{Context, drop_resource};
use crate::state::State;
use mwasm_ports::Output;
use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

/// `wasi:cli/terminal-input.terminal-input`, which has no functions.
pub(crate) struct TerminalInput;
/// `wasi:cli/terminal-output.terminal-output`, which has no functions.
pub(crate) struct TerminalOutput;

/// Standard input, if it is a terminal.
pub(crate) fn terminal_stdin(state: &mut State) -> Result<Option<Resource<TerminalInput>>> {
    let is_terminal = state.ports.console.input_is_terminal();
    Ok(if is_terminal { Some(state.table.push(TerminalInput)?) } else { None })
}

/// An output, if it is a terminal.
pub(crate) fn terminal_output(state: &mut State, which: Output) -> Result<Option<Resource<TerminalOutput>>> {
    let is_terminal = state.ports.console.output_is_terminal(which);
    Ok(if is_terminal { Some(state.table.push(TerminalOutput)?) } else { None })
}

/// Registers `wasi:cli/terminal-input@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_input_0_2(linker: &mut Linker<State>) -> Result<()> {
    drop_resource::<TerminalInput>(&mut linker.instance("wasi:cli/terminal-input@0.2.0")?, "terminal-input")
}

/// Registers `wasi:cli/terminal-output@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_output_0_2(linker: &mut Linker<State>) -> Result<()> {
    drop_resource::<TerminalOutput>(&mut linker.instance("wasi:cli/terminal-output@0.2.0")?, "terminal-output")
}

/// Registers `wasi:cli/terminal-stdin@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_stdin_0_2(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:cli/terminal-stdin@0.2.0")?;
    instance.func_wrap("get-terminal-stdin", |mut context: Context<'_>, (): ()| Ok((terminal_stdin(context.data_mut())?,)))
}

/// Registers `wasi:cli/terminal-stdout@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_stdout_0_2(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:cli/terminal-stdout@0.2.0")?;
    instance.func_wrap("get-terminal-stdout", |mut context: Context<'_>, (): ()| {
        Ok((terminal_output(context.data_mut(), Output::Out)?,))
    })
}

/// Registers `wasi:cli/terminal-stderr@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_stderr_0_2(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:cli/terminal-stderr@0.2.0")?;
    instance.func_wrap("get-terminal-stderr", |mut context: Context<'_>, (): ()| {
        Ok((terminal_output(context.data_mut(), Output::Err)?,))
    })
}
