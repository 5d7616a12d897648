//! What a Rust app may link, to use the services of its host in Rust's own terms.
//!
//! An app needs none of this: it is an ordinary component, and Rust's standard library covers files, time and streams. Here is what the
//! standard library has no word for. Today that is [`config`], the values that `mwasm.toml` or `--set K=V` give an app. The crate knows
//! WIT only, and nothing of hosts; on any other runtime that serves `wasi:config` it works as well.

pub mod config;
