//! Asks for web pages, on WASI 0.2 (crate `wasip2`). What it prints is in ../../README.md.

use wasip2::cli::{environment, stderr, stdout};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, IncomingBody, IncomingResponse, OutgoingRequest, Scheme};
use wasip2::io::streams::{OutputStream, StreamError};

/// The most that is moved at a time, in bytes: what a stream takes at once (`wasi:io/streams`, `blocking-write-and-flush`).
const CHUNK_BYTES: usize = 4096;

wasip2::cli::command::export!(Fetch);

struct Fetch;

impl wasip2::exports::cli::run::Guest for Fetch {
    fn run() -> Result<(), ()> {
        let out = stdout::get_stdout();
        for url in environment::get_arguments().iter().skip(1) {
            match fetch(url) {
                Ok((status, body)) => {
                    print(&out, format!("{status}\n").as_bytes())?;
                    print(&out, &body)?;
                }
                Err(error) => {
                    print(&stderr::get_stderr(), format!("{url}: {error:?}\n").as_bytes())?;
                    return Err(());
                }
            }
        }
        Ok(())
    }
}

fn print(to: &OutputStream, bytes: &[u8]) -> Result<(), ()> {
    bytes.chunks(CHUNK_BYTES).try_for_each(|piece| to.blocking_write_and_flush(piece)).map_err(drop)
}

/// Status and body.
fn fetch(url: &str) -> Result<(u16, Vec<u8>), ErrorCode> {
    let wrong = |()| ErrorCode::HttpRequestUriInvalid;
    let rest = url.strip_prefix("http://").ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).map_err(wrong)?;
    request.set_authority(Some(authority)).map_err(wrong)?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(wrong)?;
    let future = outgoing_handler::handle(request, None)?;
    let response = loop {
        match future.get() {
            Some(response) => break response.map_err(|()| ErrorCode::InternalError(None))??,
            None => future.subscribe().block(),
        }
    };
    Ok((response.status(), read(&response)?))
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, ErrorCode> {
    let failed = |()| ErrorCode::InternalError(None);
    let body = response.consume().map_err(failed)?;
    let stream = body.stream().map_err(failed)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK_BYTES as u64) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(ErrorCode::HttpResponseIncomplete),
        }
    }
    drop(stream);
    // The trailers are of no interest.
    drop(IncomingBody::finish(body));
    Ok(bytes)
}
