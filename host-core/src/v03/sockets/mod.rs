//! `wasi:sockets` at 0.3: what may wait is `async`, and what comes and goes are streams.
//!
//! [`crate::sockets`] does the work; here are the types of this version, and [`streams`], which move bytes between the socket and the
//! guest's own memory.

mod error;
mod names;
pub(crate) mod streams;
mod tcp;
mod udp;

pub use names::IP_NAME_LOOKUP;

use crate::interface::{handle, interface, item, plain};
use crate::sockets::address::{Family, SocketAddress};
use crate::sockets::udp::UdpSocket;
use crate::v03::concurrent;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use tcp::{Tcp, TcpHandle};
use udp::UdpHandle;
use wasmtime::component::StreamReader;

interface! {
    /// `wasi:sockets/types@0.3`.
    TYPES = "wasi:sockets/types", "0.3", "wasi:sockets/types@0.3.0" {
        item, "tcp-socket", handle::<TcpHandle>;
        plain, "[static]tcp-socket.create", |mut context, (family,): (Family,)| tcp::create(context.data_mut(), family);
        plain, "[method]tcp-socket.bind", |context, (socket, local): (Tcp, SocketAddress)| {
            tcp::with(context.data(), &socket, |socket| tcp::bind(socket, local))
        };
        concurrent, "[method]tcp-socket.connect", |accessor, (socket, remote): (Tcp, SocketAddress)| {
            Box::pin(tcp::connect(accessor, socket, remote))
        };
        plain, "[method]tcp-socket.listen", |context, (socket,): (Tcp,)| tcp::listen(context, &socket);
        plain, "[method]tcp-socket.send", |context, (socket, data): (Tcp, StreamReader<u8>)| {
            tcp::send(context, &socket, data)
        };
        plain, "[method]tcp-socket.receive", |context, (socket,): (Tcp,)| tcp::receive(context, &socket);
        plain, "[method]tcp-socket.get-local-address", |context, (socket,): (Tcp,)| {
            tcp::with(context.data(), &socket, |socket| socket.local().map(SocketAddress::from))
        };
        plain, "[method]tcp-socket.get-remote-address", |context, (socket,): (Tcp,)| {
            tcp::with(context.data(), &socket, |socket| {
                socket.connection().map(|connection| SocketAddress::from(connection.remote()))
            })
        };
        plain, "[method]tcp-socket.get-is-listening", |context, (socket,): (Tcp,)| {
            Ok((tcp::is_listening(context.data(), &socket)?,))
        };
        plain, "[method]tcp-socket.get-address-family", |context, (socket,): (Tcp,)| {
            Ok((tcp::family(context.data(), &socket)?,))
        };
        plain, "[method]tcp-socket.set-listen-backlog-size", |context, (socket, value): (Tcp, u64)| {
            tcp::with(context.data(), &socket, |socket| socket.set_backlog(value))
        };
        plain, "[method]tcp-socket.get-keep-alive-enabled", |context, (socket,): (Tcp,)| {
            tcp::get(&context, &socket, |options| options.keep_alive)
        };
        plain, "[method]tcp-socket.set-keep-alive-enabled", |context, (socket, value): (Tcp, bool)| {
            tcp::with(context.data(), &socket, |socket| socket.set_options(|options| options.keep_alive = value))
        };
        plain, "[method]tcp-socket.get-keep-alive-idle-time", |context, (socket,): (Tcp,)| {
            tcp::get(&context, &socket, |options| options.keep_alive_idle_ns)
        };
        plain, "[method]tcp-socket.set-keep-alive-idle-time", |context, (socket, value): (Tcp, u64)| {
            tcp::set(&context, &socket, value, |options, value| options.keep_alive_idle_ns = value)
        };
        plain, "[method]tcp-socket.get-keep-alive-interval", |context, (socket,): (Tcp,)| {
            tcp::get(&context, &socket, |options| options.keep_alive_interval_ns)
        };
        plain, "[method]tcp-socket.set-keep-alive-interval", |context, (socket, value): (Tcp, u64)| {
            tcp::set(&context, &socket, value, |options, value| options.keep_alive_interval_ns = value)
        };
        plain, "[method]tcp-socket.get-keep-alive-count", |context, (socket,): (Tcp,)| {
            tcp::get(&context, &socket, |options| options.keep_alive_count)
        };
        plain, "[method]tcp-socket.set-keep-alive-count", |context, (socket, value): (Tcp, u32)| {
            tcp::set(&context, &socket, value, |options, value| options.keep_alive_count = value)
        };
        plain, "[method]tcp-socket.get-hop-limit", |context, (socket,): (Tcp,)| {
            tcp::get(&context, &socket, |options| options.hop_limit)
        };
        plain, "[method]tcp-socket.set-hop-limit", |context, (socket, value): (Tcp, u8)| {
            tcp::set(&context, &socket, value, |options, value| options.hop_limit = value)
        };
        plain, "[method]tcp-socket.get-receive-buffer-size", |context, (socket,): (Tcp,)| {
            tcp::get(&context, &socket, |options| options.receive_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]tcp-socket.set-receive-buffer-size", |context, (socket, value): (Tcp, u64)| {
            tcp::set(&context, &socket, value, |options, value| options.receive_buffer_bytes = Some(value))
        };
        plain, "[method]tcp-socket.get-send-buffer-size", |context, (socket,): (Tcp,)| {
            tcp::get(&context, &socket, |options| options.send_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]tcp-socket.set-send-buffer-size", |context, (socket, value): (Tcp, u64)| {
            tcp::set(&context, &socket, value, |options, value| options.send_buffer_bytes = Some(value))
        };
        item, "udp-socket", handle::<UdpSocket>;
        plain, "[static]udp-socket.create", |mut context, (family,): (Family,)| udp::create(context.data_mut(), family);
        plain, "[method]udp-socket.bind", |context, (socket, local): (UdpHandle, SocketAddress)| {
            udp::with(context, &socket, |socket| udp::bind(socket, local))
        };
        plain, "[method]udp-socket.connect", |context, (socket, peer): (UdpHandle, SocketAddress)| {
            udp::with(context, &socket, |socket| udp::connect(socket, peer))
        };
        plain, "[method]udp-socket.disconnect", |context, (socket,): (UdpHandle,)| {
            udp::with(context, &socket, udp::disconnect)
        };
        concurrent, "[method]udp-socket.send",
            |accessor, (socket, data, to): (UdpHandle, Vec<u8>, Option<SocketAddress>)| {
                Box::pin(udp::send(accessor, socket, data, to.map(SocketAddr::from)))
            };
        concurrent, "[method]udp-socket.receive", |accessor, (socket,): (UdpHandle,)| {
            Box::pin(udp::receive(accessor, socket))
        };
        plain, "[method]udp-socket.get-local-address", |context, (socket,): (UdpHandle,)| {
            udp::with(context, &socket, |socket| {
                socket.datagrams().map(|datagrams| SocketAddress::from(datagrams.local()))
            })
        };
        plain, "[method]udp-socket.get-remote-address", |context, (socket,): (UdpHandle,)| {
            udp::with(context, &socket, udp::peer)
        };
        plain, "[method]udp-socket.get-address-family", |context, (socket,): (UdpHandle,)| {
            Ok((context.data().table.get(&socket)?.family(),))
        };
        plain, "[method]udp-socket.get-unicast-hop-limit", |context, (socket,): (UdpHandle,)| {
            udp::get(context, &socket, |options| options.hop_limit)
        };
        plain, "[method]udp-socket.set-unicast-hop-limit", |context, (socket, value): (UdpHandle, u8)| {
            udp::set(context, &socket, value, |options, value| options.hop_limit = value)
        };
        plain, "[method]udp-socket.get-receive-buffer-size", |context, (socket,): (UdpHandle,)| {
            udp::get(context, &socket, |options| options.receive_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]udp-socket.set-receive-buffer-size", |context, (socket, value): (UdpHandle, u64)| {
            udp::set(context, &socket, value, |options, value| options.receive_buffer_bytes = Some(value))
        };
        plain, "[method]udp-socket.get-send-buffer-size", |context, (socket,): (UdpHandle,)| {
            udp::get(context, &socket, |options| options.send_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]udp-socket.set-send-buffer-size", |context, (socket, value): (UdpHandle, u64)| {
            udp::set(context, &socket, value, |options, value| options.send_buffer_bytes = Some(value))
        };
    }
}
