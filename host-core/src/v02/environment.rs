//! `wasi:cli/environment`.

use crate::interface::{Context, interface, plain};
use alloc::string::String;
use alloc::vec::Vec;
use wasmtime::Result;

pub(crate) fn environment(context: Context<'_>, (): ()) -> Result<(Vec<(String, String)>,)> {
    Ok((context.data().env.clone(),))
}

pub(crate) fn arguments(context: Context<'_>, (): ()) -> Result<(Vec<String>,)> {
    Ok((context.data().args.clone(),))
}

/// An app has no working directory: paths are relative to the directories that it is given.
pub(crate) fn initial_cwd(_: Context<'_>, (): ()) -> Result<(Option<String>,)> {
    Ok((None,))
}

interface! {
    /// `wasi:cli/environment@0.2`.
    ENVIRONMENT = "wasi:cli/environment", "0.2", "wasi:cli/environment@0.2.0" {
        plain, "get-environment", environment;
        plain, "get-arguments", arguments;
        plain, "initial-cwd", initial_cwd;
    }
}
