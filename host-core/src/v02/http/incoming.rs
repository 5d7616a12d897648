//! `wasi:http/types.incoming-request` and `incoming-response`: messages that came.

use super::fields::Fields;
use super::incoming_body::IncomingBody;
use super::method::{Method, Scheme};
use crate::http::Incoming;
use crate::interface::Context;
use alloc::string::String;
use alloc::sync::Arc;
use mwasm_http::{Headers, RequestHead, ResponseHead};
use wasmtime::Result;
use wasmtime::component::Resource;

/// `wasi:http/types.incoming-request`.
pub(crate) struct IncomingRequest {
    method: mwasm_http::Method,
    path: String,
    authority: Option<String>,
    headers: Arc<Headers>,
    /// Until it is consumed.
    body: Option<Arc<dyn Incoming>>,
}

impl IncomingRequest {
    /// A request, whose body comes from `body`.
    pub fn new(head: RequestHead, body: Arc<dyn Incoming>) -> Self {
        let RequestHead { method, path, authority, headers, .. } = head;
        Self { method, path, authority, headers: Arc::new(headers), body: Some(body) }
    }
}

/// `wasi:http/types.incoming-response`.
pub(crate) struct IncomingResponse {
    status: u16,
    headers: Arc<Headers>,
    /// Until it is consumed.
    body: Option<Arc<dyn Incoming>>,
}

impl IncomingResponse {
    /// A response, whose body comes from `body`.
    pub fn new(head: ResponseHead, body: Arc<dyn Incoming>) -> Self {
        Self { status: head.status, headers: Arc::new(head.headers), body: Some(body) }
    }
}

type Request = Resource<IncomingRequest>;
type Response = Resource<IncomingResponse>;
/// What `consume` returns: an error the second time.
type Consumed = Result<(core::result::Result<Resource<IncomingBody>, ()>,)>;

pub(super) fn method(context: Context<'_>, (request,): (Request,)) -> Result<(Method,)> {
    Ok((Method::from(&context.data().table.get(&request)?.method),))
}

pub(super) fn path_with_query(context: Context<'_>, (request,): (Request,)) -> Result<(Option<String>,)> {
    Ok((Some(context.data().table.get(&request)?.path.clone()),))
}

pub(super) fn scheme(context: Context<'_>, (request,): (Request,)) -> Result<(Option<Scheme>,)> {
    context.data().table.get(&request)?;
    Ok((Some(Scheme::Http),))
}

pub(super) fn authority(context: Context<'_>, (request,): (Request,)) -> Result<(Option<String>,)> {
    Ok((context.data().table.get(&request)?.authority.clone(),))
}

pub(super) fn request_headers(mut context: Context<'_>, (request,): (Request,)) -> Result<(Resource<Fields>,)> {
    let headers = context.data().table.get(&request)?.headers.clone();
    Ok((context.data_mut().table.push(Fields::immutable(headers))?,))
}

pub(super) fn consume_request(mut context: Context<'_>, (request,): (Request,)) -> Consumed {
    let body = context.data_mut().table.get_mut(&request)?.body.take();
    consumed(context, body)
}

pub(super) fn status(context: Context<'_>, (response,): (Response,)) -> Result<(u16,)> {
    Ok((context.data().table.get(&response)?.status,))
}

pub(super) fn response_headers(mut context: Context<'_>, (response,): (Response,)) -> Result<(Resource<Fields>,)> {
    let headers = context.data().table.get(&response)?.headers.clone();
    Ok((context.data_mut().table.push(Fields::immutable(headers))?,))
}

pub(super) fn consume_response(mut context: Context<'_>, (response,): (Response,)) -> Consumed {
    let body = context.data_mut().table.get_mut(&response)?.body.take();
    consumed(context, body)
}

fn consumed(mut context: Context<'_>, body: Option<Arc<dyn Incoming>>) -> Consumed {
    Ok((match body {
        Some(body) => Ok(context.data_mut().table.push(IncomingBody::new(body))?),
        None => Err(()),
    },))
}
