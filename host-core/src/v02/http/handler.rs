//! `wasi:http/outgoing-handler`, and `future-incoming-response` of `wasi:http/types`: the app asks a server.
//!
//! The policy is asked before anything leaves, names included. `https` is refused with `TLS-protocol-error`: there is no TLS here, and a
//! request that was to be secret must not go in the clear.

use super::error_code::ErrorCode;
use super::incoming::IncomingResponse;
use super::method::Scheme;
use super::options::RequestOptions;
use super::outgoing::OutgoingRequest;
use crate::http::Failure;
use crate::http::client::{Dial, Exchange, Route, Timeouts};
use crate::http::idle::Server;
use crate::interface::{Context, interface, plain};
use crate::reactor::Readiness;
use crate::sockets::dial::Dialer;
use crate::state::{Event, State};
use crate::v02::io::Pollable;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::task::{self, Poll, Waker};
use mwasm_http::{BodyLength, Headers, RequestHead, ResponseHead};
use spin::Mutex;
use wasmtime::Result;
use wasmtime::component::Resource;

/// The port of `http` (RFC 9110, section 4.2.1).
const HTTP_PORT: u16 = 80;

/// `wasi:http/types.future-incoming-response`.
pub(crate) struct FutureIncomingResponse {
    response: Arc<Response>,
    was_taken: bool,
}

/// A response that may have come.
struct Response {
    exchange: Arc<Exchange>,
    result: Mutex<Option<core::result::Result<ResponseHead, Failure>>>,
}

impl Readiness for Response {
    fn poll_ready(&self, context: &mut task::Context<'_>) -> Poll<()> {
        let mut result = self.result.lock();
        if result.is_none() {
            *result = Some(core::task::ready!(self.exchange.poll_response(context)));
        }
        Poll::Ready(())
    }
}

/// Host and port of an authority.
fn split(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, if port.is_empty() { HTTP_PORT } else { port.parse().ok().filter(|port| *port > 0)? })
        }
        _ => (authority, HTTP_PORT),
    };
    (!host.is_empty() && !host.contains('@')).then_some((host, port))
}

/// A request to a server as the app describes it.
pub(crate) struct Target {
    pub method: mwasm_http::Method,
    pub path: Option<String>,
    pub scheme: Option<Scheme>,
    pub authority: Option<String>,
}

impl Target {
    /// The request's head, and the way to its server.
    pub fn open(self, state: &mut State, headers: &Headers) -> core::result::Result<Route, ErrorCode> {
        match self.scheme {
            Some(Scheme::Http) | None => {}
            Some(Scheme::Https) => return Err(Failure::Tls.into()),
            Some(Scheme::Other(_)) => return Err(ErrorCode::HttpRequestUriInvalid),
        }
        let authority = self.authority.ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let (host, port) = split(&authority).ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let (host, dialer) = (String::from(host), Dialer::of(state).map_err(Failure::dialing)?);
        let (server, idle) = (Server { scheme: "http", host: host.to_ascii_lowercase(), port }, dialer.idle(state));
        let dial: Dial = Box::pin(async move { dialer.connect(&host, port).await });
        let path = match self.path {
            None => String::from("/"),
            // A query of an empty path.
            Some(path) if path.is_empty() || path.starts_with('?') => String::from("/") + &path,
            Some(path) => path,
        };
        let (method, authority, headers) = (self.method, Some(authority), headers.clone());
        let head = RequestHead { method, authority, path, headers, ..RequestHead::default() };
        Ok(Route { head, dial, server, idle })
    }
}

fn start(
    state: &mut State,
    request: OutgoingRequest,
    timeouts: Timeouts,
) -> core::result::Result<Arc<Exchange>, ErrorCode> {
    let OutgoingRequest { method, path, scheme, authority, headers, body } = request;
    let route = Target { method, path, scheme, authority }.open(state, &headers.sendable())?;
    let length = if body.is_some() { BodyLength::Unknown } else { BodyLength::None };
    let (reactor, clock) = (state.reactor.clone(), state.ports.clock.clone());
    match (Exchange::new(reactor, clock, route, timeouts, length), body) {
        (Ok(exchange), Some(body)) => {
            body.attach(exchange.clone());
            Ok(exchange)
        }
        (Ok(exchange), None) => {
            use crate::http::Outgoing;
            exchange.finish(None)?;
            Ok(exchange)
        }
        (Err(failure), body) => {
            if let Some(body) = body {
                body.fail(failure);
            }
            Err(failure.into())
        }
    }
}

type Future = Resource<FutureIncomingResponse>;
/// What `future-incoming-response.get` returns: whether it is over, whether it was not taken before, and the response.
type Got = Option<core::result::Result<core::result::Result<Resource<IncomingResponse>, ErrorCode>, ()>>;

pub(super) fn subscribe(mut context: Context<'_>, (future,): (Future,)) -> Result<(Resource<Pollable>,)> {
    let response = context.data().table.get(&future)?.response.clone();
    Ok((context.data_mut().table.push(Pollable(Event::Source(response)))?,))
}

pub(super) fn get(mut context: Context<'_>, (future,): (Future,)) -> Result<(Got,)> {
    let table = &mut context.data_mut().table;
    let future = table.get_mut(&future)?;
    if future.was_taken {
        return Ok((Some(Err(())),));
    }
    let response = future.response.clone();
    if response.poll_ready(&mut task::Context::from_waker(Waker::noop())).is_pending() {
        return Ok((None,));
    }
    future.was_taken = true;
    let result = response.result.lock().take().unwrap_or(Err(Failure::Over));
    Ok((Some(Ok(match result {
        Ok(head) => Ok(table.push(IncomingResponse::new(head, response.exchange.clone()))?),
        Err(failure) => Err(failure.into()),
    })),))
}

fn handle(
    mut context: Context<'_>,
    (request, options): (Resource<OutgoingRequest>, Option<Resource<RequestOptions>>),
) -> Result<(core::result::Result<Future, ErrorCode>,)> {
    let state = context.data_mut();
    let timeouts = match options {
        Some(options) => state.table.delete(options)?.0,
        None => Timeouts::default(),
    };
    let request = state.table.delete(request)?;
    Ok((match start(state, request, timeouts) {
        Ok(exchange) => {
            let response = Arc::new(Response { exchange, result: Mutex::new(None) });
            Ok(state.table.push(FutureIncomingResponse { response, was_taken: false })?)
        }
        Err(error) => Err(error),
    },))
}

interface! {
    /// `wasi:http/outgoing-handler@0.2`.
    OUTGOING_HANDLER = "wasi:http/outgoing-handler", "0.2", "wasi:http/outgoing-handler@0.2.0" {
        plain, "handle", handle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_have_a_host_and_perhaps_a_port() {
        for (authority, host, port) in [
            ("a.org", "a.org", 80),
            ("a.org:81", "a.org", 81),
            ("a.org:", "a.org", 80),
            ("[::1]", "[::1]", 80),
            ("[::1]:8", "[::1]", 8),
        ] {
            assert_eq!(split(authority), Some((host, port)), "{authority}");
        }
        for wrong in ["", ":80", "a:0", "a:65536", "a:b", "user@a.org"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }
}
