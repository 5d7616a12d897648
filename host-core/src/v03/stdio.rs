//! `wasi:cli/stdin`, `stdout` and `stderr`: streams of bytes.

use super::Context;
use super::streams::{Failure, Input, Sink, read_stream, write_stream};
use crate::state::State;
use mwasm_ports::{ConsoleError, Output};
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, StreamReader};

/// `wasi:cli/types.error-code`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the type must have all cases of the specification")]
enum ErrorCode {
    #[component(name = "io")]
    Io,
    #[component(name = "illegal-byte-sequence")]
    IllegalByteSequence,
    #[component(name = "pipe")]
    Pipe,
}

impl From<Failure> for ErrorCode {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Console(ConsoleError::Closed) => Self::Pipe,
            Failure::Console(ConsoleError::Device) | Failure::File(_) => Self::Io,
        }
    }
}

/// Registers `wasi:cli/stdin@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_stdin_0_3(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:cli/stdin@0.3.0")?.func_wrap("read-via-stream", |context: Context<'_>, (): ()| {
        Ok((read_stream::<ErrorCode>(context, Input::Console)?,))
    })
}

fn define_output(mut instance: LinkerInstance<'_, State>, to: Output) -> Result<()> {
    instance.func_wrap("write-via-stream", move |context: Context<'_>, (data,): (StreamReader<u8>,)| {
        Ok((write_stream::<ErrorCode>(context, data, Sink::Console(to))?,))
    })
}

/// Registers `wasi:cli/stdout@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_stdout_0_3(linker: &mut Linker<State>) -> Result<()> {
    define_output(linker.instance("wasi:cli/stdout@0.3.0")?, Output::Out)
}

/// Registers `wasi:cli/stderr@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_stderr_0_3(linker: &mut Linker<State>) -> Result<()> {
    define_output(linker.instance("wasi:cli/stderr@0.3.0")?, Output::Err)
}
