//! The body of a message: where it comes from, and how it gets to the guest or to the network.
//!
//! A body is the network's or the guest's. The network's is read by a producer ([`Reader`]), the guest's is taken by a consumer ([`Writer`]); both
//! are polled by Wasmtime when the guest reads or writes, and move bytes between the guest's memory and the connection's buffer. A
//! body that goes from the guest to the guest is just its own stream, and one from the network to the network is pumped
//! ([`relay`]).
//!
//! After the last byte come the trailers, as the value of a future, and the guest that made a body learns by another future what
//! became of it ([`Done`]).

use crate::http::{Failure, Incoming, Outgoing};
use crate::interface::Context;
use crate::state::State;
use crate::v02::http::error_code::ErrorCode;
use crate::v02::http::fields::Fields;
use crate::v03::streams::{pending, result_future};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{self, Poll};
use futures_channel::oneshot;
use mwasm_http::{BodyLength, Headers};
use wasmtime::component::{
    Destination, FutureConsumer, FutureProducer, FutureReader, Resource, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// The most bytes that one step moves, where the guest's buffer does not set it.
const STEP_BYTES: usize = 16 << 10;

/// The bytes of a body.
pub(super) type Contents = StreamReader<u8>;
/// What follows them.
type Trailers = core::result::Result<Option<Resource<Fields>>, ErrorCode>;
/// That, once it is known.
pub(super) type FutureTrailers = FutureReader<Trailers>;
/// What became of a message.
pub(super) type Done = FutureReader<core::result::Result<(), ErrorCode>>;
/// What a guest gets that reads a body.
pub(super) type Received = (Contents, FutureTrailers);

/// A body.
pub(crate) enum Body {
    /// It comes from a connection.
    Network(Arc<dyn Incoming>),
    /// The guest makes it.
    Guest(Box<Made>),
}

/// A body that the guest makes.
pub(crate) struct Made {
    contents: Option<Contents>,
    trailers: FutureTrailers,
    /// Where the guest is told what went wrong; nothing went wrong if this is dropped.
    done: oneshot::Sender<ErrorCode>,
}

impl Body {
    /// A body from the guest, and the future by which it learns what became of it.
    pub(super) fn of_guest(
        context: &mut Context<'_>,
        contents: Option<Contents>,
        trailers: FutureTrailers,
    ) -> Result<(Self, Done)> {
        let (done, future) = result_future(context.as_context_mut())?;
        Ok((Self::Guest(Box::new(Made { contents, trailers, done })), future))
    }

    /// What is known of its length.
    pub fn length(&self) -> BodyLength {
        match self {
            Self::Guest(made) if made.contents.is_none() => BodyLength::None,
            Self::Guest(_) | Self::Network(_) => BodyLength::Unknown,
        }
    }

    /// Nobody wants it.
    pub fn close(self, context: Context<'_>) -> Result<()> {
        match self {
            Self::Guest(made) => close(made.contents, made.trailers, context),
            Self::Network(_) => Ok(()),
        }
    }

    /// It cannot be sent.
    pub fn refuse(self, context: Context<'_>, error: ErrorCode) -> Result<()> {
        let Self::Guest(made) = self else { return Ok(()) };
        // A guest that dropped the future does not want to know.
        let _ = made.done.send(error);
        close(made.contents, made.trailers, context)
    }

    /// Gives it to the guest, who will tell by `end` how it liked it.
    pub(super) fn consume(self, mut context: Context<'_>, end: End) -> Result<Received> {
        match self {
            Self::Network(incoming) => {
                end.0.pipe(&mut context, Verdict(None))?;
                let (reading, is_read) = oneshot::channel();
                let contents =
                    StreamReader::new(&mut context, Reader { incoming: incoming.clone(), _reading: reading })?;
                let trailers = FutureReader::new(&mut context, Ending { incoming, is_read: Some(is_read) })?;
                Ok((contents, trailers))
            }
            Self::Guest(made) => {
                let Made { contents, trailers, done } = *made;
                end.0.pipe(&mut context, Verdict(Some(done)))?;
                let contents = match contents {
                    Some(contents) => contents,
                    None => StreamReader::new(&mut context, Vec::new())?,
                };
                Ok((contents, trailers))
            }
        }
    }

    /// Begins to send it. It is on its way while the future is polled.
    pub fn transmit(
        self,
        mut context: Context<'_>,
        outgoing: Arc<dyn Outgoing>,
    ) -> Result<impl Future<Output = ()> + Send + use<>> {
        let (contents_end, mut contents_ended) = oneshot::channel();
        let (trailers_end, trailers) = oneshot::channel();
        let mut done = None;
        let mut incoming = None;
        match self {
            Self::Network(body) => incoming = Some(body),
            Self::Guest(made) => {
                done = Some(made.done);
                match made.contents {
                    Some(contents) => {
                        let writer = Writer { outgoing: outgoing.clone(), failed: Some(contents_end) };
                        contents.pipe(&mut context, writer)?;
                    }
                    None => drop(contents_end),
                }
                made.trailers.pipe(&mut context, TrailersTaker(Some(trailers_end)))?;
            }
        }
        let send = async move |outgoing: &dyn Outgoing| {
            if let Some(incoming) = incoming {
                return relay(&*incoming, outgoing).await.map_err(ErrorCode::from);
            }
            if let Ok(failure) = (&mut contents_ended).await {
                return Err(ErrorCode::from(failure));
            }
            match trailers.await {
                Ok(Ok(trailers)) => outgoing.finish(trailers.as_deref()).map_err(ErrorCode::from),
                Ok(Err(error)) => Err(error),
                Err(oneshot::Canceled) => Err(ErrorCode::ConnectionTerminated),
            }
        };
        Ok(async move {
            if let Err(error) = send(&*outgoing).await {
                outgoing.abort();
                if let Some(done) = done {
                    let _ = done.send(error);
                }
            }
        })
    }
}

fn close(contents: Option<Contents>, mut trailers: FutureTrailers, mut context: Context<'_>) -> Result<()> {
    if let Some(mut contents) = contents {
        contents.close(&mut context)?;
    }
    trailers.close(&mut context)
}

/// Moves a body from one connection to another.
async fn relay(incoming: &dyn Incoming, outgoing: &dyn Outgoing) -> core::result::Result<(), Failure> {
    let mut buffer = vec![0; STEP_BYTES];
    loop {
        let count = poll_fn(|context| incoming.poll_read(&mut buffer, context)).await?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let Some(room) = outgoing.room()? else { return Ok(()) };
            if room == 0 {
                poll_fn(|context| outgoing.poll_room(context)).await;
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            outgoing.write(now)?;
            outgoing.nudge();
            rest = later;
        }
    }
    let trailers = poll_fn(|context| incoming.poll_trailers(context)).await?;
    outgoing.finish(trailers.as_ref())
}

/// Brings the bytes of a body to the guest.
struct Reader {
    incoming: Arc<dyn Incoming>,
    /// Dropped with the stream: [`Ending`] learns by it that the guest has read what it wanted.
    _reading: oneshot::Sender<()>,
}

impl StreamProducer<State> for Reader {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        mut store: StoreContextMut<'a, State>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if destination.remaining(store.as_context_mut()) == Some(0) {
            // The guest only asks whether there is something to read.
            return match self.incoming.poll_readable(context) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending => pending(finish),
            };
        }
        let mut direct = destination.as_direct(store, STEP_BYTES);
        match self.incoming.poll_read(direct.remaining(), context) {
            Poll::Pending => pending(finish),
            // What went wrong is told in place of the trailers.
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(count)) => {
                direct.mark_written(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
        }
    }
}

