//! `wasi:cli/exit`.

use super::Context;
use crate::failure::Exit;
use crate::state::State;
use wasmtime::component::{Linker, LinkerInstance};
use wasmtime::{Error, Result};

/// Defines the two functions, which are the same at 0.2 and 0.3. They do not return: the error unwinds the guest.
pub(crate) fn define(mut instance: LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("exit", |_: Context<'_>, (status,): (Result<(), ()>,)| -> Result<()> {
        Err(Error::new(Exit(u8::from(status.is_err()))))
    })?;
    instance.func_wrap("exit-with-code", |_: Context<'_>, (code,): (u8,)| -> Result<()> { Err(Error::new(Exit(code))) })
}

/// Registers `wasi:cli/exit@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_exit_0_2(linker: &mut Linker<State>) -> Result<()> {
    define(linker.instance("wasi:cli/exit@0.2.0")?)
}
