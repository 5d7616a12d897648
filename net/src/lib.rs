//! The TCP/IP stack of images: sockets over an Ethernet device, with no operating system below.
//!
//! [`Stack`] implements the port [`Network`](mwasm_ports::network::Network) over the port
//! [`NetDevice`](mwasm_ports::net_device::NetDevice). What is above, `wasi:sockets` and `wasi:http`, knows the first port only, and what is
//! below, virtio, netfront or a TAP device, the second only; so either side, and the stack itself, can be another one day. The protocols
//! of IP, TCP and UDP are smoltcp's, of which nothing shows outside.
//!
//! # The layers
//!
//! ```text
//!   app            wasi:sockets, wasi:http (host-core)
//!   sockets        sockets   numbers that apps hold: listeners, streams, datagram sockets
//!   ---------------------------------------------------------------- one lock
//!   connections    tcp, connection   segments to connections, timers, wakers, the end of each
//!                  listener, handshake   SYNs, backlogs, TIME-WAIT
//!                  udp   queues, and the one socket that sends for all
//!   addresses      addresses, slaac   fixed, DHCP, router advertisements; ways; name servers
//!   protocols      smoltcp   IP, TCP, ARP, neighbour discovery, ICMP, DHCP; `time` is its clock
//!   adapter        port, packet, checksum   what smoltcp takes for its device; what a frame is, before smoltcp sees it
//!   ---------------------------------------------------------------- NetDevice
//!   driver         virtio, netfront, TAP (host-*), or a cable in memory (ports)
//! ```
//!
//! [`resolver`] is beside that: it looks names up over the sockets of any network.
//!
//! # The way of a packet
//!
//! `inner` has the loop. A frame comes in so:
//!
//! 1. The device lends its buffer. `packet` checks lengths, the IP header and, if the device has not, the TCP or UDP checksum, and says
//!    which socket the frame is for. Whatever has no business here ends here.
//! 2. The connection is found by its addresses, and its socket of smoltcp, **alone in a set of its own**, is shown the frame. smoltcp looks
//!    at all sockets of a set for each packet; here it never sees more than one, so what a packet costs does not grow with the number of
//!    connections, and connections to which nothing happens cost nothing.
//! 3. smoltcp copies the payload to the socket's ring buffer (**the first copy**). An answer that cannot wait is written to a small buffer
//!    and sent when the device has its own back.
//! 4. The connection is put in the queue of those that may have something to send or to say; its turn comes after the batch, so that
//!    one acknowledgement answers many segments. Whoever waits for it is woken when the stack is unlocked.
//! 5. The app reads: from the ring buffer to where it wants the bytes, its own memory (**the second copy**).
//!
//! Out it goes the other way round: from the app to the ring buffer, where it must stay until it is acknowledged, and from there to the
//! buffer that the device sends from, with the headers around it. Both are counted ([`Statistics`]): two copies each way, none of
//! which is between the adapter and the device. A packet from one socket of this machine to another never sees the device; it goes
//! through a second interface of smoltcp, and has no checksum.
//!
//! # What is bounded
//!
//! Sockets (the plan's `max_sockets`), half-open and closed connections (`handshake`), datagrams that wait, what the resolver remembers,
//! and the work of one [`advance`](mwasm_ports::network::Network::advance). A connection takes its two buffers and about 1.4 KB; before
//! its handshake is over and after its end, some hundred bytes.
//!
//! # What there is not
//!
//! IP fragments, either way, and IPv6 extension headers: they are dropped. Detection of duplicate addresses, selective
//! acknowledgements that are acted upon (they are sent), TCP timestamps, multicast, and broadcasts to apps.
#![no_std]

extern crate alloc;

mod addresses;
mod bindings;
mod checksum;
mod connection;
mod handshake;
mod inner;
mod links;
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
mod time;
mod udp;

pub use links::{OpenCard, RawCard};
pub use stack::Stack;
pub use statistics::Statistics;
