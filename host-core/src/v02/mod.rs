//! WASI 0.2: what today's Rust, C, Go, Python and JavaScript emit. One module an interface, or a few that are one thing.

mod bytes;
mod config;
pub(crate) mod environment;
pub(crate) mod exit;
pub(crate) mod filesystem;
pub(crate) mod http;
mod io;
pub(crate) mod monotonic_clock;
mod poll;
pub(crate) mod preopens;
pub(crate) mod random;
mod sockets;
mod stdio;
mod streams;
pub(crate) mod terminal;
mod wall_clock;

use crate::interface::{Context, Interface};
use crate::state::Event;

/// All of them.
pub const INTERFACES: &[Interface] = &[
    config::STORE,
    environment::ENVIRONMENT,
    exit::EXIT,
    filesystem::TYPES,
    http::OUTGOING_HANDLER,
    http::TYPES,
    io::ERROR,
    monotonic_clock::MONOTONIC_CLOCK,
    poll::POLL,
    preopens::PREOPENS,
    random::INSECURE,
    random::INSECURE_SEED,
    random::RANDOM,
    sockets::INSTANCE_NETWORK,
    sockets::IP_NAME_LOOKUP,
    sockets::NETWORK,
    sockets::TCP,
    sockets::TCP_CREATE_SOCKET,
    sockets::UDP,
    sockets::UDP_CREATE_SOCKET,
    stdio::STDERR,
    stdio::STDIN,
    stdio::STDOUT,
    streams::STREAMS,
    terminal::INPUT,
    terminal::OUTPUT,
    terminal::STDERR,
    terminal::STDIN,
    terminal::STDOUT,
    wall_clock::WALL_CLOCK,
];

/// Waits until `event` has come. Looks first, so that what is ready costs no trip through the executor.
async fn wait_for(context: &mut Context<'_>, event: Event) {
    while !context.data_mut().is_ready(&event) {
        context.data().reactor.wait(event.interest()).await;
    }
}
