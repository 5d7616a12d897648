//! `wasi:sockets/tcp` and `tcp-create-socket`.

use super::error::ErrorCode;
use super::network::Network;
use super::streams::streams;
use crate::interface::{Context, handle, interface, item, plain};
use crate::sockets::address::{Family, SocketAddress};
use crate::sockets::tcp::TcpSocket;
use crate::state::{Event, State};
use crate::v02::io::{InputStream, OutputStream, Pollable};
use alloc::sync::Arc;
use core::task::Poll;
use mwasm_ports::network::{NetError, TcpOptions};
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Lower, Resource};

type Handle = Resource<Arc<TcpSocket>>;
type Streams = (Resource<InputStream>, Resource<OutputStream>);
/// What every function here answers.
type Answer<T> = Result<(Result<T, ErrorCode>,)>;

/// `wasi:sockets/tcp.shutdown-type`.
#[derive(Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the type must have all cases of the specification")]
enum Shutdown {
    #[component(name = "receive")]
    Receive,
    #[component(name = "send")]
    Send,
    #[component(name = "both")]
    Both,
}

/// Runs `action` on what a handle stands for.
fn with<T, E: Into<ErrorCode>>(
    state: &State,
    handle: &Handle,
    action: impl FnOnce(&TcpSocket) -> Result<T, E>,
) -> Answer<T> {
    Ok((action(state.table.get(handle)?).map_err(Into::into),))
}

fn get<T>(context: &Context<'_>, handle: &Handle, option: fn(TcpOptions) -> T) -> Answer<T> {
    with(context.data(), handle, |socket| socket.options().map(option))
}

/// Sets an option; 0 is no value for any of them.
fn set<T: Copy + Default + PartialEq>(
    context: &Context<'_>,
    handle: &Handle,
    value: T,
    option: fn(&mut TcpOptions, T),
) -> Answer<()> {
    with(context.data(), handle, |socket| {
        if value == T::default() {
            return Err(NetError::InvalidArgument);
        }
        socket.set_options(|options| option(options, value))
    })
}

fn finish_connect(state: &mut State, handle: &Handle) -> Answer<Streams> {
    let socket = state.table.get(handle)?;
    let _ = state.reactor.now(|context| socket.poll_connect(context));
    let connected = socket.finish_connect();
    Ok((match connected {
        Ok(connection) => Ok(streams(state, connection)?),
        Err(refusal) => Err(refusal.into()),
    },))
}

fn accept(state: &mut State, handle: &Handle) -> Answer<(Handle, Resource<InputStream>, Resource<OutputStream>)> {
    let socket = state.table.get(handle)?;
    let accepted = state.reactor.now(|context| socket.poll_accept(context));
    Ok((match accepted {
        Poll::Pending => Err(ErrorCode::WouldBlock),
        Poll::Ready(Err(error)) => Err(error.into()),
        Poll::Ready(Ok((socket, connection))) => {
            let (input, output) = streams(state, connection)?;
            Ok((state.table.push(socket)?, input, output))
        }
    },))
}

fn shutdown(socket: &TcpSocket, how: Shutdown) -> Result<(), NetError> {
    let connection = socket.connection()?;
    if how != Shutdown::Send {
        connection.end_receiving();
    }
    if how != Shutdown::Receive {
        connection.end_sending();
    }
    Ok(())
}

