//! `wasi:cli/environment`.

use super::Context;
use crate::state::State;
use alloc::string::String;
use wasmtime::Result;
use wasmtime::component::{Linker, LinkerInstance};

/// Defines the three functions, which are the same at 0.2 and 0.3 but for the name of one.
pub(crate) fn define(mut instance: LinkerInstance<'_, State>, initial_cwd: &str) -> Result<()> {
    instance.func_wrap("get-environment", |context: Context<'_>, (): ()| Ok((context.data().env.clone(),)))?;
    instance.func_wrap("get-arguments", |context: Context<'_>, (): ()| Ok((context.data().args.clone(),)))?;
    instance.func_wrap(initial_cwd, |_: Context<'_>, (): ()| Ok((None::<String>,)))
}

/// Registers `wasi:cli/environment@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_cli_environment_0_2(linker: &mut Linker<State>) -> Result<()> {
    define(linker.instance("wasi:cli/environment@0.2.0")?, "initial-cwd")
}
