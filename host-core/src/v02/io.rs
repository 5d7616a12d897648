//! `wasi:io/error`, and the resources that the interfaces of `wasi:io` share.

use crate::fs::{ErrorCode, File};
use crate::interface::{handle, interface, item, plain};
use crate::state::Event;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use mwasm_ports::{ConsoleError, Output};
use wasmtime::component::Resource;

/// `wasi:io/error.error`.
#[derive(Clone, Copy, Debug)]
pub enum IoError {
    /// The console failed.
    Console(ConsoleError),
    /// A file failed.
    File(ErrorCode),
}

/// `wasi:io/poll.pollable`: what it waits for.
#[derive(Clone, Copy, Debug)]
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
}

interface! {
    /// `wasi:io/error@0.2`.
    ERROR = "wasi:io/error", "0.2", "wasi:io/error@0.2.0" {
        item, "error", handle::<IoError>;
        plain, "[method]error.to-debug-string", |context, (error,): (Resource<IoError>,)| {
            let text: String = match context.data().table.get(&error)? {
                IoError::Console(error) => format!("{error}"),
                IoError::File(error) => format!("{error:?}"),
            };
            Ok((text,))
        };
    }
}
