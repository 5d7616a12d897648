//! WASI 0.3: interfaces that say in their types what can block. One module an interface (or a few that are one thing); each ends in
//! its registration functions.
//!
//! A stream between a guest and the machine is a [`producer`](streams) or consumer that Wasmtime polls: it moves bytes between the
//! guest's own memory and the port, without a buffer in between where the guest is ready. What goes wrong is told through the future
//! that each of these functions returns beside the stream.

mod cli;
mod clocks;
mod filesystem;
mod network;
mod preopens;
mod random;
mod stdio;
mod streams;

pub use cli::{
    mwasm_iface_cli_environment_0_3, mwasm_iface_cli_exit_0_3, mwasm_iface_cli_terminal_input_0_3,
    mwasm_iface_cli_terminal_output_0_3, mwasm_iface_cli_terminal_stderr_0_3, mwasm_iface_cli_terminal_stdin_0_3,
    mwasm_iface_cli_terminal_stdout_0_3, mwasm_iface_cli_types_0_3,
};
pub use clocks::{
    mwasm_iface_clocks_monotonic_clock_0_3, mwasm_iface_clocks_system_clock_0_3, mwasm_iface_clocks_types_0_3,
};
pub use filesystem::mwasm_iface_filesystem_types_0_3;
pub use network::{mwasm_iface_sockets_ip_name_lookup_0_3, mwasm_iface_sockets_types_0_3};
pub use preopens::mwasm_iface_filesystem_preopens_0_3;
pub use random::{
    mwasm_iface_random_insecure_0_3, mwasm_iface_random_insecure_seed_0_3, mwasm_iface_random_random_0_3,
};
pub use stdio::{mwasm_iface_cli_stderr_0_3, mwasm_iface_cli_stdin_0_3, mwasm_iface_cli_stdout_0_3};

use crate::state::State;
use wasmtime::StoreContextMut;

/// The store as a host function sees it.
type Context<'a> = StoreContextMut<'a, State>;
