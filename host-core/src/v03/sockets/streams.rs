//! Streams between sockets and the guest, as Wasmtime polls them.
//!
//! Copies: one a direction, between the socket's buffer and the guest's own memory. A guest that is not ready costs none: the bytes stay
//! in the socket, and its window closes.

use crate::reactor::Wait;
use crate::sockets::connection::Connection;
use crate::sockets::tcp::TcpSocket;
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
    Destination, Lift, Lower, Resource, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// The most bytes that one step moves, where the guest's buffer does not set it.
const STEP_BYTES: usize = 64 << 10;
/// How long nothing is accepted after the machine had no room for one more socket, in nanoseconds.
const FULL_NS: u64 = 100_000_000;

/// What comes from a connection, and how that ends.
pub(crate) fn receive<E: Failure>(
    mut store: StoreContextMut<'_, State>,
    connection: Arc<Connection>,
) -> Result<(StreamReader<u8>, End<E>)>
where
    Result<(), E>: Lift + Lower,
{
    let (sender, end) = result_future(&mut store)?;
    Ok((StreamReader::new(&mut store, Receiver { connection, result: Some(sender) })?, end))
}

/// Sends all of a guest's stream. An error goes to `result`, which is dropped at the end if there is none.
pub(crate) fn send<E: Failure>(
    store: impl AsContextMut<Data = State>,
    connection: Arc<Connection>,
    data: StreamReader<u8>,
    result: oneshot::Sender<E>,
) -> Result<()> {
    data.pipe(store, Sender { connection, result: Some(result) })
}

/// No stream, for a reason.
pub(crate) fn refused<E: Failure>(
    mut store: StoreContextMut<'_, State>,
    error: NetError,
) -> Result<(StreamReader<u8>, End<E>)>
where
    Result<(), E>: Lift + Lower,
{
    let (sender, end) = result_future(&mut store)?;
    // The other end was made just now.
    let _ = sender.send(error.into());
    Ok((StreamReader::new(&mut store, Vec::new())?, end))
}

/// The connections that arrive at sockets that listen, each as what `wrap` makes of it.
pub(crate) fn accept<T: Send + 'static>(
    store: StoreContextMut<'_, State>,
    sockets: Vec<Arc<TcpSocket>>,
    wrap: fn(Arc<TcpSocket>, Arc<Connection>) -> T,
) -> Result<StreamReader<Resource<T>>> {
    StreamReader::new(store, Acceptor { sockets, wrap, pause: None })
}

/// An error that a guest is told.
pub(crate) trait Failure: From<NetError> + Send + Sync + Unpin + 'static {}
impl<E: From<NetError> + Send + Sync + Unpin + 'static> Failure for E {}

fn fail<E: Failure>(result: &mut Option<oneshot::Sender<E>>, error: NetError) -> Poll<Result<StreamResult>> {
    if let Some(sender) = result.take() {
        // A guest that dropped the future does not want to know.
        let _ = sender.send(error.into());
    }
    Poll::Ready(Ok(StreamResult::Dropped))
}

/// Brings bytes to the guest. Dropped with the stream: then nobody wants what still comes.
struct Receiver<E> {
    connection: Arc<Connection>,
    result: Option<oneshot::Sender<E>>,
}

impl<E> Drop for Receiver<E> {
    fn drop(&mut self) {
        self.connection.end_receiving();
    }
}

impl<E: Failure> StreamProducer<State> for Receiver<E> {
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
struct Sender<E> {
    connection: Arc<Connection>,
    result: Option<oneshot::Sender<E>>,
}

impl<E> Drop for Sender<E> {
    fn drop(&mut self) {
        self.connection.end_sending();
    }
}

impl<E: Failure> StreamConsumer<State> for Sender<E> {
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
struct Acceptor<T> {
    sockets: Vec<Arc<TcpSocket>>,
    wrap: fn(Arc<TcpSocket>, Arc<Connection>) -> T,
    /// Until when nothing is accepted.
    pause: Option<Pin<Box<Wait>>>,
}

type Accepted = (Arc<TcpSocket>, Arc<Connection>);

impl<T> Acceptor<T> {
    /// The next connection of any of the sockets. Each is asked, so that each has the waker.
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Accepted, NetError>> {
        for socket in &self.sockets {
            if let Poll::Ready(accepted) = socket.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    fn poll_acceptable(&self, context: &mut Context<'_>) -> Poll<()> {
        let ready = self.sockets.iter().filter(|socket| socket.poll_acceptable(context).is_ready()).count();
        if ready > 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether nothing is accepted now; the task is woken when something is again.
    fn pauses(&mut self, context: &mut Context<'_>) -> bool {
        let pauses = self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(context).is_pending());
        if !pauses {
            self.pause = None;
        }
        pauses
    }
}

impl<T: Send + 'static> StreamProducer<State> for Acceptor<T> {
    type Item = Resource<T>;
    type Buffer = Option<Resource<T>>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        let only_asks = destination.remaining(store.as_context_mut()) == Some(0);
        loop {
            if me.pauses(context) {
                return pending(finish);
            }
            if only_asks {
                return match me.poll_acceptable(context) {
                    Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                    Poll::Pending => pending(finish),
                };
            }
            match me.poll_accept(context) {
                Poll::Pending => return pending(finish),
                Poll::Ready(Ok((socket, connection))) => {
                    let handle = store.data_mut().table.push((me.wrap)(socket, connection))?;
                    destination.set_buffer(Some(handle));
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Poll::Ready(Err(NetError::NewSocketLimit | NetError::OutOfMemory)) => {
                    let state = store.data();
                    let until_ns = state.ports.clock.monotonic_ns().saturating_add(FULL_NS);
                    me.pause = Some(Box::pin(state.reactor.sleep_until(until_ns)));
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
