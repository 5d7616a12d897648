//! The TCP/IP stack of images: sockets over an Ethernet device.
#![no_std]

extern crate alloc;

pub mod resolver;
mod stack;
mod statistics;

pub use stack::Stack;
pub use statistics::Statistics;
