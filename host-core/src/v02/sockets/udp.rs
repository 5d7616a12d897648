//! `wasi:sockets/udp` and `udp-create-socket`.

use super::error::ErrorCode;
use super::network::Network;
use crate::interface::{Context, handle, interface, item, plain};
use crate::reactor::{Reactor, Readiness};
use crate::sockets::address::{Family, SocketAddress};
use crate::sockets::udp::{Datagrams, Peer, UdpSocket};
use crate::state::{Event, State};
use crate::v02::io::Pollable;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::{Poll, Waker};
use mwasm_ports::network::{NetError, UdpOptions};
use wasmtime::component::{ComponentType, Lift, Lower, Resource};
use wasmtime::{Error, Result};

/// How many datagrams one call moves at most.
const MAX_BATCH: u64 = 64;

type Handle = Resource<UdpSocket>;
type Receiver = Resource<Incoming>;
type Sender = Resource<Outgoing>;
/// What every function here answers.
type Answer<T> = Result<(Result<T, ErrorCode>,)>;

/// `wasi:sockets/udp.incoming-datagram-stream`.
struct Incoming(Arc<Association>);

/// `wasi:sockets/udp.outgoing-datagram-stream`.
struct Outgoing {
    association: Arc<Association>,
    /// How many datagrams the next `send` may have.
    permitted: u64,
}

/// A socket with the peer that it had when its streams were made. The streams work until the socket gets others.
struct Association {
    datagrams: Arc<Datagrams>,
    peer: Peer,
}

impl Association {
    fn datagrams(&self) -> Result<&Datagrams, NetError> {
        if self.datagrams.peer() == self.peer { Ok(&self.datagrams) } else { Err(NetError::InvalidState) }
    }
}

struct Receivable(Arc<Association>);

impl Readiness for Receivable {
    fn poll_ready(&self, context: &mut core::task::Context<'_>) -> Poll<()> {
        self.0.datagrams.poll_receivable(context)
    }
}

struct Sendable(Arc<Association>);

