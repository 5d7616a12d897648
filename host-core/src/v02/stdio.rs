//! `wasi:cli/stdin`, `stdout` and `stderr`.

use super::io::{InputStream, OutputStream};
use crate::interface::{interface, plain};
use mwasm_ports::Output;

interface! {
    /// `wasi:cli/stdin@0.2`.
    STDIN = "wasi:cli/stdin", "0.2", "wasi:cli/stdin@0.2.0" {
        plain, "get-stdin", |mut context, (): ()| Ok((context.data_mut().table.push(InputStream::Console)?,));
    }
}

interface! {
    /// `wasi:cli/stdout@0.2`.
    STDOUT = "wasi:cli/stdout", "0.2", "wasi:cli/stdout@0.2.0" {
        plain, "get-stdout", |mut context, (): ()| {
            Ok((context.data_mut().table.push(OutputStream::Console(Output::Out))?,))
        };
    }
}

interface! {
    /// `wasi:cli/stderr@0.2`.
    STDERR = "wasi:cli/stderr", "0.2", "wasi:cli/stderr@0.2.0" {
        plain, "get-stderr", |mut context, (): ()| {
            Ok((context.data_mut().table.push(OutputStream::Console(Output::Err))?,))
        };
    }
}
