//! `wasi:http/types.outgoing-request`, `outgoing-response` and `response-outparam`: messages that the app makes.

use super::error_code::ErrorCode;
use super::fields::Fields;
use super::method::{Method, Scheme};
use super::outgoing_body::{OutgoingBody, Pipe};
use crate::http::Responder;
use crate::interface::Context;
use alloc::string::String;
use alloc::sync::Arc;
use mwasm_http::BodyLength;
use wasmtime::Result;
use wasmtime::component::Resource;

/// `wasi:http/types.outgoing-request`.
pub(crate) struct OutgoingRequest {
    pub method: mwasm_http::Method,
    pub path: Option<String>,
    pub scheme: Option<Scheme>,
    pub authority: Option<String>,
    pub headers: Fields,
    /// `None`: there is no body.
    pub body: Option<Arc<Pipe>>,
}

/// `wasi:http/types.outgoing-response`.
pub(crate) struct OutgoingResponse {
    status: u16,
    headers: Fields,
    /// `None`: there is no body.
    body: Option<Arc<Pipe>>,
}

/// `wasi:http/types.response-outparam`.
pub(crate) struct ResponseOutparam(pub Arc<dyn Responder>);

/// The status of a response unless the app sets another one.
pub(crate) const OK: u16 = 200;
/// Status codes of final responses.
pub(crate) const STATUS_CODES: core::ops::RangeInclusive<u16> = 100..=999;

type Request = Resource<OutgoingRequest>;
type Response = Resource<OutgoingResponse>;
/// What a setter returns.
type Set = Result<(core::result::Result<(), ()>,)>;
/// What `body` returns: an error the second time.
type Body = Result<(core::result::Result<Resource<OutgoingBody>, ()>,)>;

pub(super) fn new_request(mut context: Context<'_>, (headers,): (Resource<Fields>,)) -> Result<(Request,)> {
    let table = &mut context.data_mut().table;
    let headers = table.delete(headers)?;
    let method = mwasm_http::Method::Get;
    let request = OutgoingRequest { method, path: None, scheme: None, authority: None, headers, body: None };
    Ok((table.push(request)?,))
}

pub(super) fn request_body(mut context: Context<'_>, (request,): (Request,)) -> Body {
    let table = &mut context.data_mut().table;
    let body = &mut table.get_mut(&request)?.body;
    if body.is_some() {
        return Ok((Err(()),));
    }
    let pipe = body.insert(Arc::default()).clone();
    Ok((Ok(table.push(OutgoingBody::new(pipe))?),))
}

pub(super) fn method(context: Context<'_>, (request,): (Request,)) -> Result<(Method,)> {
    Ok((Method::from(&context.data().table.get(&request)?.method),))
}

pub(super) fn set_method(mut context: Context<'_>, (request, method): (Request, Method)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    Ok((method.parsed().map(|method| request.method = method).ok_or(()),))
}

pub(super) fn path_with_query(context: Context<'_>, (request,): (Request,)) -> Result<(Option<String>,)> {
    Ok((context.data().table.get(&request)?.path.clone(),))
}

pub(super) fn set_path_with_query(mut context: Context<'_>, (request, path): (Request, Option<String>)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    if path.as_deref().is_some_and(|path| !is_path(path)) {
        return Ok((Err(()),));
    }
    request.path = path;
    Ok((Ok(()),))
}

/// A path and query that can be sent (RFC 3986, sections 3.3 and 3.4): beside them there are only `*`, for `OPTIONS`, and nothing.
pub(crate) fn is_path(path: &str) -> bool {
    (path.is_empty() || path == "*" || path.starts_with(['/', '?']))
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

pub(super) fn scheme(context: Context<'_>, (request,): (Request,)) -> Result<(Option<Scheme>,)> {
    Ok((context.data().table.get(&request)?.scheme.clone(),))
}

pub(super) fn set_scheme(mut context: Context<'_>, (request, scheme): (Request, Option<Scheme>)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    if scheme.as_ref().is_some_and(|scheme| !scheme.is_valid()) {
        return Ok((Err(()),));
    }
    request.scheme = scheme;
    Ok((Ok(()),))
}

