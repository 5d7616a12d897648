//! `wasi:io/streams`: bytes in and out of the console and of files.
//!
//! Every stream here takes what the specification's contract lets a guest write after `check-write`, so `write` never waits and
//! nothing is lost. A read from a file ends at the file's end; a read from the console waits for bytes in its `blocking-` form.

use super::bytes;
use super::io::{InputStream, IoError, OutputSink, OutputStream, Pollable};
use super::wait_for;
use crate::console::OUTPUT_WRITE_BYTES;
use crate::fs::ErrorCode;
use crate::interface::{Context, handle, interface, item, plain, waits};
use crate::reactor::Readiness;
use crate::state::{Event, State};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::Poll;
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Lower, Resource, WasmList};

/// The most bytes that one read returns.
const MAX_READ_BYTES: u64 = 64 << 10;
/// What `write-zeroes` and `splice` move at once, in bytes.
const CHUNK_BYTES: usize = 4096;

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Input = Resource<InputStream>;
type Output = Resource<OutputStream>;
/// What goes wrong for the guest; outside of it what ends the guest.
type Streamed<T> = Result<Result<T, StreamError>>;

fn failed<T>(state: &mut State, error: IoError) -> Streamed<T> {
    Ok(Err(StreamError::LastOperationFailed(state.table.push(error)?)))
}

/// Reads what is there, up to `most` bytes: an empty list if nothing is there yet.
fn read(state: &mut State, stream: &Input, most: u64) -> Streamed<Vec<u8>> {
    let most = usize::try_from(most.min(MAX_READ_BYTES)).unwrap_or(CHUNK_BYTES);
    match state.table.get_mut(stream)? {
        InputStream::Console => {
            let console = state.ports.console.clone();
            match state.console.read(&*console, most) {
                Ok(Some(bytes)) => Ok(Ok(bytes)),
                Ok(None) => Ok(Err(StreamError::Closed)),
                Err(error) => failed(state, IoError::Console(error)),
            }
        }
        InputStream::File { file, offset } => {
            let mut bytes = alloc::vec![0; most];
            match file.read_at(&mut bytes, *offset) {
                Ok(0) if most > 0 => Ok(Err(StreamError::Closed)),
                Ok(count) => {
                    *offset = offset.saturating_add(count as u64);
                    bytes.truncate(count);
                    Ok(Ok(bytes))
                }
                Err(error) => failed(state, IoError::File(error)),
            }
        }
        InputStream::Source(source) => match source.read(most) {
            Ok(Some(bytes)) => Ok(Ok(bytes)),
            Ok(None) => Ok(Err(StreamError::Closed)),
            Err(error) => failed(state, error),
        },
    }
}

async fn blocking_read(context: &mut Context<'_>, stream: &Input, most: u64) -> Streamed<Vec<u8>> {
    loop {
        let event = input_event(context.data(), stream)?;
        wait_for(context, event).await;
        match read(context.data_mut(), stream, most)? {
            // It only looked as if something had come.
            Ok(bytes) if bytes.is_empty() && most > 0 => {}
            answer => return Ok(answer),
        }
    }
}

fn input_event(state: &State, stream: &Input) -> Result<Event> {
    Ok(match state.table.get(stream)? {
        InputStream::Console => Event::Input,
        InputStream::File { .. } => Event::Always,
        InputStream::Source(source) => Event::Source(source.readiness()),
    })
}

fn output_event(state: &State, stream: &Output) -> Result<Event> {
    Ok(match state.table.get(stream)? {
        OutputStream::Console(to) => Event::Output(*to),
        OutputStream::File { .. } => Event::Always,
        OutputStream::Sink(sink) => Event::Source(sink.readiness()),
    })
}

fn check_write(state: &mut State, stream: &Output) -> Streamed<u64> {
    match state.table.get_mut(stream)? {
        OutputStream::Console(to) => {
            let console = state.ports.console.clone();
            match state.console.writable(&*console, *to) {
                Ok(count) => Ok(Ok(count as u64)),
                Err(_) => Ok(Err(StreamError::Closed)),
            }
        }
        OutputStream::File { .. } => Ok(Ok(OUTPUT_WRITE_BYTES as u64)),
        OutputStream::Sink(sink) => match sink.room() {
            Ok(Some(room)) => Ok(Ok(room as u64)),
            Ok(None) => Ok(Err(StreamError::Closed)),
            Err(error) => failed(state, error),
        },
    }
}

