//! WASI 0.2: what today's Rust, C, Go, Python and JavaScript emit. One module an interface (or a few that are one thing); each
//! ends in its registration functions.
//!
//! A function that may have to wait is registered as async and awaits [`wait_for`]; everything else is a plain call. Registered
//! names end in `@0.2.0`: Wasmtime's linker matches any `0.2.x` to it.

mod config;
pub(crate) mod environment;
pub(crate) mod exit;
pub(crate) mod filesystem;
mod io;
mod monotonic_clock;
mod network;
mod poll;
pub(crate) mod preopens;
pub(crate) mod random;
mod stdio;
mod streams;
pub(crate) mod terminal;
mod wall_clock;

pub use config::mwasm_iface_config_store_0_2_0_rc_1;
pub use environment::mwasm_iface_cli_environment_0_2;
pub use exit::mwasm_iface_cli_exit_0_2;
pub use filesystem::mwasm_iface_filesystem_types_0_2;
pub use io::mwasm_iface_io_error_0_2;
pub use network::{
    mwasm_iface_http_outgoing_handler_0_2, mwasm_iface_http_types_0_2, mwasm_iface_sockets_instance_network_0_2,
    mwasm_iface_sockets_ip_name_lookup_0_2, mwasm_iface_sockets_network_0_2, mwasm_iface_sockets_tcp_0_2,
    mwasm_iface_sockets_tcp_create_socket_0_2, mwasm_iface_sockets_udp_0_2, mwasm_iface_sockets_udp_create_socket_0_2,
};
pub use monotonic_clock::mwasm_iface_clocks_monotonic_clock_0_2;
pub use poll::mwasm_iface_io_poll_0_2;
pub use preopens::mwasm_iface_filesystem_preopens_0_2;
pub use random::{
    mwasm_iface_random_insecure_0_2, mwasm_iface_random_insecure_seed_0_2, mwasm_iface_random_random_0_2,
};
pub use stdio::{mwasm_iface_cli_stderr_0_2, mwasm_iface_cli_stdin_0_2, mwasm_iface_cli_stdout_0_2};
pub use streams::mwasm_iface_io_streams_0_2;
pub use terminal::{
    mwasm_iface_cli_terminal_input_0_2, mwasm_iface_cli_terminal_output_0_2, mwasm_iface_cli_terminal_stderr_0_2,
    mwasm_iface_cli_terminal_stdin_0_2, mwasm_iface_cli_terminal_stdout_0_2,
};
pub use wall_clock::mwasm_iface_clocks_wall_clock_0_2;

pub(crate) use io::drop_resource;

use crate::state::{Event, State};
use wasmtime::StoreContextMut;

/// The store as a host function sees it.
type Context<'a> = StoreContextMut<'a, State>;

/// Waits until `event` has come. Looks first, so that what is ready costs no trip through the executor.
async fn wait_for(context: &mut Context<'_>, event: Event) {
    while !context.data_mut().is_ready(event) {
        let (deadline_ns, interest) = event.wait_for();
        context.data().reactor.wait(deadline_ns, interest).await;
    }
}
