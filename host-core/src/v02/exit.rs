//! `wasi:cli/exit`. Its functions do not return: their error unwinds the guest.

use crate::failure::Exit;
use crate::interface::{Context, interface, plain};
use wasmtime::{Error, Result};

pub(crate) fn exit(_: Context<'_>, (status,): (Result<(), ()>,)) -> Result<()> {
    Err(Error::new(Exit(u8::from(status.is_err()))))
}

pub(crate) fn exit_with_code(_: Context<'_>, (code,): (u8,)) -> Result<()> {
    Err(Error::new(Exit(code)))
}

interface! {
    /// `wasi:cli/exit@0.2`.
    EXIT = "wasi:cli/exit", "0.2", "wasi:cli/exit@0.2.0" {
        plain, "exit", exit;
        plain, "exit-with-code", exit_with_code;
    }
}
