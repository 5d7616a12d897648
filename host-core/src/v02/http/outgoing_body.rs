//! `wasi:http/types.outgoing-body`: a body that the app writes.

use super::error_code::ErrorCode;
use super::fields::Fields;
use crate::http::{Failure, Outgoing};
use crate::interface::Context;
use crate::reactor::Readiness;
use crate::v02::io::{IoError, OutputSink, OutputStream};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{self, Poll};
use mwasm_http::{Headers, SendError};
use spin::Mutex;
use wasmtime::Result;
use wasmtime::component::Resource;

/// How much of a body an app may write before it has given its message away, in bytes; no more than a connection takes at once.
const EARLY_BYTES: usize = 16 << 10;
/// The least room for which it is worth to write, in bytes.
const MIN_ROOM_BYTES: usize = 4096;

/// Between the one who writes a body and the message that it belongs to.
///
/// An app may write a body first and give its message away later. Until then what it writes waits here; afterwards it goes straight on.
#[derive(Default)]
pub(crate) struct Pipe(Mutex<State>);

enum State {
    /// The message was not given away yet.
    Early { bytes: Vec<u8>, end: Option<End> },
    /// The message is on its way.
    Attached(Arc<dyn Outgoing>),
    /// There is no message any more.
    Failed(Failure),
}

/// How a body ended.
enum End {
    Whole(Option<Arc<Headers>>),
    Aborted,
}

impl Default for State {
    fn default() -> Self {
        Self::Early { bytes: Vec::new(), end: None }
    }
}

impl Pipe {
    /// The message goes to `outgoing`, and so does what was written so far.
    pub fn attach(&self, outgoing: Arc<dyn Outgoing>) {
        let early = core::mem::replace(&mut *self.0.lock(), State::Attached(outgoing.clone()));
        let State::Early { bytes, end } = early else { return };
        let written = if bytes.is_empty() { Ok(()) } else { outgoing.write(&bytes) };
        match (written, end) {
            (Ok(()), None) => {}
            (Ok(()), Some(End::Whole(trailers))) => {
                // Whoever finished it is gone: the connection shows what was wrong.
                let _ = outgoing.finish(trailers.as_deref());
            }
            (Err(_), _) | (_, Some(End::Aborted)) => outgoing.abort(),
        }
    }

    /// The message cannot be sent.
    pub fn fail(&self, failure: Failure) {
        *self.0.lock() = State::Failed(failure);
    }

    fn room(&self) -> core::result::Result<Option<usize>, Failure> {
        match &*self.0.lock() {
            State::Early { end: Some(_), .. } => Ok(None),
            State::Early { bytes, end: None } => {
                let room = EARLY_BYTES.saturating_sub(bytes.len());
                Ok(Some(if room < MIN_ROOM_BYTES { 0 } else { room }))
            }
            State::Attached(outgoing) => outgoing.room(),
            State::Failed(failure) => Err(*failure),
        }
    }

    fn write(&self, more: &[u8]) -> core::result::Result<(), Failure> {
        match &mut *self.0.lock() {
            State::Early { bytes, end: None } if bytes.len().saturating_add(more.len()) <= EARLY_BYTES => {
                bytes.extend_from_slice(more);
                Ok(())
            }
            State::Early { end: None, .. } => Err(Failure::Overrun),
            State::Early { end: Some(_), .. } => Err(Failure::Over),
            State::Attached(outgoing) => outgoing.write(more),
            State::Failed(failure) => Err(*failure),
        }
    }

    fn flush(&self) -> core::result::Result<(), Failure> {
        match &*self.0.lock() {
            State::Early { .. } => Ok(()),
            State::Attached(outgoing) => outgoing.flush(),
            State::Failed(failure) => Err(*failure),
        }
    }

    fn finish(&self, trailers: Option<Arc<Headers>>) -> core::result::Result<(), Failure> {
        match &mut *self.0.lock() {
            State::Early { end, .. } => {
                end.get_or_insert(End::Whole(trailers));
                Ok(())
            }
            State::Attached(outgoing) => outgoing.finish(trailers.as_deref()),
            State::Failed(failure) => Err(*failure),
        }
    }

    fn abort(&self) {
        match &mut *self.0.lock() {
            State::Early { end, .. } => {
                end.get_or_insert(End::Aborted);
            }
            State::Attached(outgoing) => outgoing.abort(),
            State::Failed(_) => {}
        }
    }
}

impl Readiness for Pipe {
    /// An app that waits for room before it gives its message away waits for itself.
    fn poll_ready(&self, context: &mut task::Context<'_>) -> Poll<()> {
        match &*self.0.lock() {
            State::Early { bytes, end: None } if EARLY_BYTES.saturating_sub(bytes.len()) < MIN_ROOM_BYTES => {
                Poll::Pending
            }
            State::Attached(outgoing) => outgoing.poll_room(context),
            State::Early { .. } | State::Failed(_) => Poll::Ready(()),
        }
    }
}

/// The stream of a body.
struct Sink(Arc<Pipe>);

impl OutputSink for Sink {
    fn room(&mut self) -> core::result::Result<Option<usize>, IoError> {
        self.0.room().map_err(IoError::Http)
    }

    fn write(&mut self, bytes: &[u8]) -> core::result::Result<(), IoError> {
        self.0.write(bytes).map_err(IoError::Http)
    }

    fn flush(&mut self) -> core::result::Result<(), IoError> {
        self.0.flush().map_err(IoError::Http)
    }

    fn readiness(&self) -> Arc<dyn Readiness> {
        self.0.clone()
    }
}

/// `wasi:http/types.outgoing-body`. One that is dropped before it is finished is not whole.
pub(crate) struct OutgoingBody {
    pipe: Arc<Pipe>,
    has_stream: bool,
    is_finished: bool,
}

impl OutgoingBody {
    /// A body that nobody has written to.
    pub fn new(pipe: Arc<Pipe>) -> Self {
        Self { pipe, has_stream: false, is_finished: false }
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        if !self.is_finished {
            self.pipe.abort();
        }
    }
}

type Body = Resource<OutgoingBody>;

pub(super) fn write(
    mut context: Context<'_>,
    (body,): (Body,),
) -> Result<(core::result::Result<Resource<OutputStream>, ()>,)> {
    let table = &mut context.data_mut().table;
    let outgoing = table.get_mut(&body)?;
    if core::mem::replace(&mut outgoing.has_stream, true) {
        return Ok((Err(()),));
    }
    let sink = Sink(outgoing.pipe.clone());
    Ok((Ok(table.push_child(OutputStream::Sink(Box::new(sink)), &body)?),))
}

pub(super) fn finish(
    mut context: Context<'_>,
    (body, trailers): (Body, Option<Resource<Fields>>),
) -> Result<(core::result::Result<(), ErrorCode>,)> {
    let table = &mut context.data_mut().table;
    let mut body = table.delete(body)?;
    let trailers = match trailers {
        Some(trailers) => Some(table.delete(trailers)?.headers().clone()),
        None => None,
    };
    body.is_finished = true;
    Ok((body.pipe.finish(trailers).map_err(|failure| match failure {
        Failure::Send(SendError::Length) => ErrorCode::HttpResponseBodySize(None),
        other => other.into(),
    }),))
}
