//! Ethernet ports of the machine, for apps that bring their own protocol: whole frames, and no stack in between.
//!
//! ```text
//!   mwasm:net/link (host-core) -> policy -> Links -> NetDevice -> wire
//! ```
//!
//! A machine that lends its device to the app has no sockets; so a [`Network`](crate::network::Network) offers one or the other, and
//! [`Network::links`](crate::network::Network::links) tells. As there, no call waits, and wakers are only called from
//! [`Network::advance`](crate::network::Network::advance). Several callers may wait for one port.

use crate::net_device::MacAddress;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::task::{Context, Poll};

/// The name of a machine's only network card.
pub const FIRST_PORT: &str = "eth0";

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPort {
    /// Its name; no two ports of a machine have the same.
    pub name: String,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// The largest payload of a frame, in bytes.
    pub mtu_bytes: u16,
    /// Whether the cable is plugged in.
    pub up: bool,
}

/// Why a frame could not be sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The machine has no such port, or not any more.
    NoSuchPort,
    /// The frame is longer than the port takes, or shorter than its header.
    BadLength,
    /// The cable is unplugged.
    Down,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchPort => "the machine has no such port",
            Self::BadLength => "the frame is longer than the port takes, or shorter than an Ethernet header",
            Self::Down => "the port has no link",
        })
    }
}

impl core::error::Error for LinkError {}

/// The ports of a machine.
pub trait Links: Send + Sync {
    /// The ports that there are now.
    fn ports(&self) -> Vec<LinkPort>;
    /// Queues a frame; it leaves at the next [`Links::flush`] at the latest.
    fn poll_send(&self, port: &str, frame: &[u8], context: &mut Context<'_>) -> Poll<Result<(), LinkError>>;
    /// Has the frames that were queued leave.
    fn flush(&self, port: &str);
    /// The oldest frame that came.
    fn poll_receive(&self, port: &str, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, LinkError>>;
    /// Ready once [`Links::ports`] may give something else than when this number was `seen`; returns the number of now. 0 is before
    /// everything.
    fn poll_changed(&self, seen: u64, context: &mut Context<'_>) -> Poll<u64>;
}
