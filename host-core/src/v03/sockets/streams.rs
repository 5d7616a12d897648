//! Streams between sockets and the guest, as Wasmtime polls them.
//!
//! Copies: one a direction, between the socket's buffer and the guest's own memory. A guest that is not ready costs none: the bytes stay
//! in the socket, and its window closes.

use super::error::ErrorCode;
use super::tcp::{TcpHandle, TcpSocket};
use crate::reactor::Wait;
use crate::sockets::connection::Connection;
use crate::state::State;
use crate::v03::streams::{End, pending, result_future};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_channel::oneshot;
use mwasm_ports::network::NetError;
use wasmtime::component::{
    Destination, Resource, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// The most bytes that one step moves, where the guest's buffer does not set it.
const STEP_BYTES: usize = 64 << 10;
/// How long nothing is accepted after the machine had no room for one more socket, in nanoseconds.
const FULL_NS: u64 = 100_000_000;

/// What comes from a connection, and how that ends.
pub(super) fn receive(
    mut store: StoreContextMut<'_, State>,
    connection: Arc<Connection>,
) -> Result<(StreamReader<u8>, End<ErrorCode>)> {
    let (sender, end) = result_future(&mut store)?;
    Ok((StreamReader::new(&mut store, Receiver { connection, result: Some(sender) })?, end))
}

/// Sends all of a guest's stream; the future tells how that ends.
pub(super) fn send(
    mut store: StoreContextMut<'_, State>,
    connection: Arc<Connection>,
    data: StreamReader<u8>,
) -> Result<End<ErrorCode>> {
    let (sender, end) = result_future(&mut store)?;
    data.pipe(&mut store, Sender { connection, result: Some(sender) })?;
    Ok(end)
}

/// No stream, for a reason.
pub(super) fn refused(
    mut store: StoreContextMut<'_, State>,
    error: NetError,
) -> Result<(StreamReader<u8>, End<ErrorCode>)> {
    let (sender, end) = result_future(&mut store)?;
    // The other end was made just now.
    let _ = sender.send(error.into());
    Ok((StreamReader::new(&mut store, Vec::new())?, end))
}

/// The connections that arrive at a socket that listens.
pub(super) fn accept(
    mut store: StoreContextMut<'_, State>,
    socket: Arc<TcpSocket>,
) -> Result<StreamReader<Resource<TcpHandle>>> {
    StreamReader::new(&mut store, Acceptor { socket, pause: None })
}

fn fail(result: &mut Option<oneshot::Sender<ErrorCode>>, error: NetError) -> Poll<Result<StreamResult>> {
    if let Some(sender) = result.take() {
        // A guest that dropped the future does not want to know.
        let _ = sender.send(error.into());
    }
    Poll::Ready(Ok(StreamResult::Dropped))
}

/// Brings bytes to the guest. Dropped with the stream: then nobody wants what still comes.
struct Receiver {
    connection: Arc<Connection>,
    result: Option<oneshot::Sender<ErrorCode>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.connection.end_receiving();
    }
}

impl StreamProducer<State> for Receiver {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if destination.remaining(store.as_context_mut()) == Some(0) {
            // The guest only asks whether there is something to read.
            return match me.connection.poll_receivable(context) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending => pending(finish),
            };
        }
        let mut direct = destination.as_direct(store, STEP_BYTES);
        match me.connection.poll_receive(direct.remaining(), context) {
            Poll::Pending => pending(finish),
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(count)) => {
                direct.mark_written(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => fail(&mut me.result, error),
        }
    }
}

/// Takes bytes from the guest. Dropped with the stream: then there is no more to send.
struct Sender {
    connection: Arc<Connection>,
    result: Option<oneshot::Sender<ErrorCode>>,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.connection.end_sending();
    }
}

impl StreamConsumer<State> for Sender {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        let mut direct = source.as_direct(store.as_context_mut());
        let bytes = direct.remaining();
        if bytes.is_empty() {
            // The guest only asks whether something would be taken.
            return match me.connection.poll_sendable(context) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending => pending(finish),
            };
        }
        match me.connection.poll_send(bytes, context) {
            Poll::Pending => pending(finish),
            Poll::Ready(Ok(count)) => {
                direct.mark_read(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => fail(&mut me.result, error),
        }
    }
}

/// Brings connections to the guest.
struct Acceptor {
    socket: Arc<TcpSocket>,
    /// Until when nothing is accepted.
    pause: Option<Pin<Box<Wait>>>,
}

impl StreamProducer<State> for Acceptor {
    type Item = Resource<TcpHandle>;
    type Buffer = Option<Resource<TcpHandle>>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if me.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(context).is_pending()) {
            return pending(finish);
        }
        me.pause = None;
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return match me.socket.poll_acceptable(context) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending => pending(finish),
            };
        }
        loop {
            match me.socket.poll_accept(context) {
                Poll::Pending => return pending(finish),
                Poll::Ready(Ok((socket, _))) => {
                    let handle = store.data_mut().table.push(TcpHandle::new(socket))?;
                    destination.set_buffer(Some(handle));
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Poll::Ready(Err(NetError::NewSocketLimit | NetError::OutOfMemory)) => {
                    let state = store.data();
                    let until_ns = state.ports.clock.monotonic_ns().saturating_add(FULL_NS);
                    let mut pause = Box::pin(state.reactor.sleep_until(until_ns));
                    if pause.as_mut().poll(context).is_pending() {
                        me.pause = Some(pause);
                        return pending(finish);
                    }
                }
                // What is wrong with one connection is no concern of the next.
                Poll::Ready(Err(
                    NetError::ConnectionAborted
                    | NetError::ConnectionReset
                    | NetError::ConnectionBroken
                    | NetError::RemoteUnreachable
                    | NetError::Timeout,
                )) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            }
        }
    }
}
