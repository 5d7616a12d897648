//! `wasi:sockets` at 0.2: each operation that may take time has a start, a finish and a pollable.
//!
//! [`crate::sockets`] does the work; here are the types of this version, and [`streams`], by which a connection is a pair of streams of
//! `wasi:io`.

mod error;
mod names;
mod network;
mod streams;
mod tcp;
mod udp;

pub use names::IP_NAME_LOOKUP;
pub use network::{INSTANCE_NETWORK, NETWORK};
pub use tcp::{TCP, TCP_CREATE_SOCKET};
pub use udp::{UDP, UDP_CREATE_SOCKET};
