//! `mwasm:net/endpoints`: connections by the names that the manifest gives them.
//!
//! ```text
//!   [net.endpoints] db = "tcp:db.example.org:5432"   --connect("db")--> Dialer: look up, ask the policy, connect
//!                   mail = "listen:tcp:25"           --listen("mail")--> TcpSocket, one for each version of IP
//! ```

use crate::State;
use crate::interface::{Context, handle, interface, item, plain};
use crate::sockets::Refusal;
use crate::sockets::address::Family;
use crate::sockets::connection::Connection;
use crate::sockets::dial::Dialer;
use crate::sockets::tcp::TcpSocket;
use crate::v03::concurrent;
use crate::v03::sockets::streams;
use crate::v03::streams::End;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use futures_channel::oneshot;
use mwasm_plan::net::{Host, Place};
use mwasm_ports::network::NetError;
use wasmtime::component::{Accessor, ComponentType, Lift, Lower, Resource, StreamReader};
use wasmtime::{AsContextMut, Result};

/// `mwasm:net/endpoints.error`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum EndpointError {
    #[component(name = "unknown-name")]
    UnknownName(String),
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "unreachable")]
    Unreachable(String),
    #[component(name = "refused")]
    Refused,
    #[component(name = "reset")]
    Reset,
    #[component(name = "timed-out")]
    TimedOut,
    #[component(name = "in-use")]
    InUse,
    #[component(name = "other")]
    Other(String),
}

impl From<NetError> for EndpointError {
    fn from(error: NetError) -> Self {
        let text = || format!("{error}");
        match error {
            NetError::AccessDenied => Self::Denied(text()),
            NetError::RemoteUnreachable
            | NetError::AddressNotBindable
            | NetError::NameUnresolvable
            | NetError::TemporaryResolverFailure
            | NetError::PermanentResolverFailure => Self::Unreachable(text()),
            NetError::ConnectionRefused => Self::Refused,
            NetError::ConnectionReset | NetError::ConnectionBroken | NetError::ConnectionAborted => Self::Reset,
            NetError::Timeout => Self::TimedOut,
            NetError::AddressInUse => Self::InUse,
            NetError::NotSupported
            | NetError::InvalidArgument
            | NetError::InvalidState
            | NetError::OutOfMemory
            | NetError::DatagramTooLarge
            | NetError::NewSocketLimit
            | NetError::Unknown => Self::Other(text()),
        }
    }
}

/// `mwasm:net/endpoints.connection`.
struct Handle {
    connection: Arc<Connection>,
    /// Whether `send` and `receive` were called: each may be once.
    sends: bool,
    receives: bool,
}

impl Handle {
    fn new(connection: Arc<Connection>) -> Self {
        Self { connection, sends: false, receives: false }
    }

    fn once(&mut self, used: fn(&mut Self) -> &mut bool) -> Result<Arc<Connection>, NetError> {
        if core::mem::replace(used(self), true) { Err(NetError::InvalidState) } else { Ok(self.connection.clone()) }
    }
}

/// Where the endpoint with a name is.
fn place(state: &State, name: &str) -> Result<Place<'static>, EndpointError> {
    let found = state.net.endpoints.iter().find(|endpoint| endpoint.name == name);
    found.map(|endpoint| endpoint.place).ok_or_else(|| EndpointError::UnknownName(name.to_string()))
}

async fn connect(accessor: &Accessor<State>, name: &str) -> Result<Arc<Connection>, EndpointError> {
    let (place, dialer) = accessor.with(|mut access| {
        let state = access.get();
        Ok::<_, EndpointError>((place(state, name)?, Dialer::of(state)?))
    })?;
    let stream = match place {
        Place::Connect { host: Host::Address { address, .. }, port } => {
            dialer.connect_to(SocketAddr::new(address.to_canonical(), port)).await?
        }
        Place::Connect { host: Host::Name(host), port } => dialer.connect(host, port).await?,
        Place::Connect { .. } | Place::Listen(_) => {
            return Err(EndpointError::Denied(format!("'{name}' is no endpoint to connect to")));
        }
    };
    Ok(Connection::new(stream))
}

