//! `wasi:sockets` and `wasi:http` at 0.2, refused ([`crate::refused`]).

use crate::State;
use crate::refused::{Refused, refuse};
use wasmtime::component::Linker;
use wasmtime::{Result, StoreContextMut};

/// Functions of `wasi:sockets/tcp`.
const TCP: &[&str] = &[
    "[method]tcp-socket.start-bind", "[method]tcp-socket.finish-bind", "[method]tcp-socket.start-connect",
    "[method]tcp-socket.finish-connect", "[method]tcp-socket.start-listen", "[method]tcp-socket.finish-listen",
    "[method]tcp-socket.accept", "[method]tcp-socket.local-address", "[method]tcp-socket.remote-address",
    "[method]tcp-socket.is-listening", "[method]tcp-socket.address-family",
    "[method]tcp-socket.set-listen-backlog-size", "[method]tcp-socket.keep-alive-enabled",
    "[method]tcp-socket.set-keep-alive-enabled", "[method]tcp-socket.keep-alive-idle-time",
    "[method]tcp-socket.set-keep-alive-idle-time", "[method]tcp-socket.keep-alive-interval",
    "[method]tcp-socket.set-keep-alive-interval", "[method]tcp-socket.keep-alive-count",
    "[method]tcp-socket.set-keep-alive-count", "[method]tcp-socket.hop-limit",
    "[method]tcp-socket.set-hop-limit", "[method]tcp-socket.receive-buffer-size",
    "[method]tcp-socket.set-receive-buffer-size", "[method]tcp-socket.send-buffer-size",
    "[method]tcp-socket.set-send-buffer-size", "[method]tcp-socket.subscribe", "[method]tcp-socket.shutdown",
];

/// Functions of `wasi:sockets/udp`.
const UDP: &[&str] = &[
    "[method]udp-socket.start-bind", "[method]udp-socket.finish-bind", "[method]udp-socket.stream",
    "[method]udp-socket.local-address", "[method]udp-socket.remote-address",
    "[method]udp-socket.address-family", "[method]udp-socket.unicast-hop-limit",
    "[method]udp-socket.set-unicast-hop-limit", "[method]udp-socket.receive-buffer-size",
    "[method]udp-socket.set-receive-buffer-size", "[method]udp-socket.send-buffer-size",
    "[method]udp-socket.set-send-buffer-size", "[method]udp-socket.subscribe",
    "[method]incoming-datagram-stream.receive", "[method]incoming-datagram-stream.subscribe",
    "[method]outgoing-datagram-stream.check-send", "[method]outgoing-datagram-stream.send",
    "[method]outgoing-datagram-stream.subscribe",
];

/// Functions of `wasi:http/types`.
const HTTP_TYPES: &[&str] = &[
    "[constructor]fields", "[static]fields.from-list", "[method]fields.get", "[method]fields.has",
    "[method]fields.set", "[method]fields.delete", "[method]fields.append", "[method]fields.entries",
    "[method]fields.clone", "[method]incoming-request.method", "[method]incoming-request.path-with-query",
    "[method]incoming-request.scheme", "[method]incoming-request.authority", "[method]incoming-request.headers",
    "[method]incoming-request.consume", "[constructor]outgoing-request", "[method]outgoing-request.body",
    "[method]outgoing-request.method", "[method]outgoing-request.set-method",
    "[method]outgoing-request.path-with-query", "[method]outgoing-request.set-path-with-query",
    "[method]outgoing-request.scheme", "[method]outgoing-request.set-scheme",
    "[method]outgoing-request.authority", "[method]outgoing-request.set-authority",
    "[method]outgoing-request.headers", "[constructor]request-options",
    "[method]request-options.connect-timeout", "[method]request-options.set-connect-timeout",
    "[method]request-options.first-byte-timeout", "[method]request-options.set-first-byte-timeout",
    "[method]request-options.between-bytes-timeout", "[method]request-options.set-between-bytes-timeout",
    "[method]response-outparam.send-informational", "[static]response-outparam.set",
    "[method]incoming-response.status", "[method]incoming-response.headers",
    "[method]incoming-response.consume", "[method]incoming-body.stream", "[static]incoming-body.finish",
    "[method]future-trailers.subscribe", "[method]future-trailers.get", "[constructor]outgoing-response",
    "[method]outgoing-response.status-code", "[method]outgoing-response.set-status-code",
    "[method]outgoing-response.headers", "[method]outgoing-response.body", "[method]outgoing-body.write",
    "[static]outgoing-body.finish", "[method]future-incoming-response.subscribe",
    "[method]future-incoming-response.get", "http-error-code",
];

/// Registers `wasi:sockets/network@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_network_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:sockets/network@0.2.0")?, &["network"], &["network-error-code"])
}

/// Registers `wasi:sockets/instance-network@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_instance_network_0_2(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:sockets/instance-network@0.2.0")?.func_wrap("instance-network", |mut context: StoreContextMut<'_, State>, (): ()| {
        Ok((context.data_mut().table.push(Refused)?,))
    })
}

/// Registers `wasi:sockets/ip-name-lookup@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_ip_name_lookup_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:sockets/ip-name-lookup@0.2.0")?, &["resolve-address-stream"], &["[method]resolve-address-stream.resolve-next-address", "[method]resolve-address-stream.subscribe", "resolve-addresses"])
}

/// Registers `wasi:sockets/tcp@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_tcp_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:sockets/tcp@0.2.0")?, &["tcp-socket"], TCP)
}

/// Registers `wasi:sockets/tcp-create-socket@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_tcp_create_socket_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:sockets/tcp-create-socket@0.2.0")?, &[], &["create-tcp-socket"])
}

/// Registers `wasi:sockets/udp@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_udp_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:sockets/udp@0.2.0")?, &["udp-socket", "incoming-datagram-stream", "outgoing-datagram-stream"], UDP)
}

/// Registers `wasi:sockets/udp-create-socket@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_sockets_udp_create_socket_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:sockets/udp-create-socket@0.2.0")?, &[], &["create-udp-socket"])
}

/// Registers `wasi:http/types@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_http_types_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:http/types@0.2.0")?, &["fields", "incoming-request", "outgoing-request", "request-options", "response-outparam", "incoming-response", "incoming-body", "future-trailers", "outgoing-response", "outgoing-body", "future-incoming-response"], HTTP_TYPES)
}

/// Registers `wasi:http/outgoing-handler@0.2`, refused.
#[unsafe(no_mangle)]
pub fn mwasm_iface_http_outgoing_handler_0_2(linker: &mut Linker<State>) -> Result<()> {
    refuse(&mut linker.instance("wasi:http/outgoing-handler@0.2.0")?, &[], &["handle"])
}
