//! `wasi:http/types.incoming-body` and `future-trailers`: a body that comes, and what comes after it.

use super::error_code::ErrorCode;
use super::fields::Fields;
use crate::http::{Failure, Incoming};
use crate::interface::Context;
use crate::reactor::Readiness;
use crate::state::Event;
use crate::v02::io::{InputSource, InputStream, IoError, Pollable};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{self, Poll, Waker};
use mwasm_http::Headers;
use spin::Mutex;
use wasmtime::Result;
use wasmtime::component::Resource;

/// `wasi:http/types.incoming-body`.
pub(crate) struct IncomingBody {
    body: Arc<dyn Incoming>,
    has_stream: bool,
}

impl IncomingBody {
    /// A body that nobody has read from.
    pub fn new(body: Arc<dyn Incoming>) -> Self {
        Self { body, has_stream: false }
    }
}

/// The stream of a body.
struct Source(Arc<Readable>);

/// Ready when there is something of a body to read.
struct Readable(Arc<dyn Incoming>);

impl Readiness for Readable {
    fn poll_ready(&self, context: &mut task::Context<'_>) -> Poll<()> {
        self.0.poll_readable(context)
    }
}

impl InputSource for Source {
    fn read(&mut self, most: usize) -> core::result::Result<Option<Vec<u8>>, IoError> {
        self.0.0.read(most).map_err(IoError::Http)
    }

    fn readiness(&self) -> Arc<dyn Readiness> {
        self.0.clone()
    }
}

/// `wasi:http/types.future-trailers`.
pub(crate) struct FutureTrailers {
    body: Arc<Trailing>,
    was_taken: bool,
}

/// The end of a body.
struct Trailing {
    body: Arc<dyn Incoming>,
    result: Mutex<Option<core::result::Result<Option<Headers>, Failure>>>,
}

impl Readiness for Trailing {
    fn poll_ready(&self, context: &mut task::Context<'_>) -> Poll<()> {
        let mut result = self.result.lock();
        if result.is_none() {
            *result = Some(core::task::ready!(self.body.poll_trailers(context)));
        }
        Poll::Ready(())
    }
}

type Body = Resource<IncomingBody>;
type Future = Resource<FutureTrailers>;
/// What `future-trailers.get` returns: whether it is over, whether it was not taken before, whether it went well, and the trailers.
type Trailers = Option<core::result::Result<core::result::Result<Option<Resource<Fields>>, ErrorCode>, ()>>;

pub(super) fn stream(
    mut context: Context<'_>,
    (body,): (Body,),
) -> Result<(core::result::Result<Resource<InputStream>, ()>,)> {
    let table = &mut context.data_mut().table;
    let incoming = table.get_mut(&body)?;
    if core::mem::replace(&mut incoming.has_stream, true) {
        return Ok((Err(()),));
    }
    let source = Source(Arc::new(Readable(incoming.body.clone())));
    Ok((Ok(table.push_child(InputStream::Source(Box::new(source)), &body)?),))
}

pub(super) fn finish(mut context: Context<'_>, (body,): (Body,)) -> Result<(Future,)> {
    let table = &mut context.data_mut().table;
    let body = table.delete(body)?.body;
    let body = Arc::new(Trailing { body, result: Mutex::new(None) });
    Ok((table.push(FutureTrailers { body, was_taken: false })?,))
}

pub(super) fn subscribe_trailers(mut context: Context<'_>, (future,): (Future,)) -> Result<(Resource<Pollable>,)> {
    let body = context.data().table.get(&future)?.body.clone();
    Ok((context.data_mut().table.push(Pollable(Event::Source(body)))?,))
}

pub(super) fn trailers(mut context: Context<'_>, (future,): (Future,)) -> Result<(Trailers,)> {
    let table = &mut context.data_mut().table;
    let future = table.get_mut(&future)?;
    if future.was_taken {
        return Ok((Some(Err(())),));
    }
    if future.body.poll_ready(&mut task::Context::from_waker(Waker::noop())).is_pending() {
        return Ok((None,));
    }
    future.was_taken = true;
    let result = future.body.result.lock().take();
    Ok((Some(Ok(match result {
        Some(Ok(Some(trailers))) => Ok(Some(table.push(Fields::immutable(Arc::new(trailers)))?)),
        Some(Ok(None)) | None => Ok(None),
        Some(Err(failure)) => Err(failure.into()),
    })),))
}
