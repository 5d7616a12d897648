//! Streams of bytes between a guest and the machine, as Wasmtime polls them.
//!
//! A [`Reader`] brings bytes into the guest, a [`Writer`] takes them out. Each ends with a result of its own kind that goes to the
//! guest through a future; [`result_future`] makes that pair. Where the machine has nothing or takes nothing now, they wait with the
//! reactor like everybody else.

use crate::fs::{self, ErrorCode, File};
use crate::reactor::Wait;
use crate::state::{Event, State};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_channel::oneshot;
use mwasm_ports::{ConsoleError, Output};
use wasmtime::component::{
    Destination, FutureReader, Lower, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// The most bytes that one step moves, where the guest's buffer does not set it.
const STEP_BYTES: usize = 16 << 10;

/// The future by which a guest learns how a stream ended.
pub(crate) type End<E> = FutureReader<Result<(), E>>;

/// Where a result goes, and the future by which the guest learns it. One that is dropped without a result stands for success.
pub(crate) fn result_future<E>(store: impl AsContextMut<Data = State>) -> Result<(oneshot::Sender<E>, End<E>)>
where
    Result<(), E>: Lower + wasmtime::component::Lift,
    E: Send + Sync + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let future = async { wasmtime::error::Ok(receiver.await.map_or(Ok(()), Err)) };
    Ok((sender, FutureReader::new(store, future)?))
}

/// One side of a stream waits here for its device.
#[derive(Default)]
struct Waiting(Option<Pin<Box<Wait>>>);

impl Waiting {
    /// Looks whether `event` has come; if not, sees to it that the task is woken when it may have.
    fn poll_ready(&mut self, state: &mut State, context: &mut Context<'_>, event: Event) -> Poll<()> {
        loop {
            if state.is_ready(&event) {
                self.0 = None;
                return Poll::Ready(());
            }
            let wait = self.0.get_or_insert_with(|| Box::pin(state.reactor.wait(event.interest())));
            match wait.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.0 = None,
            }
        }
    }
}

/// Where a stream's bytes come from.
pub(super) enum Input {
    /// Standard input.
    Console,
    /// A file, from an offset in bytes on.
    File(Arc<dyn File>, u64),
}

/// Where a stream's bytes go.
pub(super) enum Sink {
    /// Standard output or error.
    Console(Output),
    /// A file, from an offset in bytes on; `None` is always the end.
    File(Arc<dyn File>, Option<u64>),
}

/// What went wrong below a stream.
pub(super) enum Failure {
    /// The console.
    Console(ConsoleError),
    /// A file.
    File(ErrorCode),
}

/// Brings bytes into the guest.
struct Reader<E> {
    from: Input,
    waiting: Waiting,
    result: Option<oneshot::Sender<E>>,
}

/// Takes bytes out of the guest.
struct Writer<E> {
    to: Sink,
    waiting: Waiting,
    result: Option<oneshot::Sender<E>>,
}

/// A stream of bytes from the machine, and the future that tells how it ended.
pub(super) fn read_stream<E>(mut store: StoreContextMut<'_, State>, from: Input) -> Result<(StreamReader<u8>, End<E>)>
where
    E: From<Failure> + Send + Sync + 'static + Unpin,
    Result<(), E>: Lower + wasmtime::component::Lift,
{
    let (sender, future) = result_future(&mut store)?;
    let reader = Reader { from, waiting: Waiting::default(), result: Some(sender) };
    Ok((StreamReader::new(&mut store, reader)?, future))
}

/// Takes all of a guest's stream; the future tells how that ended.
pub(super) fn write_stream<E>(mut store: StoreContextMut<'_, State>, data: StreamReader<u8>, to: Sink) -> Result<End<E>>
where
    E: From<Failure> + Send + Sync + 'static + Unpin,
    Result<(), E>: Lower + wasmtime::component::Lift,
{
    let (sender, future) = result_future(&mut store)?;
    data.pipe(&mut store, Writer { to, waiting: Waiting::default(), result: Some(sender) })?;
    Ok(future)
}

fn fail<E: From<Failure>>(result: &mut Option<oneshot::Sender<E>>, failure: Failure) -> Poll<Result<StreamResult>> {
    if let Some(sender) = result.take() {
        // A guest that dropped the future does not want to know.
        let _ = sender.send(failure.into());
    }
    Poll::Ready(Ok(StreamResult::Dropped))
}

/// What to answer while the device is not ready.
pub(crate) fn pending(finish: bool) -> Poll<Result<StreamResult>> {
    if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending }
}

impl<E: From<Failure> + Send + 'static + Unpin> StreamProducer<State> for Reader<E> {
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
        if matches!(me.from, Input::Console)
            && me.waiting.poll_ready(store.data_mut(), context, Event::Input).is_pending()
        {
            return pending(finish);
        }
        let room = destination.remaining(store.as_context_mut()).unwrap_or(STEP_BYTES);
        if room == 0 {
            // The guest only asks whether there is something to read.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match &mut me.from {
            Input::Console => {
                let console = store.data().ports.console.clone();
                let bytes = match store.data_mut().console.read(&*console, room.min(STEP_BYTES)) {
                    Ok(Some(bytes)) => bytes,
                    Ok(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                    Err(error) => return fail(&mut me.result, Failure::Console(error)),
                };
                let mut direct = destination.as_direct(store, STEP_BYTES);
                let count = copy(direct.remaining(), &bytes);
                direct.mark_written(count);
            }
            Input::File(file, offset) => {
                let mut direct = destination.as_direct(store, STEP_BYTES);
                match file.read_at(direct.remaining(), *offset) {
                    Ok(0) => return Poll::Ready(Ok(StreamResult::Dropped)),
                    Ok(count) => {
                        *offset = offset.saturating_add(count as u64);
                        direct.mark_written(count);
                    }
                    Err(error) => return fail(&mut me.result, Failure::File(error)),
                }
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn copy(to: &mut [u8], from: &[u8]) -> usize {
    to.iter_mut().zip(from).for_each(|(slot, byte)| *slot = *byte);
    to.len().min(from.len())
}

impl<E: From<Failure> + Send + 'static + Unpin> StreamConsumer<State> for Writer<E> {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if let Sink::Console(to) = me.to
            && me.waiting.poll_ready(store.data_mut(), context, Event::Output(to)).is_pending()
        {
            return pending(finish);
        }
        // The port is given the guest's own memory; the buffers are taken out of the store meanwhile.
        let console = store.data().ports.console.clone();
        let mut buffers = core::mem::take(&mut store.data_mut().console);
        let mut direct = source.as_direct(store.as_context_mut());
        let bytes = direct.remaining();
        let written = match &mut me.to {
            Sink::Console(to) => buffers.write(&*console, *to, bytes).map(|()| bytes.len()).map_err(Failure::Console),
            Sink::File(file, offset) => write(&**file, offset, bytes).map_err(Failure::File),
        };
        if let Ok(count) = written {
            direct.mark_read(count);
        }
        store.data_mut().console = buffers;
        match written {
            Ok(_) => Poll::Ready(Ok(StreamResult::Completed)),
            Err(failure) => fail(&mut me.result, failure),
        }
    }
}

fn write(file: &dyn File, offset: &mut Option<u64>, bytes: &[u8]) -> fs::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let start = offset.map_or_else(|| file.stat().map(|stat| stat.size), Ok)?;
    let count = file.write_at(bytes, start)?;
    if count == 0 {
        return Err(ErrorCode::Io);
    }
    *offset = offset.map(|start| start.saturating_add(count as u64));
    Ok(count)
}
