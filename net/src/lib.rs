//! The TCP/IP stack of images: sockets over an Ethernet device.
#![no_std]

extern crate alloc;
