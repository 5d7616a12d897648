//! The two directions of a connection as streams of `wasi:io`.
//!
//! Copies: what comes goes from the socket's buffer to a list, and Wasmtime copies the list to the guest (two; `wasi:io` 0.2 has no
//! other way). What goes is handed to the socket's buffer from the guest's own memory (one), and only what does not fit there waits in
//! the host (two).

use crate::reactor::{Reactor, Readiness};
use crate::sockets::connection::Connection;
use crate::state::State;
use crate::v02::io::{InputSource, InputStream, IoError, OutputSink, OutputStream};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll};
use wasmtime::Result;
use wasmtime::component::Resource;

/// The streams of a connection, in the table.
pub(super) fn streams(
    state: &mut State,
    connection: Arc<Connection>,
) -> Result<(Resource<InputStream>, Resource<OutputStream>)> {
    let reactor = state.reactor.clone();
    let input = Receiver { readiness: Arc::new(Receivable(connection.clone())), reactor: reactor.clone(), open: true };
    let output = Sender { readiness: Arc::new(Sendable(connection)), reactor };
    Ok((
        state.table.push(InputStream::Source(Box::new(input)))?,
        state.table.push(OutputStream::Sink(Box::new(output)))?,
    ))
}

struct Receivable(Arc<Connection>);

impl Readiness for Receivable {
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_receivable(context)
    }
}

struct Sendable(Arc<Connection>);

impl Readiness for Sendable {
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_sendable(context)
    }
}

struct Receiver {
    readiness: Arc<Receivable>,
    reactor: Arc<Reactor>,
    /// Neither the end nor an error was told yet.
    open: bool,
}

impl InputSource for Receiver {
    fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>, IoError> {
        if !self.open {
            return Ok(None);
        }
        let mut bytes = alloc::vec![0; most];
        if bytes.is_empty() {
            return Ok(Some(bytes));
        }
        match self.reactor.now(|context| self.readiness.0.poll_receive(&mut bytes, context)) {
            Poll::Pending => Ok(Some(Vec::new())),
            Poll::Ready(Ok(0)) => {
                self.open = false;
                Ok(None)
            }
            Poll::Ready(Ok(count)) => {
                bytes.truncate(count);
                Ok(Some(bytes))
            }
            Poll::Ready(Err(error)) => {
                self.open = false;
                Err(IoError::Network(error))
            }
        }
    }

    fn readiness(&self) -> Arc<dyn Readiness> {
        self.readiness.clone()
    }
}

struct Sender {
    readiness: Arc<Sendable>,
    reactor: Arc<Reactor>,
}

impl OutputSink for Sender {
    fn room(&mut self) -> Result<Option<usize>, IoError> {
        self.readiness.0.room(&self.reactor).map_err(IoError::Network)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.readiness.0.write(&self.reactor, bytes).map_err(IoError::Network)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        // All that was written is on its way.
        Ok(())
    }

    fn readiness(&self) -> Arc<dyn Readiness> {
        self.readiness.clone()
    }
}
