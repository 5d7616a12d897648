//! `wasi:io/error`, and the resources that the interfaces of `wasi:io` share.

use crate::fs::{ErrorCode, File};
use crate::http::Failure;
use crate::interface::{handle, interface, item, plain};
use crate::reactor::Readiness;
use crate::state::Event;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mwasm_ports::network::NetError;
use mwasm_ports::{ConsoleError, Output};
use wasmtime::component::Resource;

/// `wasi:io/error.error`.
#[derive(Clone, Copy, Debug)]
pub enum IoError {
    /// The console failed.
    Console(ConsoleError),
    /// A file failed.
    File(ErrorCode),
    /// A connection failed.
    Network(NetError),
    /// An exchange of HTTP failed.
    Http(Failure),
}

/// `wasi:io/poll.pollable`: what it waits for.
#[derive(Clone)]
pub struct Pollable(pub Event);

/// `wasi:io/streams.input-stream`.
pub enum InputStream {
    /// Standard input.
    Console,
    /// A file, from an offset on.
    File {
        /// The file.
        file: Arc<dyn File>,
        /// Where the next read starts, in bytes.
        offset: u64,
    },
    /// Bytes of another interface, such as a connection.
    Source(Box<dyn InputSource>),
}

/// What is behind an input stream of another interface.
pub trait InputSource: Send {
    /// Takes up to `most` bytes that are there: an empty list if nothing is there yet, `None` at the end. Called with `most` = 0 to see
    /// whether the stream has ended.
    fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>, IoError>;
    /// Ready when bytes have come, or the stream has ended or failed.
    fn readiness(&self) -> Arc<dyn Readiness>;
}

/// What is behind an output stream of another interface.
pub trait OutputSink: Send {
    /// How many bytes [`OutputSink::write`] takes now; 0 for not now. `None`: the stream is closed.
    fn room(&mut self) -> Result<Option<usize>, IoError>;
    /// Takes all of `bytes`, which are no more than [`OutputSink::room`] said.
    fn write(&mut self, bytes: &[u8]) -> Result<(), IoError>;
    /// Begins to hand over what was written; it is over when [`OutputSink::room`] says that there is room.
    fn flush(&mut self) -> Result<(), IoError>;
    /// Ready when there is room, or the stream is closed or failed.
    fn readiness(&self) -> Arc<dyn Readiness>;
}

/// `wasi:io/streams.output-stream`.
pub enum OutputStream {
    /// Standard output or error.
    Console(Output),
    /// A file.
    File {
        /// The file.
        file: Arc<dyn File>,
        /// Where the next write starts, in bytes; `None` is always the end.
        offset: Option<u64>,
    },
    /// A place of another interface, such as a connection.
    Sink(Box<dyn OutputSink>),
}

interface! {
    /// `wasi:io/error@0.2`.
    ERROR = "wasi:io/error", "0.2", "wasi:io/error@0.2.0" {
        item, "error", handle::<IoError>;
        plain, "[method]error.to-debug-string", |context, (error,): (Resource<IoError>,)| {
            let text: String = match context.data().table.get(&error)? {
                IoError::Console(error) => format!("{error}"),
                IoError::File(error) => format!("{error:?}"),
                IoError::Network(error) => format!("{error}"),
                IoError::Http(failure) => format!("{failure}"),
            };
            Ok((text,))
        };
    }
}
