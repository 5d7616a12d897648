//! `wasi:sockets` and `wasi:http` at 0.2, refused ([`crate::refused`]).

use crate::interface::{handle, interface, item, plain};
use crate::refused::{Refused, refuse};

interface! {
    /// `wasi:sockets/network@0.2`, refused.
    NETWORK = "wasi:sockets/network", "0.2", "wasi:sockets/network@0.2.0" {
        item, "network", handle::<Refused>;
        item, "network-error-code", refuse;
    }
}

interface! {
    /// `wasi:sockets/instance-network@0.2`, refused.
    INSTANCE_NETWORK = "wasi:sockets/instance-network", "0.2", "wasi:sockets/instance-network@0.2.0" {
        plain, "instance-network", |mut context, (): ()| Ok((context.data_mut().table.push(Refused)?,));
    }
}

interface! {
    /// `wasi:sockets/ip-name-lookup@0.2`, refused.
    IP_NAME_LOOKUP = "wasi:sockets/ip-name-lookup", "0.2", "wasi:sockets/ip-name-lookup@0.2.0" {
        item, "resolve-address-stream", handle::<Refused>;
        item, "[method]resolve-address-stream.resolve-next-address", refuse;
        item, "[method]resolve-address-stream.subscribe", refuse;
        item, "resolve-addresses", refuse;
    }
}

interface! {
    /// `wasi:sockets/tcp@0.2`, refused.
    TCP = "wasi:sockets/tcp", "0.2", "wasi:sockets/tcp@0.2.0" {
        item, "tcp-socket", handle::<Refused>;
        item, "[method]tcp-socket.start-bind", refuse;
        item, "[method]tcp-socket.finish-bind", refuse;
        item, "[method]tcp-socket.start-connect", refuse;
        item, "[method]tcp-socket.finish-connect", refuse;
        item, "[method]tcp-socket.start-listen", refuse;
        item, "[method]tcp-socket.finish-listen", refuse;
        item, "[method]tcp-socket.accept", refuse;
        item, "[method]tcp-socket.local-address", refuse;
        item, "[method]tcp-socket.remote-address", refuse;
        item, "[method]tcp-socket.is-listening", refuse;
        item, "[method]tcp-socket.address-family", refuse;
        item, "[method]tcp-socket.set-listen-backlog-size", refuse;
        item, "[method]tcp-socket.keep-alive-enabled", refuse;
        item, "[method]tcp-socket.set-keep-alive-enabled", refuse;
        item, "[method]tcp-socket.keep-alive-idle-time", refuse;
        item, "[method]tcp-socket.set-keep-alive-idle-time", refuse;
        item, "[method]tcp-socket.keep-alive-interval", refuse;
        item, "[method]tcp-socket.set-keep-alive-interval", refuse;
        item, "[method]tcp-socket.keep-alive-count", refuse;
        item, "[method]tcp-socket.set-keep-alive-count", refuse;
        item, "[method]tcp-socket.hop-limit", refuse;
        item, "[method]tcp-socket.set-hop-limit", refuse;
        item, "[method]tcp-socket.receive-buffer-size", refuse;
        item, "[method]tcp-socket.set-receive-buffer-size", refuse;
        item, "[method]tcp-socket.send-buffer-size", refuse;
        item, "[method]tcp-socket.set-send-buffer-size", refuse;
        item, "[method]tcp-socket.subscribe", refuse;
        item, "[method]tcp-socket.shutdown", refuse;
    }
}

interface! {
    /// `wasi:sockets/tcp-create-socket@0.2`, refused.
    TCP_CREATE_SOCKET = "wasi:sockets/tcp-create-socket", "0.2", "wasi:sockets/tcp-create-socket@0.2.0" {
        item, "create-tcp-socket", refuse;
    }
}

interface! {
    /// `wasi:sockets/udp@0.2`, refused.
    UDP = "wasi:sockets/udp", "0.2", "wasi:sockets/udp@0.2.0" {
        item, "udp-socket", handle::<Refused>;
        item, "incoming-datagram-stream", handle::<Refused>;
        item, "outgoing-datagram-stream", handle::<Refused>;
        item, "[method]udp-socket.start-bind", refuse;
        item, "[method]udp-socket.finish-bind", refuse;
        item, "[method]udp-socket.stream", refuse;
        item, "[method]udp-socket.local-address", refuse;
        item, "[method]udp-socket.remote-address", refuse;
        item, "[method]udp-socket.address-family", refuse;
        item, "[method]udp-socket.unicast-hop-limit", refuse;
        item, "[method]udp-socket.set-unicast-hop-limit", refuse;
        item, "[method]udp-socket.receive-buffer-size", refuse;
        item, "[method]udp-socket.set-receive-buffer-size", refuse;
        item, "[method]udp-socket.send-buffer-size", refuse;
        item, "[method]udp-socket.set-send-buffer-size", refuse;
        item, "[method]udp-socket.subscribe", refuse;
        item, "[method]incoming-datagram-stream.receive", refuse;
        item, "[method]incoming-datagram-stream.subscribe", refuse;
        item, "[method]outgoing-datagram-stream.check-send", refuse;
        item, "[method]outgoing-datagram-stream.send", refuse;
        item, "[method]outgoing-datagram-stream.subscribe", refuse;
    }
}

