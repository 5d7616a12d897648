//! `wasi:http/types.response`.

use super::body::{Body, Contents, Done, End, FutureTrailers, Received};
use crate::State;
use crate::http::Incoming;
use crate::interface::Context;
use crate::v02::http::fields::Fields;
use crate::v02::http::outgoing::{OK, STATUS_CODES};
use alloc::sync::Arc;
use mwasm_http::{Headers, ResponseHead};
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};

/// `wasi:http/types.response`.
pub(crate) struct Response {
    status: u16,
    headers: Arc<Headers>,
    body: Body,
}

impl Response {
    /// A response that came; its body comes from `body`.
    pub fn new(head: ResponseHead, body: Arc<dyn Incoming>) -> Self {
        Self { status: head.status, headers: Arc::new(head.headers), body: Body::Network(body) }
    }

    /// Its status code, fields and body.
    pub fn into_parts(self) -> (u16, Arc<Headers>, Body) {
        (self.status, self.headers, self.body)
    }
}

/// The resource. What is dropped with it is closed.
pub(super) fn register(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.resource(name, ResourceType::host::<Response>(), |mut context, handle| {
        let response = context.data_mut().table.delete(Resource::<Response>::new_own(handle))?;
        response.body.close(context)
    })
}

type Handle = Resource<Response>;

pub(super) fn new(
    mut context: Context<'_>,
    (headers, contents, trailers): (Resource<Fields>, Option<Contents>, FutureTrailers),
) -> Result<((Handle, Done),)> {
    let (body, done) = Body::of_guest(&mut context, contents, trailers)?;
    let table = &mut context.data_mut().table;
    let headers = table.delete(headers)?.sendable();
    Ok(((table.push(Response { status: OK, headers, body })?, done),))
}

pub(super) fn status_code(context: Context<'_>, (response,): (Handle,)) -> Result<(u16,)> {
    Ok((context.data().table.get(&response)?.status,))
}

pub(super) fn set_status_code(
    mut context: Context<'_>,
    (response, status): (Handle, u16),
) -> Result<(core::result::Result<(), ()>,)> {
    let response = context.data_mut().table.get_mut(&response)?;
    Ok((STATUS_CODES.contains(&status).then(|| response.status = status).ok_or(()),))
}

pub(super) fn headers(mut context: Context<'_>, (response,): (Handle,)) -> Result<(Resource<Fields>,)> {
    let headers = context.data().table.get(&response)?.headers.clone();
    Ok((context.data_mut().table.push(Fields::immutable(headers))?,))
}

pub(super) fn consume_body(mut context: Context<'_>, (response, result): (Handle, Done)) -> Result<(Received,)> {
    let response = context.data_mut().table.delete(response)?;
    Ok((response.body.consume(context, End(result))?,))
}
