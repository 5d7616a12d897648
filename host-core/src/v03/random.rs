//! `wasi:random`: as at 0.2, but a call may give fewer bytes than asked for.

use crate::interface::{interface, plain};
use crate::v02::random::{MAX_BYTES, insecure_bytes, insecure_seed, insecure_u64, secure_bytes, secure_u64};

/// The most bytes that a call gives, which may be fewer than it asks for.
fn at_most(count: u64) -> u64 {
    count.min(MAX_BYTES)
}

interface! {
    /// `wasi:random/random@0.3`.
    RANDOM = "wasi:random/random", "0.3", "wasi:random/random@0.3.0" {
        plain, "get-random-bytes", |context, (count,)| secure_bytes(context, (at_most(count),));
        plain, "get-random-u64", secure_u64;
    }
}

interface! {
    /// `wasi:random/insecure@0.3`.
    INSECURE = "wasi:random/insecure", "0.3", "wasi:random/insecure@0.3.0" {
        plain, "get-insecure-random-bytes", |context, (count,)| insecure_bytes(context, (at_most(count),));
        plain, "get-insecure-random-u64", insecure_u64;
    }
}

interface! {
    /// `wasi:random/insecure-seed@0.3`.
    INSECURE_SEED = "wasi:random/insecure-seed", "0.3", "wasi:random/insecure-seed@0.3.0" {
        plain, "get-insecure-seed", insecure_seed;
    }
}