/// Takes all of `bytes`.
fn write(state: &mut State, stream: &Output, bytes: &[u8]) -> Streamed<()> {
    let result = match state.table.get_mut(stream)? {
        OutputStream::Console(to) => {
            let (to, console) = (*to, state.ports.console.clone());
            state.console.write(&*console, to, bytes).map_err(IoError::Console)
        }
        OutputStream::File { file, offset } => {
            let end = || file.stat().map(|stat| stat.size);
            offset
                .map_or_else(end, Ok)
                .and_then(|start| {
                    let mut written = 0;
                    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
                        written += match file.write_at(rest, start.saturating_add(written as u64))? {
                            0 => return Err(ErrorCode::Io),
                            count => count,
                        };
                    }
                    *offset = offset.map(|start| start.saturating_add(written as u64));
                    Ok(())
                })
                .map_err(IoError::File)
        }
        OutputStream::Sink(sink) => sink.write(bytes),
    };
    match result {
        Ok(()) => Ok(Ok(())),
        Err(error) => failed(state, error),
    }
}

/// Begins to hand over what was written.
fn flush(state: &mut State, stream: &Output) -> Streamed<()> {
    if let OutputStream::Sink(sink) = state.table.get_mut(stream)?
        && let Err(error) = sink.flush()
    {
        return failed(state, error);
    }
    Ok(check_write(state, stream)?.map(drop))
}

async fn blocking_flush(context: &mut Context<'_>, stream: &Output) -> Streamed<()> {
    if let Err(error) = flush(context.data_mut(), stream)? {
        return Ok(Err(error));
    }
    let event = output_event(context.data(), stream)?;
    wait_for(context, event).await;
    Ok(check_write(context.data_mut(), stream)?.map(drop))
}

async fn blocking_write(context: &mut Context<'_>, stream: &Output, contents: &WasmList<u8>) -> Streamed<()> {
    let event = output_event(context.data(), stream)?;
    wait_for(context, event).await;
    if let Err(error) = write_list(context, stream, contents)? {
        return Ok(Err(error));
    }
    blocking_flush(context, stream).await
}

/// Takes all of a guest's list. The console and what is behind other interfaces are handed the guest's own memory; they are out of the
/// store meanwhile, which holds both. Files get a copy.
fn write_list(context: &mut Context<'_>, stream: &Output, contents: &WasmList<u8>) -> Streamed<()> {
    let result = match context.data_mut().table.get_mut(stream)? {
        OutputStream::File { .. } => {
            let bytes = contents.as_le_slice(&*context).to_vec();
            return write(context.data_mut(), stream, &bytes);
        }
        OutputStream::Console(to) => {
            let to = *to;
            let console = context.data().ports.console.clone();
            let mut buffers = core::mem::take(&mut context.data_mut().console);
            let result = buffers.write(&*console, to, contents.as_le_slice(&*context));
            context.data_mut().console = buffers;
            result.map_err(IoError::Console)
        }
        OutputStream::Sink(sink) => {
            let mut sink = core::mem::replace(sink, Box::new(Away));
            let result = sink.write(contents.as_le_slice(&*context));
            *context.data_mut().table.get_mut(stream)? = OutputStream::Sink(sink);
            result
        }
    };
    match result {
        Ok(()) => Ok(Ok(())),
        Err(error) => failed(context.data_mut(), error),
    }
}

/// Stands in the table for a sink that is being written to.
struct Away;

impl OutputSink for Away {
    fn room(&mut self) -> Result<Option<usize>, IoError> {
        Ok(None)
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), IoError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    fn readiness(&self) -> Arc<dyn Readiness> {
        Arc::new(Away)
    }
}

impl Readiness for Away {
    fn poll_ready(&self, _context: &mut core::task::Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Moves up to `most` bytes that are there.
fn splice(state: &mut State, to: &Output, from: &Input, most: u64) -> Streamed<u64> {
    let room = match check_write(state, to)? {
        Ok(room) => room,
        Err(error) => return Ok(Err(error)),
    };
    let bytes = match read(state, from, most.min(room).min(CHUNK_BYTES as u64))? {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error)),
    };
    Ok(write(state, to, &bytes)?.map(|()| bytes.len() as u64))
}

