//! `wasi:sockets` at 0.3, refused ([`crate::refused`]).

use crate::interface::{handle, interface, item};
use crate::refused::{Refused, refuse, refuse_async};

interface! {
    /// `wasi:sockets/types@0.3`, refused.
    TYPES = "wasi:sockets/types", "0.3", "wasi:sockets/types@0.3.0" {
        item, "tcp-socket", handle::<Refused>;
        item, "udp-socket", handle::<Refused>;
        item, "[static]tcp-socket.create", refuse;
        item, "[method]tcp-socket.bind", refuse;
        item, "[method]tcp-socket.connect", refuse_async;
        item, "[method]tcp-socket.listen", refuse;
        item, "[method]tcp-socket.send", refuse;
        item, "[method]tcp-socket.receive", refuse;
        item, "[method]tcp-socket.get-local-address", refuse;
        item, "[method]tcp-socket.get-remote-address", refuse;
        item, "[method]tcp-socket.get-is-listening", refuse;
        item, "[method]tcp-socket.get-address-family", refuse;
        item, "[method]tcp-socket.set-listen-backlog-size", refuse;
        item, "[method]tcp-socket.get-keep-alive-enabled", refuse;
        item, "[method]tcp-socket.set-keep-alive-enabled", refuse;
        item, "[method]tcp-socket.get-keep-alive-idle-time", refuse;
        item, "[method]tcp-socket.set-keep-alive-idle-time", refuse;
        item, "[method]tcp-socket.get-keep-alive-interval", refuse;
        item, "[method]tcp-socket.set-keep-alive-interval", refuse;
        item, "[method]tcp-socket.get-keep-alive-count", refuse;
        item, "[method]tcp-socket.set-keep-alive-count", refuse;
        item, "[method]tcp-socket.get-hop-limit", refuse;
        item, "[method]tcp-socket.set-hop-limit", refuse;
        item, "[method]tcp-socket.get-receive-buffer-size", refuse;
        item, "[method]tcp-socket.set-receive-buffer-size", refuse;
        item, "[method]tcp-socket.get-send-buffer-size", refuse;
        item, "[method]tcp-socket.set-send-buffer-size", refuse;
        item, "[static]udp-socket.create", refuse;
        item, "[method]udp-socket.bind", refuse;
        item, "[method]udp-socket.connect", refuse;
        item, "[method]udp-socket.disconnect", refuse;
        item, "[method]udp-socket.send", refuse_async;
        item, "[method]udp-socket.receive", refuse_async;
        item, "[method]udp-socket.get-local-address", refuse;
        item, "[method]udp-socket.get-remote-address", refuse;
        item, "[method]udp-socket.get-address-family", refuse;
        item, "[method]udp-socket.get-unicast-hop-limit", refuse;
        item, "[method]udp-socket.set-unicast-hop-limit", refuse;
        item, "[method]udp-socket.get-receive-buffer-size", refuse;
        item, "[method]udp-socket.set-receive-buffer-size", refuse;
        item, "[method]udp-socket.get-send-buffer-size", refuse;
        item, "[method]udp-socket.set-send-buffer-size", refuse;
    }
}

interface! {
    /// `wasi:sockets/ip-name-lookup@0.3`, refused.
    IP_NAME_LOOKUP = "wasi:sockets/ip-name-lookup", "0.3", "wasi:sockets/ip-name-lookup@0.3.0" {
        item, "resolve-addresses", refuse_async;
    }
}
