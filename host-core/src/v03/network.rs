//! `wasi:sockets` at 0.3, refused ([`crate::refused`]).

use crate::State;
use crate::refused::{refuse, refuse_async};
use wasmtime::Result;
use wasmtime::component::Linker;

/// Functions of `wasi:sockets/types`.
const TYPES: &[&str] = &[
    "[static]tcp-socket.create", "[method]tcp-socket.bind", "[method]tcp-socket.listen",
    "[method]tcp-socket.send", "[method]tcp-socket.receive", "[method]tcp-socket.get-local-address",
    "[method]tcp-socket.get-remote-address", "[method]tcp-socket.get-is-listening",
    "[method]tcp-socket.get-address-family", "[method]tcp-socket.set-listen-backlog-size",
    "[method]tcp-socket.get-keep-alive-enabled", "[method]tcp-socket.set-keep-alive-enabled",
    "[method]tcp-socket.get-keep-alive-idle-time", "[method]tcp-socket.set-keep-alive-idle-time",
    "[method]tcp-socket.get-keep-alive-interval", "[method]tcp-socket.set-keep-alive-interval",
    "[method]tcp-socket.get-keep-alive-count", "[method]tcp-socket.set-keep-alive-count",
    "[method]tcp-socket.get-hop-limit", "[method]tcp-socket.set-hop-limit",
    "[method]tcp-socket.get-receive-buffer-size", "[method]tcp-socket.set-receive-buffer-size",
    "[method]tcp-socket.get-send-buffer-size", "[method]tcp-socket.set-send-buffer-size",
    "[static]udp-socket.create", "[method]udp-socket.bind", "[method]udp-socket.connect",
    "[method]udp-socket.disconnect", "[method]udp-socket.get-local-address",
    "[method]udp-socket.get-remote-address", "[method]udp-socket.get-address-family",
    "[method]udp-socket.get-unicast-hop-limit", "[method]udp-socket.set-unicast-hop-limit",
    "[method]udp-socket.get-receive-buffer-size", "[method]udp-socket.set-receive-buffer-size",
    "[method]udp-socket.get-send-buffer-size", "[method]udp-socket.set-send-buffer-size",
];

/// Registers `wasi:sockets/types@0.3`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_types_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:sockets/types@0.3.0")?;
    refuse(&mut instance, &["tcp-socket", "udp-socket"], TYPES)?;
    refuse_async(&mut instance, &["[method]tcp-socket.connect", "[method]udp-socket.send", "[method]udp-socket.receive"])
}

/// Registers `wasi:sockets/ip-name-lookup@0.3`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_ip_name_lookup_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:sockets/ip-name-lookup@0.3.0")?;
    refuse(&mut instance, &[], &[])?;
    refuse_async(&mut instance, &["resolve-addresses"])
}
