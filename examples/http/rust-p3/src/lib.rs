//! An HTTP handler in Rust on WASI 0.3 (crate `wasip3`). What it answers is in ../../README.md.
//!
//! An answer is returned with a stream for its body; what the app writes into it is written by a task of its own, which goes on after the
//! answer was returned. The body of `/echo` needs no task: it is the request's own stream.

use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::wit_bindgen::{StreamReader, spawn_local};
use wasip3::{wit_future, wit_stream};

/// The most that is written at a time, in bytes.
const CHUNK_BYTES: usize = 64 << 10;
/// The most that `/bytes/N` gives.
const MAX_BYTES: u64 = 1 << 30;
const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

wasip3::http::service::export!(App);

struct App;

impl wasip3::exports::http::handler::Guest for App {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_else(|| "/".into());
        let path = target.split('?').next().unwrap_or_default();
        match (path, request.get_method()) {
            ("/", _) => text(200, "hello over HTTP\n".into(), None),
            ("/echo", Method::Post) => echo(request),
            ("/echo", _) => text(405, "method not allowed\n".into(), Some(("allow", "POST"))),
            ("/headers", _) => headers(&request),
            (path, _) => match path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
                Some(count @ 0..=MAX_BYTES) => bytes(count),
                _ => text(404, "not found\n".into(), None),
            },
        }
    }
}

fn field(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

fn answer(status: u16, fields: &[(String, Vec<u8>)], body: StreamReader<u8>) -> Result<Response, ErrorCode> {
    let fields = Fields::from_list(fields).map_err(|_| ErrorCode::InternalError(None))?;
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(fields, Some(body), trailers);
    response.set_status_code(status).map_err(|()| ErrorCode::InternalError(None))?;
    Ok(response)
}

fn text(status: u16, text: Vec<u8>, more: Option<(&str, &str)>) -> Result<Response, ErrorCode> {
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        // A client that went away leaves a rest, and there is nobody to tell.
        writer.write_all(text).await;
    });
    let mut fields = vec![field("content-type", "text/plain")];
    fields.extend(more.map(|(name, value)| field(name, value)));
    answer(status, &fields, reader)
}

fn echo(request: Request) -> Result<Response, ErrorCode> {
    let mut kind = field("content-type", "application/octet-stream");
    if let Some(given) = request.get_headers().get("content-type").into_iter().next() {
        kind.1 = given;
    }
    let (_, taken) = wit_future::new(|| Ok(()));
    let (body, _trailers) = Request::consume_body(request, taken);
    answer(200, &[kind], body)
}

fn headers(request: &Request) -> Result<Response, ErrorCode> {
    let mut entries = request.get_headers().copy_all();
    // Hosts may give the names of fields as they were sent.
    entries.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    entries.sort();
    let mut lines = Vec::new();
    for (name, value) in entries.iter().filter(|(name, _)| name.starts_with("x-")) {
        lines.extend([name.as_bytes(), b": ", value, b"\n"].concat());
    }
    text(200, lines, Some(("x-answer", "yes")))
}

fn bytes(mut count: u64) -> Result<Response, ErrorCode> {
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        // As many alphabets as fit: every piece starts with an 'a'.
        let mut piece = ALPHABET.repeat(CHUNK_BYTES / ALPHABET.len());
        let whole = piece.len();
        while count > 0 {
            let now = usize::try_from(count).unwrap_or(usize::MAX).min(whole);
            piece.truncate(now);
            if !writer.write_all(piece.clone()).await.is_empty() {
                return;
            }
            count -= now as u64;
        }
    });
    answer(200, &[field("content-type", "text/plain")], reader)
}
