//! `wasi:cli/stdin`, `stdout` and `stderr`.

use super::Context;
use super::io::{InputStream, OutputStream};
use crate::state::State;
use mwasm_ports::Output;
use wasmtime::Result;
use wasmtime::component::Linker;

/// Registers `wasi:cli/stdin@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_stdin_0_2(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:cli/stdin@0.2.0")?.func_wrap("get-stdin", |mut context: Context<'_>, (): ()| {
        Ok((context.data_mut().table.push(InputStream::Console)?,))
    })
}

/// Registers `wasi:cli/stdout@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_stdout_0_2(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:cli/stdout@0.2.0")?.func_wrap("get-stdout", |mut context: Context<'_>, (): ()| {
        Ok((context.data_mut().table.push(OutputStream::Console(Output::Out))?,))
    })
}

/// Registers `wasi:cli/stderr@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_stderr_0_2(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:cli/stderr@0.2.0")?.func_wrap("get-stderr", |mut context: Context<'_>, (): ()| {
        Ok((context.data_mut().table.push(OutputStream::Console(Output::Err))?,))
    })
}