fn write_zeroes(state: &mut State, stream: &Output, mut left: u64) -> Streamed<()> {
    while left > 0 {
        let step = left.min(CHUNK_BYTES as u64);
        let zeros = [0; CHUNK_BYTES];
        if let Err(error) = write(state, stream, zeros.get(..step as usize).unwrap_or_default())? {
            return Ok(Err(error));
        }
        left -= step;
    }
    Ok(Ok(()))
}

interface! {
    /// `wasi:io/streams@0.2`.
    STREAMS = "wasi:io/streams", "0.2", "wasi:io/streams@0.2.0" {
        item, "input-stream", handle::<InputStream>;
        item, "output-stream", handle::<OutputStream>;
        plain, "[method]input-stream.read", |mut context, (stream, most): (Input, u64)| {
            Ok((read(context.data_mut(), &stream, most)?.map(bytes::list),))
        };
        waits, "[method]input-stream.blocking-read", |mut context, (stream, most): (Input, u64)| {
            Box::new(async move { Ok((blocking_read(&mut context, &stream, most).await?.map(bytes::list),)) })
        };
        plain, "[method]input-stream.skip", |mut context, (stream, most): (Input, u64)| {
            Ok((read(context.data_mut(), &stream, most)?.map(|bytes| bytes.len() as u64),))
        };
        waits, "[method]input-stream.blocking-skip", |mut context, (stream, most): (Input, u64)| {
            Box::new(async move {
                Ok((blocking_read(&mut context, &stream, most).await?.map(|bytes| bytes.len() as u64),))
            })
        };
        plain, "[method]input-stream.subscribe", |mut context, (stream,): (Input,)| {
            let event = input_event(context.data(), &stream)?;
            Ok((context.data_mut().table.push(Pollable(event))?,))
        };
        plain, "[method]output-stream.check-write", |mut context, (stream,): (Output,)| {
            Ok((check_write(context.data_mut(), &stream)?,))
        };
        plain, "[method]output-stream.write", |mut context, (stream, contents): (Output, WasmList<u8>)| {
            Ok((write_list(&mut context, &stream, &contents)?,))
        };
        waits, "[method]output-stream.blocking-write-and-flush",
            |mut context, (stream, contents): (Output, WasmList<u8>)| {
                Box::new(async move { Ok((blocking_write(&mut context, &stream, &contents).await?,)) })
            };
        plain, "[method]output-stream.flush", |mut context, (stream,): (Output,)| {
            Ok((flush(context.data_mut(), &stream)?,))
        };
        waits, "[method]output-stream.blocking-flush", |mut context, (stream,): (Output,)| {
            Box::new(async move { Ok((blocking_flush(&mut context, &stream).await?,)) })
        };
        plain, "[method]output-stream.subscribe", |mut context, (stream,): (Output,)| {
            let event = output_event(context.data(), &stream)?;
            Ok((context.data_mut().table.push(Pollable(event))?,))
        };
        plain, "[method]output-stream.write-zeroes", |mut context, (stream, count): (Output, u64)| {
            Ok((write_zeroes(context.data_mut(), &stream, count)?,))
        };
        waits, "[method]output-stream.blocking-write-zeroes-and-flush",
            |mut context, (stream, count): (Output, u64)| {
                Box::new(async move {
                    let result = match write_zeroes(context.data_mut(), &stream, count)? {
                        Ok(()) => blocking_flush(&mut context, &stream).await?,
                        Err(error) => Err(error),
                    };
                    Ok((result,))
                })
            };
        plain, "[method]output-stream.splice", |mut context, (to, from, most): (Output, Input, u64)| {
            Ok((splice(context.data_mut(), &to, &from, most)?,))
        };
        waits, "[method]output-stream.blocking-splice", |mut context, (to, from, most): (Output, Input, u64)| {
            Box::new(async move {
                let (output, input) = (output_event(context.data(), &to)?, input_event(context.data(), &from)?);
                wait_for(&mut context, output).await;
                wait_for(&mut context, input).await;
                Ok((splice(context.data_mut(), &to, &from, most)?,))
            })
        };
    }
}
