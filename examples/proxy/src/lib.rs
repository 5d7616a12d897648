//! A reverse proxy on WASI 0.2 (crate `wasip2`). What it does is in ../README.md.
//!
//! ```text
//!   client --request--> | fields, body | --request--> server
//!          <-response-- | body, fields | <-response--
//! ```
//!
//! Both bodies move in one loop, which waits for whatever can go on: a server may answer before it has read the whole request.

mod pipe;

use pipe::{End, Pipe};
use wasip2::cli::environment;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::poll::{self, Pollable};

/// The environment variable that says which server is behind.
const UPSTREAM: &str = "UPSTREAM";
/// Fields of one connection, which are not passed on; and the host, which is the server's behind.
const OF_A_CONNECTION: &[&str] = &[
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const CONTENT_LENGTH: &str = "content-length";
/// The status that says that the server behind is of no use (RFC 9110, section 15.6.3).
const BAD_GATEWAY: u16 = 502;

wasip2::http::proxy::export!(App);

struct App;

impl wasip2::exports::http::incoming_handler::Guest for App {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match ask(&request) {
            Ok((upward, response)) => run(upward, &response, out),
            Err(why) => refuse(out, &why),
        }
    }
}

/// A body on its way from one connection to the other. The streams in the pipe are dropped before what they belong to.
struct Transfer {
    pipe: Pipe,
    from: IncomingBody,
    to: OutgoingBody,
}

impl Transfer {
    fn new(from: IncomingBody, to: OutgoingBody) -> Result<Self, String> {
        let input = from.stream().map_err(|()| "a body is being read by somebody else")?;
        let output = to.write().map_err(|()| "a body is being written by somebody else")?;
        Ok(Self { pipe: Pipe::new(input, output), from, to })
    }

    /// A body that was broken off is not finished, so that whoever reads it hears of that.
    fn end(self, how: End) {
        let Self { pipe, from, to } = self;
        drop(pipe);
        if how == End::Whole {
            // Trailers are not passed on, and nobody is left to be told that the other side has gone.
            let _ = OutgoingBody::finish(to, None);
            IncomingBody::finish(from);
        }
    }
}

/// Sends the request on: its body, if it has one, and the response that is to come.
fn ask(request: &IncomingRequest) -> Result<(Option<Transfer>, FutureIncomingResponse), String> {
    let upstream = environment::get_environment().into_iter().find(|(name, _)| name == UPSTREAM);
    let (_, upstream) = upstream.ok_or("wanted HOST:PORT in the environment variable UPSTREAM, found none")?;
    let method = request.method();
    let has_body = !matches!(method, Method::Get | Method::Head);
    let asked = OutgoingRequest::new(passed_on(&request.headers().entries(), has_body)?);
    let is_set = asked.set_method(&method).is_ok()
        && asked.set_scheme(Some(&Scheme::Http)).is_ok()
        && asked.set_authority(Some(&upstream)).is_ok()
        && asked.set_path_with_query(request.path_with_query().as_deref()).is_ok();
    if !is_set {
        return Err(format!("no request can be made of this method, this path, and the server '{upstream}'"));
    }
    let upward = match has_body {
        true => {
            let from = request.consume().map_err(|()| "the request's body is gone")?;
            Some(Transfer::new(from, asked.body().map_err(|()| "the request takes no body")?)?)
        }
        false => None,
    };
    let response = outgoing_handler::handle(asked, None).map_err(|code| format!("no request to {upstream}: {code}"))?;
    Ok((upward, response))
}

/// Moves both bodies until the response's is through.
fn run(mut upward: Option<Transfer>, response: &FutureIncomingResponse, out: ResponseOutparam) {
    let (arrived, mut out) = (response.subscribe(), Some(out));
    let mut downward = None;
    loop {
        if let Some(transfer) = &upward
            && let Some(how) = transfer.pipe.go_on()
            && let Some(transfer) = upward.take()
        {
            transfer.end(how);
        }
        if let Some(Ok(result)) = response.get()
            && let Some(out) = out.take()
        {
            match result.map_err(|code| format!("the server behind does not answer: {code}")) {
                Ok(response) => downward = answer(&response, out),
                Err(why) => return refuse(out, &why),
            }
        }
        match (&downward, &out) {
            // Answered without a body, or not at all.
            (None, None) => return,
            (Some(transfer), _) => {
                if let Some(how) = transfer.pipe.go_on()
                    && let Some(transfer) = downward.take()
                {
                    return transfer.end(how);
                }
            }
            (None, Some(_)) => {}
        }
        let mut waits: Vec<&Pollable> =
            [&upward, &downward].into_iter().flatten().map(|it| it.pipe.waits_for()).collect();
        if out.is_some() {
            waits.push(&arrived);
        }
        poll::poll(&waits);
    }
}

/// Begins the answer, which is the response of the server behind.
fn answer(response: &IncomingResponse, out: ResponseOutparam) -> Option<Transfer> {
    let begun = || -> Result<(OutgoingResponse, Transfer), String> {
        let answer = OutgoingResponse::new(passed_on(&response.headers().entries(), true)?);
        answer.set_status_code(response.status()).map_err(|()| "the server behind answered with no known status")?;
        let from = response.consume().map_err(|()| "the response's body is gone")?;
        let transfer = Transfer::new(from, answer.body().map_err(|()| "the answer takes no body")?)?;
        Ok((answer, transfer))
    };
    match begun() {
        Ok((answer, transfer)) => {
            ResponseOutparam::set(out, Ok(answer));
            Some(transfer)
        }
        Err(why) => {
            refuse(out, &why);
            None
        }
    }
}

/// The fields that do not belong to one connection; the length goes with the body.
fn passed_on(entries: &[(String, Vec<u8>)], has_body: bool) -> Result<Fields, String> {
    let is_passed_on = |(name, _): &&(String, Vec<u8>)| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        !OF_A_CONNECTION.iter().any(|name| is(name)) && (has_body || !is(CONTENT_LENGTH))
    };
    let fields: Vec<_> = entries.iter().filter(is_passed_on).cloned().collect();
    Fields::from_list(&fields).map_err(|error| format!("fields that may not be passed on: {error}"))
}

/// Answers that the server behind is of no use.
fn refuse(out: ResponseOutparam, why: &str) {
    let fields = Fields::new();
    let is_text = fields.set("content-type", &[b"text/plain".to_vec()]).is_ok();
    let answer = OutgoingResponse::new(fields);
    let (Ok(()), true, Ok(body)) = (answer.set_status_code(BAD_GATEWAY), is_text, answer.body()) else {
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
    };
    ResponseOutparam::set(out, Ok(answer));
    if let Ok(stream) = body.write() {
        // A client that went away is no concern of the app's.
        let _ = stream.blocking_write_and_flush(format!("{why}\n").as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}
