//! The TCP/IP stack of images: sockets over an Ethernet device.
#![no_std]

extern crate alloc;

mod addresses;
mod bindings;
mod checksum;
mod connection;
mod handshake;
mod inner;
mod listener;
mod packet;
mod port;
mod reply;
pub mod resolver;
mod secret;
mod slaac;
mod slab;
mod sockets;
mod stack;
mod statistics;
mod tcp;
mod udp;

pub use stack::Stack;
pub use statistics::Statistics;
