//! `wasi:random`: secure bytes from the machine's source, and insecure ones from a generator of our own.
//!
//! The secure interface fails rather than give bytes that somebody could guess. The insecure one needs no device: it is seeded from
//! the clock, and is for hash tables and jitter only, as its specification says.

use crate::interface::{Context, interface, plain};
use crate::state::State;
use alloc::vec::Vec;
use wasmtime::{Error, Result};

/// The most bytes that one call gives. At 0.2 the function must give all that is asked for, so more is an error.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

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
        _ => Err(Error::msg(alloc::format!(
            "{count} random bytes were asked for at once; at most {MAX_BYTES} are given"
        ))),
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

pub(crate) fn secure_bytes(context: Context<'_>, (count,): (u64,)) -> Result<(Vec<u8>,)> {
    Ok((secure(context.data(), count)?,))
}

pub(crate) fn secure_u64(context: Context<'_>, (): ()) -> Result<(u64,)> {
    let bytes = secure(context.data(), 8)?;
    Ok((bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),))
}

pub(crate) fn insecure_bytes(mut context: Context<'_>, (count,): (u64,)) -> Result<(Vec<u8>,)> {
    Ok((insecure(context.data_mut(), count)?,))
}

pub(crate) fn insecure_u64(mut context: Context<'_>, (): ()) -> Result<(u64,)> {
    Ok((insecure_word(context.data_mut()),))
}

pub(crate) fn insecure_seed(mut context: Context<'_>, (): ()) -> Result<((u64, u64),)> {
    let state = context.data_mut();
    Ok(((insecure_word(state), insecure_word(state)),))
}

interface! {
    /// `wasi:random/random@0.2`.
    RANDOM = "wasi:random/random", "0.2", "wasi:random/random@0.2.0" {
        plain, "get-random-bytes", secure_bytes;
        plain, "get-random-u64", secure_u64;
    }
}

interface! {
    /// `wasi:random/insecure@0.2`.
    INSECURE = "wasi:random/insecure", "0.2", "wasi:random/insecure@0.2.0" {
        plain, "get-insecure-random-bytes", insecure_bytes;
        plain, "get-insecure-random-u64", insecure_u64;
    }
}

interface! {
    /// `wasi:random/insecure-seed@0.2`.
    INSECURE_SEED = "wasi:random/insecure-seed", "0.2", "wasi:random/insecure-seed@0.2.0" {
        plain, "insecure-seed", insecure_seed;
    }
}