/// Sockets that listen at an endpoint, for each version of IP that the machine has.
fn listeners(state: &State, name: &str) -> Result<Vec<Arc<TcpSocket>>, EndpointError> {
    let Place::Listen(listen) = place(state, name)? else {
        return Err(EndpointError::Denied(format!("'{name}' is no endpoint to listen on")));
    };
    let listen_on = |family: Family| {
        let socket = TcpSocket::of(state, family)?;
        let local = SocketAddr::new(family.any().ip(), listen.port);
        socket.start_bind(local).and_then(|()| socket.finish_bind())?;
        socket.start_listen().and_then(|()| socket.finish_listen())?;
        Ok::<_, Refusal>(socket)
    };
    let (listening, failed): (Vec<_>, Vec<_>) =
        [Family::Ipv4, Family::Ipv6].map(listen_on).into_iter().partition(Result::is_ok);
    if listening.is_empty() {
        let error = failed.into_iter().find_map(|failed| match failed {
            Err(Refusal::Network(error)) => Some(error),
            _ => None,
        });
        return Err(error.unwrap_or(NetError::Unknown).into());
    }
    Ok(listening.into_iter().flatten().collect())
}

async fn send(
    accessor: &Accessor<State>,
    handle: Resource<Handle>,
    mut data: StreamReader<u8>,
) -> Result<(Result<(), EndpointError>,)> {
    let (sender, receiver) = oneshot::channel();
    let refused = accessor.with(|mut access| {
        let connection = access.get().table.get_mut(&handle)?.once(|handle| &mut handle.sends);
        match connection {
            Ok(connection) => streams::send(access.as_context_mut(), connection, data, sender).map(|()| None),
            Err(error) => data.close(access.as_context_mut()).map(|()| Some(error)),
        }
    })?;
    Ok((match refused {
        Some(error) => Err(error.into()),
        // Dropped without a word: success.
        None => receiver.await.map_or(Ok(()), Err),
    },))
}

fn receive(mut context: Context<'_>, handle: &Resource<Handle>) -> Result<((StreamReader<u8>, End<EndpointError>),)> {
    let connection = context.data_mut().table.get_mut(handle)?.once(|handle| &mut handle.receives);
    Ok((match connection {
        Ok(connection) => streams::receive(context, connection)?,
        Err(error) => streams::refused(context, error)?,
    },))
}

interface! {
    /// `mwasm:net/endpoints@0.1`.
    ENDPOINTS = "mwasm:net/endpoints", "0.1", "mwasm:net/endpoints@0.1.0" {
        item, "connection", handle::<Handle>;
        concurrent, "[method]connection.send", |accessor, (handle, data): (Resource<Handle>, StreamReader<u8>)| {
            Box::pin(send(accessor, handle, data))
        };
        plain, "[method]connection.receive", |context, (handle,): (Resource<Handle>,)| receive(context, &handle);
        plain, "[method]connection.peer", |context, (handle,): (Resource<Handle>,)| {
            Ok((context.data().table.get(&handle)?.connection.remote().to_string(),))
        };
        concurrent, "connect", |accessor, (name,): (String,)| {
            Box::pin(async move {
                Ok((match connect(accessor, &name).await {
                    Ok(connection) => {
                        Ok(accessor.with(|mut access| access.get().table.push(Handle::new(connection)))?)
                    }
                    Err(error) => Err(error),
                },))
            })
        };
        plain, "listen", |context, (name,): (String,)| {
            Ok((match listeners(context.data(), &name) {
                Ok(sockets) => Ok(streams::accept(context, sockets, |_, connection| Handle::new(connection))?),
                Err(error) => Err(error),
            },))
        };
    }
}
