//! `wasi:cli/environment`, `exit`, `terminal-*` and `types`: the same functions as at 0.2.

use super::Context;
use crate::state::State;
use crate::v02::terminal::{TerminalInput, TerminalOutput, terminal_output, terminal_stdin};
use crate::v02::{drop_resource, environment, exit};
use mwasm_ports::Output;
use wasmtime::Result;
use wasmtime::component::Linker;

/// Registers `wasi:cli/environment@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_environment_0_3(linker: &mut Linker<State>) -> Result<()> {
    environment::define(linker.instance("wasi:cli/environment@0.3.0")?, "get-initial-cwd")
}

/// Registers `wasi:cli/exit@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_exit_0_3(linker: &mut Linker<State>) -> Result<()> {
    exit::define(linker.instance("wasi:cli/exit@0.3.0")?)
}

/// Registers `wasi:cli/types@0.3`, which has types only.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_types_0_3(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:cli/types@0.3.0").map(drop)
}

/// Registers `wasi:cli/terminal-input@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_input_0_3(linker: &mut Linker<State>) -> Result<()> {
    drop_resource::<TerminalInput>(&mut linker.instance("wasi:cli/terminal-input@0.3.0")?, "terminal-input")
}

/// Registers `wasi:cli/terminal-output@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_output_0_3(linker: &mut Linker<State>) -> Result<()> {
    drop_resource::<TerminalOutput>(&mut linker.instance("wasi:cli/terminal-output@0.3.0")?, "terminal-output")
}

/// Registers `wasi:cli/terminal-stdin@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_stdin_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:cli/terminal-stdin@0.3.0")?;
    instance.func_wrap("get-terminal-stdin", |mut context: Context<'_>, (): ()| {
        Ok((terminal_stdin(context.data_mut())?,))
    })
}

/// Registers `wasi:cli/terminal-stdout@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_stdout_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:cli/terminal-stdout@0.3.0")?;
    instance.func_wrap("get-terminal-stdout", |mut context: Context<'_>, (): ()| {
        Ok((terminal_output(context.data_mut(), Output::Out)?,))
    })
}

/// Registers `wasi:cli/terminal-stderr@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_terminal_stderr_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:cli/terminal-stderr@0.3.0")?;
    instance.func_wrap("get-terminal-stderr", |mut context: Context<'_>, (): ()| {
        Ok((terminal_output(context.data_mut(), Output::Err)?,))
    })
}