pub(super) fn authority(context: Context<'_>, (request,): (Request,)) -> Result<(Option<String>,)> {
    Ok((context.data().table.get(&request)?.authority.clone(),))
}

pub(super) fn set_authority(mut context: Context<'_>, (request, authority): (Request, Option<String>)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    if authority.as_deref().is_some_and(|authority| !is_authority(authority)) {
        return Ok((Err(()),));
    }
    request.authority = authority;
    Ok((Ok(()),))
}

/// Host and perhaps port (RFC 3986, section 3.2).
pub(crate) fn is_authority(authority: &str) -> bool {
    !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#\\\"<>^`{|}".contains(&byte))
}

pub(super) fn request_headers(mut context: Context<'_>, (request,): (Request,)) -> Result<(Resource<Fields>,)> {
    let headers = context.data().table.get(&request)?.headers.headers().clone();
    Ok((context.data_mut().table.push(Fields::immutable(headers))?,))
}

pub(super) fn new_response(mut context: Context<'_>, (headers,): (Resource<Fields>,)) -> Result<(Response,)> {
    let table = &mut context.data_mut().table;
    let headers = table.delete(headers)?;
    Ok((table.push(OutgoingResponse { status: OK, headers, body: None })?,))
}

pub(super) fn status_code(context: Context<'_>, (response,): (Response,)) -> Result<(u16,)> {
    Ok((context.data().table.get(&response)?.status,))
}

pub(super) fn set_status_code(mut context: Context<'_>, (response, status): (Response, u16)) -> Set {
    let response = context.data_mut().table.get_mut(&response)?;
    if !STATUS_CODES.contains(&status) {
        return Ok((Err(()),));
    }
    response.status = status;
    Ok((Ok(()),))
}

pub(super) fn response_headers(mut context: Context<'_>, (response,): (Response,)) -> Result<(Resource<Fields>,)> {
    let headers = context.data().table.get(&response)?.headers.headers().clone();
    Ok((context.data_mut().table.push(Fields::immutable(headers))?,))
}

pub(super) fn response_body(mut context: Context<'_>, (response,): (Response,)) -> Body {
    let table = &mut context.data_mut().table;
    let body = &mut table.get_mut(&response)?.body;
    if body.is_some() {
        return Ok((Err(()),));
    }
    let pipe = body.insert(Arc::default()).clone();
    Ok((Ok(table.push(OutgoingBody::new(pipe))?),))
}

/// Interim responses are not sent: a client would have to be told apart that does not know them.
pub(super) fn send_informational(
    context: Context<'_>,
    (outparam, status, headers): (Resource<ResponseOutparam>, u16, Resource<Fields>),
) -> Result<(core::result::Result<(), ErrorCode>,)> {
    let mut context = context;
    context.data().table.get(&outparam)?;
    context.data_mut().table.delete(headers)?;
    Ok((Err(match status {
        100..=199 => ErrorCode::InternalError(Some("interim responses are not sent here".into())),
        _ => ErrorCode::HttpProtocolError,
    }),))
}

pub(super) fn set_response(
    mut context: Context<'_>,
    (outparam, response): (Resource<ResponseOutparam>, core::result::Result<Resource<OutgoingResponse>, ErrorCode>),
) -> Result<()> {
    let table = &mut context.data_mut().table;
    let ResponseOutparam(responder) = table.delete(outparam)?;
    // An app that gives an error has the host answer for it, as one that gives nothing.
    let Ok(response) = response else { return Ok(()) };
    let OutgoingResponse { status, headers, body } = table.delete(response)?;
    let length = if body.is_some() { BodyLength::Unknown } else { BodyLength::None };
    let answered = responder.respond(status, &headers.sendable(), length);
    match (answered, body) {
        (Ok(()), Some(body)) => body.attach(responder.outgoing()),
        (Ok(()), None) => {
            // There is nothing to be wrong with no body.
            let _ = responder.finish(None);
        }
        (Err(failure), Some(body)) => body.fail(failure),
        (Err(_), None) => {}
    }
    Ok(())
}