impl Readiness for Sendable {
    fn poll_ready(&self, context: &mut core::task::Context<'_>) -> Poll<()> {
        self.0.datagrams.poll_sendable(context)
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct IncomingDatagram {
    data: Vec<u8>,
    #[component(name = "remote-address")]
    remote: SocketAddress,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct OutgoingDatagram {
    data: Vec<u8>,
    #[component(name = "remote-address")]
    remote: Option<SocketAddress>,
}

/// Runs `action` on what a handle stands for.
fn with<T, E: Into<ErrorCode>>(
    mut context: Context<'_>,
    handle: &Handle,
    action: impl FnOnce(&mut UdpSocket) -> Result<T, E>,
) -> Answer<T> {
    Ok((action(context.data_mut().table.get_mut(handle)?).map_err(Into::into),))
}

fn get<T>(context: Context<'_>, handle: &Handle, option: fn(UdpOptions) -> T) -> Answer<T> {
    with(context, handle, |socket| socket.options().map(option))
}

/// Sets an option; 0 is no value for any of them.
fn set<T: Copy + Default + PartialEq>(
    context: Context<'_>,
    handle: &Handle,
    value: T,
    option: fn(&mut UdpOptions, T),
) -> Answer<()> {
    with(context, handle, |socket| {
        if value == T::default() {
            return Err(NetError::InvalidArgument);
        }
        socket.set_options(|options| option(options, value))
    })
}

fn stream(state: &mut State, handle: &Handle, peer: Option<SocketAddress>) -> Answer<(Receiver, Sender)> {
    let datagrams = state.table.get(handle)?.datagrams();
    let associated = datagrams.and_then(|datagrams| {
        let peer = datagrams.set_peer(peer.map(SocketAddr::from))?;
        Ok(Arc::new(Association { datagrams, peer }))
    });
    Ok((match associated {
        Ok(association) => {
            let incoming = state.table.push(Incoming(association.clone()))?;
            Ok((incoming, state.table.push(Outgoing { association, permitted: 0 })?))
        }
        Err(error) => Err(error.into()),
    },))
}

/// Takes what has come. A failure counts only if nothing has come before it.
fn receive(reactor: &Reactor, incoming: &Incoming, most: u64) -> Result<Vec<IncomingDatagram>, ErrorCode> {
    let datagrams = incoming.0.datagrams()?;
    let context = &mut core::task::Context::from_waker(Waker::noop());
    if reactor.now(|context| datagrams.poll_receivable(context)).is_pending() {
        return Ok(Vec::new());
    }
    let mut received = Vec::new();
    for _ in 0..most.min(MAX_BATCH) {
        match datagrams.poll_receive(context) {
            Poll::Ready(Ok((data, from))) => received.push(IncomingDatagram { data, remote: from.into() }),
            Poll::Ready(Err(error)) if received.is_empty() => return Err(error.into()),
            Poll::Ready(Err(_)) | Poll::Pending => break,
        }
    }
    Ok(received)
}

fn check_send(reactor: &Reactor, outgoing: &mut Outgoing) -> Result<u64, ErrorCode> {
    let datagrams = outgoing.association.datagrams()?;
    let ready = reactor.now(|context| datagrams.poll_sendable(context)).is_ready();
    outgoing.permitted = if ready { MAX_BATCH } else { 0 };
    Ok(outgoing.permitted)
}

/// Sends what goes now. A failure counts only if nothing was sent before it.
fn send(outgoing: &mut Outgoing, list: &[OutgoingDatagram]) -> Result<Result<u64, ErrorCode>> {
    if list.len() as u64 > outgoing.permitted {
        return Err(Error::msg(
            "wasi:sockets/udp: more datagrams were sent than check-send permitted, which the specification forbids",
        ));
    }
    outgoing.permitted = 0;
    let datagrams = match outgoing.association.datagrams() {
        Ok(datagrams) => datagrams,
        Err(error) => return Ok(Err(error.into())),
    };
    let context = &mut core::task::Context::from_waker(Waker::noop());
    let mut sent = 0;
    for datagram in list {
        let to = datagrams.destination(datagram.remote.map(SocketAddr::from));
        match to.map(|to| datagrams.poll_send(&datagram.data, to, context)) {
            Ok(Poll::Ready(Ok(()))) => sent += 1,
            Ok(Poll::Ready(Err(error))) | Err(error) if sent == 0 => return Ok(Err(error.into())),
            Ok(Poll::Pending | Poll::Ready(Err(_))) | Err(_) => break,
        }
    }
    Ok(Ok(sent))
}

interface! {
    /// `wasi:sockets/udp@0.2`.
    UDP = "wasi:sockets/udp", "0.2", "wasi:sockets/udp@0.2.0" {
        item, "udp-socket", handle::<UdpSocket>;
        item, "incoming-datagram-stream", handle::<Incoming>;
        item, "outgoing-datagram-stream", handle::<Outgoing>;
        plain, "[method]udp-socket.start-bind",
            |context, (socket, _network, local): (Handle, Resource<Network>, SocketAddress)| {
                with(context, &socket, |socket| socket.start_bind(local.into()))
            };
        plain, "[method]udp-socket.finish-bind", |context, (socket,): (Handle,)| {
            with(context, &socket, UdpSocket::finish_bind)
        };
        plain, "[method]udp-socket.stream", |mut context, (socket, peer): (Handle, Option<SocketAddress>)| {
            stream(context.data_mut(), &socket, peer)
        };
        // What was started is finished at once, so a socket never has to be waited for; its streams have.
        plain, "[method]udp-socket.subscribe", |mut context, (_socket,): (Handle,)| {
            Ok((context.data_mut().table.push(Pollable(Event::Always))?,))
        };
        // What it is.
        plain, "[method]udp-socket.local-address", |context, (socket,): (Handle,)| {
            with(context, &socket, |socket| Ok::<_, NetError>(SocketAddress::from(socket.datagrams()?.local())))
        };
        plain, "[method]udp-socket.remote-address", |context, (socket,): (Handle,)| {
            with(context, &socket, |socket| {
                let peer = socket.datagrams()?.peer().address().ok_or(NetError::InvalidState)?;
                Ok::<_, NetError>(SocketAddress::from(peer))
            })
        };
        plain, "[method]udp-socket.address-family", |context, (socket,): (Handle,)| {
            Ok((context.data().table.get(&socket)?.family(),))
        };
        // Options.
        plain, "[method]udp-socket.unicast-hop-limit", |context, (socket,): (Handle,)| {
            get(context, &socket, |options| options.hop_limit)
        };
        plain, "[method]udp-socket.set-unicast-hop-limit", |context, (socket, value): (Handle, u8)| {
            set(context, &socket, value, |options, value| options.hop_limit = value)
        };
        plain, "[method]udp-socket.receive-buffer-size", |context, (socket,): (Handle,)| {
            get(context, &socket, |options| options.receive_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]udp-socket.set-receive-buffer-size", |context, (socket, value): (Handle, u64)| {
            set(context, &socket, value, |options, value| options.receive_buffer_bytes = Some(value))
        };
        plain, "[method]udp-socket.send-buffer-size", |context, (socket,): (Handle,)| {
            get(context, &socket, |options| options.send_buffer_bytes.unwrap_or_default())
        };
        plain, "[method]udp-socket.set-send-buffer-size", |context, (socket, value): (Handle, u64)| {
            set(context, &socket, value, |options, value| options.send_buffer_bytes = Some(value))
        };
        // Streams.
        plain, "[method]incoming-datagram-stream.receive", |context, (stream, most): (Receiver, u64)| {
            let state = context.data();
            Ok((receive(&state.reactor, state.table.get(&stream)?, most),))
        };
        plain, "[method]incoming-datagram-stream.subscribe", |mut context, (stream,): (Receiver,)| {
            let association = context.data().table.get(&stream)?.0.clone();
            Ok((context.data_mut().table.push(Pollable(Event::Source(Arc::new(Receivable(association)))))?,))
        };
        plain, "[method]outgoing-datagram-stream.check-send", |mut context, (stream,): (Sender,)| {
            let state = context.data_mut();
            Ok((check_send(&state.reactor, state.table.get_mut(&stream)?),))
        };
        plain, "[method]outgoing-datagram-stream.send",
            |mut context, (stream, list): (Sender, Vec<OutgoingDatagram>)| {
                Ok((send(context.data_mut().table.get_mut(&stream)?, &list)?,))
            };
        plain, "[method]outgoing-datagram-stream.subscribe", |mut context, (stream,): (Sender,)| {
            let association = context.data().table.get(&stream)?.association.clone();
            Ok((context.data_mut().table.push(Pollable(Event::Source(Arc::new(Sendable(association)))))?,))
        };
    }
}

interface! {
    /// `wasi:sockets/udp-create-socket@0.2`.
    UDP_CREATE_SOCKET = "wasi:sockets/udp-create-socket", "0.2", "wasi:sockets/udp-create-socket@0.2.0" {
        plain, "create-udp-socket", |mut context, (family,): (Family,)| {
            let state = context.data_mut();
            Ok((match UdpSocket::of(state, family) {
                Ok(socket) => Ok(state.table.push(socket)?),
                Err(error) => Err(ErrorCode::from(error)),
            },))
        };
    }
}
