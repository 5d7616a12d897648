//! An HTTP handler in Rust on WASI 0.2 (crate `wasip2`). What it answers is in ../../README.md.

use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{OutputStream, StreamError};

/// The most that is moved at a time, in bytes: what a stream takes at once (`wasi:io/streams`, `blocking-write-and-flush`).
const CHUNK_BYTES: usize = 4096;
/// The most that `/bytes/N` gives.
const MAX_BYTES: u64 = 1 << 30;
const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

wasip2::http::proxy::export!(App);

struct App;

impl wasip2::exports::http::incoming_handler::Guest for App {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_else(|| "/".into());
        let path = target.split('?').next().unwrap_or_default();
        match (path, request.method()) {
            ("/", _) => send_text(out, 200, "hello over HTTP\n", None),
            ("/echo", Method::Post) => echo(&request, out),
            ("/echo", _) => send_text(out, 405, "method not allowed\n", Some(("allow", "POST"))),
            ("/headers", _) => headers(&request, out),
            (path, _) => match path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
                Some(count @ 0..=MAX_BYTES) => bytes(count, out),
                _ => send_text(out, 404, "not found\n", None),
            },
        }
    }
}

/// A body that is being written.
struct Answer {
    body: OutgoingBody,
    stream: OutputStream,
}

impl Answer {
    /// Sends the head of an answer. `None` where the fields may not be sent, which ends the answer with an error.
    fn begin(out: ResponseOutparam, status: u16, fields: &[(String, Vec<u8>)]) -> Option<Self> {
        let Ok(head) = Fields::from_list(fields) else {
            ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
            return None;
        };
        let response = OutgoingResponse::new(head);
        response.set_status_code(status).ok()?;
        let body = response.body().ok()?;
        let stream = body.write().ok()?;
        ResponseOutparam::set(out, Ok(response));
        Some(Self { body, stream })
    }

    /// Writes a piece of the body. Fails when nobody takes it any more.
    fn write(&self, bytes: &[u8]) -> Result<(), StreamError> {
        bytes.chunks(CHUNK_BYTES).try_for_each(|piece| self.stream.blocking_write_and_flush(piece))
    }

    fn end(self) {
        drop(self.stream);
        // A client that went away is no concern of the app's.
        let _ = OutgoingBody::finish(self.body, None);
    }
}

fn field(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

fn send_text(out: ResponseOutparam, status: u16, text: &str, more: Option<(&str, &str)>) {
    let mut fields = vec![field("content-type", "text/plain")];
    fields.extend(more.map(|(name, value)| field(name, value)));
    if let Some(answer) = Answer::begin(out, status, &fields) {
        let _ = answer.write(text.as_bytes());
        answer.end();
    }
}

fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let mut kind = field("content-type", "application/octet-stream");
    if let Some(given) = request.headers().get("content-type").into_iter().next() {
        kind.1 = given;
    }
    let Some(answer) = Answer::begin(out, 200, &[kind]) else { return };
    if let Ok(body) = request.consume() {
        if let Ok(stream) = body.stream() {
            while let Ok(piece) = stream.blocking_read(CHUNK_BYTES as u64) {
                if answer.write(&piece).is_err() {
                    break;
                }
            }
        }
        IncomingBody::finish(body);
    }
    answer.end();
}

fn headers(request: &IncomingRequest, out: ResponseOutparam) {
    let mut entries = request.headers().entries();
    // Hosts may give the names of fields as they were sent.
    entries.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    entries.sort();
    let mut text = Vec::new();
    for (name, value) in entries.iter().filter(|(name, _)| name.starts_with("x-")) {
        text.extend([name.as_bytes(), b": ", value, b"\n"].concat());
    }
    if let Some(answer) = Answer::begin(out, 200, &[field("content-type", "text/plain"), field("x-answer", "yes")]) {
        let _ = answer.write(&text);
        answer.end();
    }
}

fn bytes(mut count: u64, out: ResponseOutparam) {
    // As many alphabets as fit: every piece starts with an 'a'.
    let piece = ALPHABET.repeat(CHUNK_BYTES / ALPHABET.len());
    let Some(answer) = Answer::begin(out, 200, &[field("content-type", "text/plain")]) else { return };
    while count > 0 {
        let now = usize::try_from(count).unwrap_or(usize::MAX).min(piece.len());
        if answer.write(&piece[..now]).is_err() {
            break;
        }
        count -= now as u64;
    }
    answer.end();
}
