//! `wasi:random`: as at 0.2, but a call may give fewer bytes than asked for.

use crate::state::State;
use crate::v02::random::{define_insecure, define_secure, define_seed};
use wasmtime::Result;
use wasmtime::component::Linker;

/// Registers `wasi:random/random@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_random_random_0_3(linker: &mut Linker<State>) -> Result<()> {
    define_secure(linker.instance("wasi:random/random@0.3.0")?, true)
}

/// Registers `wasi:random/insecure@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_random_insecure_0_3(linker: &mut Linker<State>) -> Result<()> {
    define_insecure(linker.instance("wasi:random/insecure@0.3.0")?, true)
}

/// Registers `wasi:random/insecure-seed@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_random_insecure_seed_0_3(linker: &mut Linker<State>) -> Result<()> {
    define_seed(linker.instance("wasi:random/insecure-seed@0.3.0")?, "get-insecure-seed")
}
