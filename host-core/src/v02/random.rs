//! `wasi:random`: secure bytes from the machine's source, and insecure ones from a generator of our own.
//!
//! The secure interface fails rather than give bytes that somebody could guess. The insecure one needs no device: it is seeded from
//! the clock, and is for hash tables and jitter only, as its specification says.

use super::Context;
use crate::state::State;
use alloc::vec::Vec;
use wasmtime::component::{Linker, LinkerInstance};
use wasmtime::{Error, Result};

/// The most bytes that one call gives. At 0.2 the function must give all that is asked for, so more is an error.
const MAX_BYTES: u64 = 1 << 20;

fn secure(state: &State, count: u64) -> Result<Vec<u8>> {
    let entropy = state.ports.entropy.as_ref();
    let entropy = entropy.ok_or_else(|| Error::msg("this machine has no source of secure randomness"))?;
    let mut bytes = zeros(count)?;
    entropy.fill(&mut bytes).map_err(Error::new)?;
    Ok(bytes)
}

fn zeros(count: u64) -> Result<Vec<u8>> {
    match usize::try_from(count) {
        Ok(bytes) if count <= MAX_BYTES => Ok(alloc::vec![0; bytes]),
        _ => Err(Error::msg(alloc::format!("{count} random bytes were asked for at once; at most {MAX_BYTES} are given"))),
    }
}

/// The next word of a SplitMix64 generator.
fn insecure_word(state: &mut State) -> u64 {
    if state.insecure_seed == 0 {
        let clock = &state.ports.clock;
        state.insecure_seed = clock.wall().as_ns() ^ clock.monotonic_ns().rotate_left(32) | 1;
    }
    state.insecure_seed = state.insecure_seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = state.insecure_seed;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn insecure(state: &mut State, count: u64) -> Result<Vec<u8>> {
    let mut bytes = zeros(count)?;
    for chunk in bytes.chunks_mut(8) {
        let word = insecure_word(state).to_le_bytes();
        chunk.iter_mut().zip(word).for_each(|(slot, byte)| *slot = byte);
    }
    Ok(bytes)
}

/// Defines `wasi:random/random`. At 0.3 it may give fewer bytes than asked for; it does so beyond [`MAX_BYTES`].
pub(crate) fn define_secure(mut instance: LinkerInstance<'_, State>, may_give_less: bool) -> Result<()> {
    instance.func_wrap("get-random-bytes", move |context: Context<'_>, (count,): (u64,)| {
        let count = if may_give_less { count.min(MAX_BYTES) } else { count };
        Ok((secure(context.data(), count)?,))
    })?;
    instance.func_wrap("get-random-u64", |context: Context<'_>, (): ()| {
        let bytes = secure(context.data(), 8)?;
        Ok((bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),))
    })
}

/// Defines `wasi:random/insecure`.
pub(crate) fn define_insecure(mut instance: LinkerInstance<'_, State>, may_give_less: bool) -> Result<()> {
    instance.func_wrap("get-insecure-random-bytes", move |mut context: Context<'_>, (count,): (u64,)| {
        let count = if may_give_less { count.min(MAX_BYTES) } else { count };
        Ok((insecure(context.data_mut(), count)?,))
    })?;
    instance.func_wrap("get-insecure-random-u64", |mut context: Context<'_>, (): ()| {
        Ok((insecure_word(context.data_mut()),))
    })
}

/// Defines the one function of `wasi:random/insecure-seed`.
pub(crate) fn define_seed(mut instance: LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.func_wrap(name, |mut context: Context<'_>, (): ()| {
        let state = context.data_mut();
        Ok(((insecure_word(state), insecure_word(state)),))
    })
}

/// Registers `wasi:random/random@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_random_random_0_2(linker: &mut Linker<State>) -> Result<()> {
    define_secure(linker.instance("wasi:random/random@0.2.0")?, false)
}

/// Registers `wasi:random/insecure@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_random_insecure_0_2(linker: &mut Linker<State>) -> Result<()> {
    define_insecure(linker.instance("wasi:random/insecure@0.2.0")?, false)
}

/// Registers `wasi:random/insecure-seed@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_random_insecure_seed_0_2(linker: &mut Linker<State>) -> Result<()> {
    define_seed(linker.instance("wasi:random/insecure-seed@0.2.0")?, "insecure-seed")
}