interface! {
    /// `wasi:sockets/udp-create-socket@0.2`, refused.
    UDP_CREATE_SOCKET = "wasi:sockets/udp-create-socket", "0.2", "wasi:sockets/udp-create-socket@0.2.0" {
        item, "create-udp-socket", refuse;
    }
}

interface! {
    /// `wasi:http/types@0.2`, refused.
    HTTP_TYPES = "wasi:http/types", "0.2", "wasi:http/types@0.2.0" {
        item, "fields", handle::<Refused>;
        item, "incoming-request", handle::<Refused>;
        item, "outgoing-request", handle::<Refused>;
        item, "request-options", handle::<Refused>;
        item, "response-outparam", handle::<Refused>;
        item, "incoming-response", handle::<Refused>;
        item, "incoming-body", handle::<Refused>;
        item, "future-trailers", handle::<Refused>;
        item, "outgoing-response", handle::<Refused>;
        item, "outgoing-body", handle::<Refused>;
        item, "future-incoming-response", handle::<Refused>;
        item, "[constructor]fields", refuse;
        item, "[static]fields.from-list", refuse;
        item, "[method]fields.get", refuse;
        item, "[method]fields.has", refuse;
        item, "[method]fields.set", refuse;
        item, "[method]fields.delete", refuse;
        item, "[method]fields.append", refuse;
        item, "[method]fields.entries", refuse;
        item, "[method]fields.clone", refuse;
        item, "[method]incoming-request.method", refuse;
        item, "[method]incoming-request.path-with-query", refuse;
        item, "[method]incoming-request.scheme", refuse;
        item, "[method]incoming-request.authority", refuse;
        item, "[method]incoming-request.headers", refuse;
        item, "[method]incoming-request.consume", refuse;
        item, "[constructor]outgoing-request", refuse;
        item, "[method]outgoing-request.body", refuse;
        item, "[method]outgoing-request.method", refuse;
        item, "[method]outgoing-request.set-method", refuse;
        item, "[method]outgoing-request.path-with-query", refuse;
        item, "[method]outgoing-request.set-path-with-query", refuse;
        item, "[method]outgoing-request.scheme", refuse;
        item, "[method]outgoing-request.set-scheme", refuse;
        item, "[method]outgoing-request.authority", refuse;
        item, "[method]outgoing-request.set-authority", refuse;
        item, "[method]outgoing-request.headers", refuse;
        item, "[constructor]request-options", refuse;
        item, "[method]request-options.connect-timeout", refuse;
        item, "[method]request-options.set-connect-timeout", refuse;
        item, "[method]request-options.first-byte-timeout", refuse;
        item, "[method]request-options.set-first-byte-timeout", refuse;
        item, "[method]request-options.between-bytes-timeout", refuse;
        item, "[method]request-options.set-between-bytes-timeout", refuse;
        item, "[method]response-outparam.send-informational", refuse;
        item, "[static]response-outparam.set", refuse;
        item, "[method]incoming-response.status", refuse;
        item, "[method]incoming-response.headers", refuse;
        item, "[method]incoming-response.consume", refuse;
        item, "[method]incoming-body.stream", refuse;
        item, "[static]incoming-body.finish", refuse;
        item, "[method]future-trailers.subscribe", refuse;
        item, "[method]future-trailers.get", refuse;
        item, "[constructor]outgoing-response", refuse;
        item, "[method]outgoing-response.status-code", refuse;
        item, "[method]outgoing-response.set-status-code", refuse;
        item, "[method]outgoing-response.headers", refuse;
        item, "[method]outgoing-response.body", refuse;
        item, "[method]outgoing-body.write", refuse;
        item, "[static]outgoing-body.finish", refuse;
        item, "[method]future-incoming-response.subscribe", refuse;
        item, "[method]future-incoming-response.get", refuse;
        item, "http-error-code", refuse;
    }
}

interface! {
    /// `wasi:http/outgoing-handler@0.2`, refused.
    HTTP_OUTGOING_HANDLER = "wasi:http/outgoing-handler", "0.2", "wasi:http/outgoing-handler@0.2.0" {
        item, "handle", refuse;
    }
}
