//! `wasi:sockets/types.tcp-socket`.

use super::error::ErrorCode;
use super::streams;
use crate::interface::Context;
use crate::sockets::Refusal;
use crate::sockets::address::{Family, SocketAddress};
use crate::sockets::connection::Connection;
use crate::sockets::tcp::TcpSocket;
use crate::state::State;
use crate::v03::streams::{End, result_future};
use alloc::sync::Arc;
use core::future::poll_fn;
use mwasm_ports::network::{NetError, TcpOptions};
use wasmtime::Result;
use wasmtime::component::{Accessor, Resource, StreamReader};

/// What a guest's handle stands for.
pub(super) struct TcpHandle {
    socket: Arc<TcpSocket>,
    /// Whether `send` and `receive` were called: each may be once.
    sends: bool,
    receives: bool,
}

pub(super) type Tcp = Resource<TcpHandle>;
/// What most functions here answer.
pub(super) type Answer<T> = Result<(Result<T, ErrorCode>,)>;

impl TcpHandle {
    pub(super) fn new(socket: Arc<TcpSocket>) -> Self {
        Self { socket, sends: false, receives: false }
    }

    fn once(&mut self, used: fn(&mut Self) -> &mut bool) -> Result<Arc<Connection>, NetError> {
        let connection = self.socket.connection()?;
        if core::mem::replace(used(self), true) { Err(NetError::InvalidState) } else { Ok(connection) }
    }
}

/// Runs `action` on what a handle stands for.
pub(super) fn with<T, E: Into<ErrorCode>>(
    state: &State,
    handle: &Tcp,
    action: impl FnOnce(&TcpSocket) -> Result<T, E>,
) -> Answer<T> {
    Ok((action(&state.table.get(handle)?.socket).map_err(Into::into),))
}

pub(super) fn get<T>(context: &Context<'_>, handle: &Tcp, option: fn(TcpOptions) -> T) -> Answer<T> {
    with(context.data(), handle, |socket| socket.options().map(option))
}

/// Sets an option; 0 is no value for any of them.
pub(super) fn set<T: Copy + Default + PartialEq>(
    context: &Context<'_>,
    handle: &Tcp,
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

pub(super) fn is_listening(state: &State, handle: &Tcp) -> Result<bool> {
    Ok(state.table.get(handle)?.socket.is_listening())
}

pub(super) fn family(state: &State, handle: &Tcp) -> Result<Family> {
    Ok(state.table.get(handle)?.socket.family())
}

pub(super) fn create(state: &mut State, family: Family) -> Answer<Tcp> {
    Ok((match TcpSocket::of(state, family) {
        Ok(socket) => Ok(state.table.push(TcpHandle::new(socket))?),
        Err(error) => Err(error.into()),
    },))
}

pub(super) fn bind(socket: &TcpSocket, local: SocketAddress) -> Result<(), Refusal> {
    socket.start_bind(local.into())?;
    socket.finish_bind()
}

/// Gives up a connection if nobody waits for it any more.
struct Attempt(Arc<TcpSocket>);

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

pub(super) async fn connect(accessor: &Accessor<State>, handle: Tcp, remote: SocketAddress) -> Answer<()> {
    let socket =
        accessor.with(|mut access| Ok::<_, wasmtime::Error>(access.get().table.get(&handle)?.socket.clone()))?;
    if let Err(refusal) = socket.start_connect(remote.into()) {
        return Ok((Err(refusal.into()),));
    }
    let attempt = Attempt(socket);
    poll_fn(|context| attempt.0.poll_connect(context)).await;
    Ok((attempt.0.finish_connect().map(drop).map_err(ErrorCode::from),))
}

pub(super) fn listen(context: Context<'_>, handle: &Tcp) -> Answer<StreamReader<Resource<TcpHandle>>> {
    let socket = context.data().table.get(handle)?.socket.clone();
    let listens = socket.bind_any().and_then(|()| socket.start_listen()).and_then(|()| socket.finish_listen());
    Ok((match listens {
        Ok(()) => Ok(streams::accept(context, alloc::vec![socket], |socket, _| TcpHandle::new(socket))?),
        Err(refusal) => Err(refusal.into()),
    },))
}

pub(super) fn send(mut context: Context<'_>, handle: &Tcp, mut data: StreamReader<u8>) -> Result<(End<ErrorCode>,)> {
    let connection = context.data_mut().table.get_mut(handle)?.once(|handle| &mut handle.sends);
    Ok((match connection {
        Ok(connection) => {
            let (sender, end) = result_future(&mut context)?;
            streams::send(context, connection, data, sender)?;
            end
        }
        Err(error) => {
            data.close(&mut context)?;
            streams::refused(context, error)?.1
        }
    },))
}

pub(super) fn receive(mut context: Context<'_>, handle: &Tcp) -> Result<((StreamReader<u8>, End<ErrorCode>),)> {
    let connection = context.data_mut().table.get_mut(handle)?.once(|handle| &mut handle.receives);
    Ok((match connection {
        Ok(connection) => streams::receive(context, connection)?,
        Err(error) => streams::refused(context, error)?,
    },))
}
