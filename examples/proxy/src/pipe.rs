//! Moves bytes from one stream to another without ever waiting: it says what to wait for.

use std::cell::Cell;
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// The most that is moved at a time, in bytes.
const PIECE_BYTES: u64 = 64 << 10;

/// How a pipe came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All was read and written.
    Whole,
    /// One of the sides has gone.
    BrokenOff,
}

/// Two streams, and what each is waited for with. What waits is dropped before its stream.
pub struct Pipe {
    readable: Pollable,
    writable: Pollable,
    input: InputStream,
    output: OutputStream,
    /// Whether the output's room is what is missing, and not more input.
    is_full: Cell<bool>,
}

impl Pipe {
    pub fn new(input: InputStream, output: OutputStream) -> Self {
        let (readable, writable) = (input.subscribe(), output.subscribe());
        Self { readable, writable, input, output, is_full: Cell::new(false) }
    }

    /// Moves what can be moved now; says so when there will be no more.
    pub fn go_on(&self) -> Option<End> {
        match self.copy() {
            Ok(()) => None,
            Err(end) => Some(end),
        }
    }

    /// Ready when [`Pipe::go_on`] can go on.
    pub fn waits_for(&self) -> &Pollable {
        if self.is_full.get() { &self.writable } else { &self.readable }
    }

    fn copy(&self) -> Result<(), End> {
        let broken = |_: StreamError| End::BrokenOff;
        loop {
            let room = self.output.check_write().map_err(broken)?;
            self.is_full.set(room == 0);
            if room == 0 {
                return Ok(());
            }
            let piece = match self.input.read(room.min(PIECE_BYTES)) {
                Ok(piece) => piece,
                // The last bytes leave when the body is finished.
                Err(StreamError::Closed) => return Err(End::Whole),
                Err(StreamError::LastOperationFailed(_)) => return Err(End::BrokenOff),
            };
            if piece.is_empty() {
                // What was written so far leaves while more is waited for.
                return self.output.flush().map_err(broken);
            }
            self.output.write(&piece).map_err(broken)?;
        }
    }
}