/// Brings the trailers of a body to the guest, once its stream has ended.
struct Ending {
    incoming: Arc<dyn Incoming>,
    is_read: Option<oneshot::Receiver<()>>,
}

impl FutureProducer<State> for Ending {
    type Item = Trailers;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        mut store: StoreContextMut<State>,
        finish: bool,
    ) -> Poll<Result<Option<Trailers>>> {
        let wait = if finish { Poll::Ready(Ok(None)) } else { Poll::Pending };
        if let Some(is_read) = &mut self.is_read {
            if Pin::new(is_read).poll(context).is_pending() {
                return wait;
            }
            self.is_read = None;
        }
        let Poll::Ready(trailers) = self.incoming.poll_trailers(context) else { return wait };
        Poll::Ready(Ok(Some(match trailers {
            Ok(Some(trailers)) => Ok(Some(store.data_mut().table.push(Fields::immutable(Arc::new(trailers)))?)),
            Ok(None) => Ok(None),
            Err(failure) => Err(failure.into()),
        })))
    }
}

/// Takes the bytes of a body from the guest. Dropped with the stream: then the body is whole.
struct Writer {
    outgoing: Arc<dyn Outgoing>,
    failed: Option<oneshot::Sender<Failure>>,
}

impl Writer {
    fn fail(&mut self, failure: Failure) -> Poll<Result<StreamResult>> {
        if let Some(failed) = self.failed.take() {
            let _ = failed.send(failure);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl StreamConsumer<State> for Writer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        mut store: StoreContextMut<State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let room = loop {
            match self.outgoing.room() {
                Ok(Some(0)) if self.outgoing.poll_room(context).is_pending() => return pending(finish),
                Ok(Some(0)) => {}
                Ok(Some(room)) => break room,
                Ok(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Err(failure) => return self.fail(failure),
            }
        };
        let mut direct = source.as_direct(store.as_context_mut());
        let bytes = direct.remaining();
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if !bytes.is_empty() {
            if let Err(failure) = self.outgoing.write(bytes) {
                return self.fail(failure);
            }
            let count = bytes.len();
            direct.mark_read(count);
            self.outgoing.nudge();
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Takes the trailers from the guest.
struct TrailersTaker(Option<oneshot::Sender<core::result::Result<Option<Arc<Headers>>, ErrorCode>>>);

impl FutureConsumer<State> for TrailersTaker {
    type Item = Trailers;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _context: &mut task::Context<'_>,
        mut store: StoreContextMut<State>,
        mut source: Source<'_, Trailers>,
        _finish: bool,
    ) -> Poll<Result<()>> {
        let mut trailers = None;
        source.read(store.as_context_mut(), &mut trailers)?;
        let trailers = match trailers {
            None => return Poll::Ready(Ok(())),
            Some(Ok(Some(fields))) => Ok(Some(store.data_mut().table.delete(fields)?.sendable())),
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(error),
        };
        if let Some(taker) = self.0.take() {
            let _ = taker.send(trailers);
        }
        Poll::Ready(Ok(()))
    }
}

/// How a guest liked a body that it read, once it knows.
pub(super) struct End(pub Done);

/// Takes that, for whoever made the body. The network does not want to know.
struct Verdict(Option<oneshot::Sender<ErrorCode>>);

impl FutureConsumer<State> for Verdict {
    type Item = core::result::Result<(), ErrorCode>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _context: &mut task::Context<'_>,
        store: StoreContextMut<State>,
        mut source: Source<'_, Self::Item>,
        _finish: bool,
    ) -> Poll<Result<()>> {
        let mut verdict = None;
        source.read(store, &mut verdict)?;
        if let (Some(Err(error)), Some(done)) = (verdict, self.0.take()) {
            let _ = done.send(error);
        }
        Poll::Ready(Ok(()))
    }
}
