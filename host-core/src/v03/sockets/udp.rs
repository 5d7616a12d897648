//! `wasi:sockets/types.udp-socket`.

use super::error::ErrorCode;
use super::tcp::Answer;
use crate::interface::Context;
use crate::sockets::Refusal;
use crate::sockets::address::{Family, SocketAddress};
use crate::sockets::udp::UdpSocket;
use crate::state::State;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::SocketAddr;
use mwasm_ports::network::{NetError, UdpOptions};
use wasmtime::Result;
use wasmtime::component::{Accessor, Resource};

pub(super) type UdpHandle = Resource<UdpSocket>;

/// Runs `action` on what a handle stands for.
pub(super) fn with<T, E: Into<ErrorCode>>(
    mut context: Context<'_>,
    handle: &UdpHandle,
    action: impl FnOnce(&mut UdpSocket) -> Result<T, E>,
) -> Answer<T> {
    Ok((action(context.data_mut().table.get_mut(handle)?).map_err(Into::into),))
}

pub(super) fn get<T>(context: Context<'_>, handle: &UdpHandle, option: fn(UdpOptions) -> T) -> Answer<T> {
    with(context, handle, |socket| socket.options().map(option))
}

/// Sets an option; 0 is no value for any of them.
pub(super) fn set<T: Copy + Default + PartialEq>(
    context: Context<'_>,
    handle: &UdpHandle,
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

pub(super) fn create(state: &mut State, family: Family) -> Answer<UdpHandle> {
    Ok((match UdpSocket::of(state, family) {
        Ok(socket) => Ok(state.table.push(socket)?),
        Err(error) => Err(error.into()),
    },))
}

pub(super) fn bind(socket: &mut UdpSocket, local: SocketAddress) -> Result<(), Refusal> {
    socket.start_bind(local.into())?;
    socket.finish_bind()
}

pub(super) fn connect(socket: &mut UdpSocket, peer: SocketAddress) -> Result<(), Refusal> {
    socket.bind_any()?.set_peer(Some(peer.into()))?;
    Ok(())
}

pub(super) fn disconnect(socket: &mut UdpSocket) -> Result<(), NetError> {
    let datagrams = socket.datagrams()?;
    datagrams.peer().address().ok_or(NetError::InvalidState)?;
    datagrams.set_peer(None).map(drop)
}

pub(super) fn peer(socket: &mut UdpSocket) -> Result<SocketAddress, NetError> {
    socket.datagrams()?.peer().address().map(SocketAddress::from).ok_or(NetError::InvalidState)
}

pub(super) async fn send(
    accessor: &Accessor<State>,
    handle: UdpHandle,
    data: Vec<u8>,
    to: Option<SocketAddr>,
) -> Answer<()> {
    let bound =
        accessor.with(|mut access| Ok::<_, wasmtime::Error>(access.get().table.get_mut(&handle)?.bind_any()))?;
    let sent = async {
        let datagrams = bound?;
        let to = datagrams.destination(to)?;
        poll_fn(|context| datagrams.poll_send(&data, to, context)).await?;
        Ok::<_, Refusal>(())
    };
    Ok((sent.await.map_err(ErrorCode::from),))
}

pub(super) async fn receive(accessor: &Accessor<State>, handle: UdpHandle) -> Answer<(Vec<u8>, SocketAddress)> {
    let datagrams =
        accessor.with(|mut access| Ok::<_, wasmtime::Error>(access.get().table.get(&handle)?.datagrams()))?;
    let received = async {
        let datagrams = datagrams?;
        let (data, from) = poll_fn(|context| datagrams.poll_receive(context)).await?;
        Ok::<_, NetError>((data, SocketAddress::from(from)))
    };
    Ok((received.await.map_err(ErrorCode::from),))
}