interface! {
    /// `wasi:sockets/tcp@0.2`.
    TCP = "wasi:sockets/tcp", "0.2", "wasi:sockets/tcp@0.2.0" {
        item, "tcp-socket", handle::<Arc<TcpSocket>>;
        plain, "[method]tcp-socket.start-bind",
            |context, (socket, _network, local): (Handle, Resource<Network>, SocketAddress)| {
                with(context.data(), &socket, |socket| socket.start_bind(local.into()))
            };
        plain, "[method]tcp-socket.finish-bind", |context, (socket,): (Handle,)| {
            with(context.data(), &socket, TcpSocket::finish_bind)
        };
        plain, "[method]tcp-socket.start-connect",
            |context, (socket, _network, remote): (Handle, Resource<Network>, SocketAddress)| {
                with(context.data(), &socket, |socket| socket.start_connect(remote.into()))
            };
        plain, "[method]tcp-socket.finish-connect", |mut context, (socket,): (Handle,)| {
            finish_connect(context.data_mut(), &socket)
        };
        plain, "[method]tcp-socket.start-listen", |context, (socket,): (Handle,)| {
            with(context.data(), &socket, TcpSocket::start_listen)
        };
        plain, "[method]tcp-socket.finish-listen", |context, (socket,): (Handle,)| {
            with(context.data(), &socket, TcpSocket::finish_listen)
        };
        plain, "[method]tcp-socket.accept", |mut context, (socket,): (Handle,)| accept(context.data_mut(), &socket);
        plain, "[method]tcp-socket.shutdown", |context, (socket, how): (Handle, Shutdown)| {
            with(context.data(), &socket, |socket| shutdown(socket, how))
        };
        plain, "[method]tcp-socket.subscribe", |mut context, (socket,): (Handle,)| {
            let socket = context.data().table.get(&socket)?.clone();
            Ok((context.data_mut().table.push(Pollable(Event::Source(socket)))?,))
        };
        // What it is.
        plain, "[method]tcp-socket.local-address", |context, (socket,): (Handle,)| {
            with(context.data(), &socket, |socket| socket.local().map(SocketAddress::from))
        };
        plain, "[method]tcp-socket.remote-address", |context, (socket,): (Handle,)| {
            with(context.data(), &socket, |socket| Ok::<_, NetError>(SocketAddress::from(socket.connection()?.remote())))
        };
        plain, "[method]tcp-socket.is-listening", |context, (socket,): (Handle,)| {
            Ok((context.data().table.get(&socket)?.is_listening(),))
        };
        plain, "[method]tcp-socket.address-family", |context, (socket,): (Handle,)| {
            Ok((context.data().table.get(&socket)?.family(),))
        };
        // Options.
        plain, "[method]tcp-socket.set-listen-backlog-size", |context, (socket, value): (Handle, u64)| {
            with(context.data(), &socket, |socket| socket.set_backlog(value))
        };
        plain, "[method]tcp-socket.keep-alive-enabled", |context, (socket,): (Handle,)| {
            get(&context, &socket, |options| options.keep_alive)
        };
        plain, "[method]tcp-socket.set-keep-alive-enabled", |context, (socket, value): (Handle, bool)| {
            with(context.data(), &socket, |socket| socket.set_options(|options| options.keep_alive = value))
        };
        plain, "[method]tcp-socket.keep-alive-idle-time", |context, (socket,): (Handle,)| {
            get(&context, &socket, |options| options.keep_alive_idle_ns)
        };
        plain, "[method]tcp-socket.set-keep-alive-idle-time", |context, (socket, value): (Handle, u64)| {
            set(&context, &socket, value, |options, value| options.keep_alive_idle_ns = value)
        };
        plain, "[method]tcp-socket.keep-alive-interval", |context, (socket,): (Handle,)| {
            get(&context, &socket, |options| options.keep_alive_interval_ns)
        };
        plain, "[method]tcp-socket.set-keep-alive-interval", |context, (socket, value): (Handle, u64)| {
            set(&context, &socket, value, |options, value| options.keep_alive_interval_ns = value)
        };
        plain, "[method]tcp-socket.keep-alive-count", |context, (socket,): (Handle,)| {
            get(&context, &socket, |options| options.keep_alive_count)
        };
        plain, "[method]tcp-socket.set-keep-alive-count", |context, (socket, value): (Handle, u32)| {
            set(&context, &socket, value, |options, value| options.keep_alive_count = value)
        };
        plain, "[method]tcp-socket.hop-limit", |context, (socket,): (Handle,)| {
            get(&context, &socket, |options| options.hop_limit)
        };
        plain, "[method]tcp-socket.set-hop-limit", |context, (socket, value): (Handle, u8)| {
            set(&context, &socket, value, |options, value| options.hop_limit = value)
        };
        plain, "[method]tcp-socket.receive-buffer-size", |context, (socket,): (Handle,)| {
            get(&context, &socket, |options| options.receive_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]tcp-socket.set-receive-buffer-size", |context, (socket, value): (Handle, u64)| {
            set(&context, &socket, value, |options, value| options.receive_buffer_bytes = Some(value))
        };
        plain, "[method]tcp-socket.send-buffer-size", |context, (socket,): (Handle,)| {
            get(&context, &socket, |options| options.send_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]tcp-socket.set-send-buffer-size", |context, (socket, value): (Handle, u64)| {
            set(&context, &socket, value, |options, value| options.send_buffer_bytes = Some(value))
        };
    }
}

interface! {
    /// `wasi:sockets/tcp-create-socket@0.2`.
    TCP_CREATE_SOCKET = "wasi:sockets/tcp-create-socket", "0.2", "wasi:sockets/tcp-create-socket@0.2.0" {
        plain, "create-tcp-socket", |mut context, (family,): (Family,)| {
            let state = context.data_mut();
            Ok((match TcpSocket::of(state, family) {
                Ok(socket) => Ok(state.table.push(socket)?),
                Err(error) => Err(ErrorCode::from(error)),
            },))
        };
    }
}
