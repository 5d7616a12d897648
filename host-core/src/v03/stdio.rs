//! `wasi:cli/stdin`, `stdout` and `stderr`: streams of bytes.

use super::streams::{Failure, Input, Sink, read_stream, write_stream};
use crate::interface::{interface, plain};
use mwasm_ports::{ConsoleError, Output};
use wasmtime::component::{ComponentType, Lift, Lower, StreamReader};

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

interface! {
    /// `wasi:cli/stdin@0.3`.
    STDIN = "wasi:cli/stdin", "0.3", "wasi:cli/stdin@0.3.0" {
        plain, "read-via-stream", |context, (): ()| Ok((read_stream::<ErrorCode>(context, Input::Console)?,));
    }
}

interface! {
    /// `wasi:cli/stdout@0.3`.
    STDOUT = "wasi:cli/stdout", "0.3", "wasi:cli/stdout@0.3.0" {
        plain, "write-via-stream", |context, (data,): (StreamReader<u8>,)| {
            Ok((write_stream::<ErrorCode>(context, data, Sink::Console(Output::Out))?,))
        };
    }
}

interface! {
    /// `wasi:cli/stderr@0.3`.
    STDERR = "wasi:cli/stderr", "0.3", "wasi:cli/stderr@0.3.0" {
        plain, "write-via-stream", |context, (data,): (StreamReader<u8>,)| {
            Ok((write_stream::<ErrorCode>(context, data, Sink::Console(Output::Err))?,))
        };
    }
}
