//! `wasi:http/types.request`.

use super::body::{Body, Contents, Done, End, FutureTrailers, Received};
use super::options::RequestOptions;
use crate::State;
use crate::http::Incoming;
use crate::http::client::Timeouts;
use crate::interface::Context;
use crate::v02::http::fields::Fields;
use crate::v02::http::handler::Target;
use crate::v02::http::method::{Method, Scheme};
use crate::v02::http::outgoing::{is_authority, is_path};
use alloc::string::String;
use alloc::sync::Arc;
use mwasm_http::{Headers, RequestHead};
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};

/// `wasi:http/types.request`.
pub(crate) struct Request {
    method: mwasm_http::Method,
    path: Option<String>,
    scheme: Option<Scheme>,
    authority: Option<String>,
    headers: Arc<Headers>,
    options: Option<Timeouts>,
    body: Body,
}

impl Request {
    /// A request that came; its body comes from `body`.
    pub fn new(head: RequestHead, body: Arc<dyn Incoming>) -> Self {
        let RequestHead { method, path, authority, headers, .. } = head;
        Self {
            method,
            path: Some(path),
            scheme: Some(Scheme::Http),
            authority,
            headers: Arc::new(headers),
            options: None,
            body: Body::Network(body),
        }
    }

    /// Where it goes, with which fields and body, and how long that may take.
    pub fn into_parts(self) -> (Target, Arc<Headers>, Body, Timeouts) {
        let Self { method, path, scheme, authority, headers, options, body } = self;
        (Target { method, path, scheme, authority }, headers, body, options.unwrap_or_default())
    }
}

/// The resource. What is dropped with it is closed.
pub(super) fn register(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.resource(name, ResourceType::host::<Request>(), |mut context, handle| {
        let request = context.data_mut().table.delete(Resource::<Request>::new_own(handle))?;
        request.body.close(context)
    })
}

type Handle = Resource<Request>;
/// What a setter returns.
type Set = Result<(core::result::Result<(), ()>,)>;
/// What [`new`] is given.
type New = (Resource<Fields>, Option<Contents>, FutureTrailers, Option<Resource<RequestOptions>>);

pub(super) fn new(mut context: Context<'_>, (headers, contents, trailers, options): New) -> Result<((Handle, Done),)> {
    let (body, done) = Body::of_guest(&mut context, contents, trailers)?;
    let table = &mut context.data_mut().table;
    let headers = table.delete(headers)?.sendable();
    let options = match options {
        Some(options) => Some(table.delete(options)?.timeouts),
        None => None,
    };
    let method = mwasm_http::Method::Get;
    let request = Request { method, path: None, scheme: None, authority: None, headers, options, body };
    Ok(((table.push(request)?, done),))
}

pub(super) fn method(context: Context<'_>, (request,): (Handle,)) -> Result<(Method,)> {
    Ok((Method::from(&context.data().table.get(&request)?.method),))
}

pub(super) fn set_method(mut context: Context<'_>, (request, method): (Handle, Method)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    Ok((method.parsed().map(|method| request.method = method).ok_or(()),))
}

pub(super) fn path_with_query(context: Context<'_>, (request,): (Handle,)) -> Result<(Option<String>,)> {
    Ok((context.data().table.get(&request)?.path.clone(),))
}

pub(super) fn set_path_with_query(mut context: Context<'_>, (request, path): (Handle, Option<String>)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    let is_valid = path.as_deref().is_none_or(is_path);
    Ok((is_valid.then(|| request.path = path).ok_or(()),))
}

pub(super) fn scheme(context: Context<'_>, (request,): (Handle,)) -> Result<(Option<Scheme>,)> {
    Ok((context.data().table.get(&request)?.scheme.clone(),))
}

pub(super) fn set_scheme(mut context: Context<'_>, (request, scheme): (Handle, Option<Scheme>)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    let is_valid = scheme.as_ref().is_none_or(Scheme::is_valid);
    Ok((is_valid.then(|| request.scheme = scheme).ok_or(()),))
}

pub(super) fn authority(context: Context<'_>, (request,): (Handle,)) -> Result<(Option<String>,)> {
    Ok((context.data().table.get(&request)?.authority.clone(),))
}

pub(super) fn set_authority(mut context: Context<'_>, (request, authority): (Handle, Option<String>)) -> Set {
    let request = context.data_mut().table.get_mut(&request)?;
    let is_valid = authority.as_deref().is_none_or(is_authority);
    Ok((is_valid.then(|| request.authority = authority).ok_or(()),))
}

pub(super) fn options(mut context: Context<'_>, (request,): (Handle,)) -> Result<(Option<Resource<RequestOptions>>,)> {
    let table = &mut context.data_mut().table;
    Ok((match table.get(&request)?.options {
        Some(timeouts) => Some(table.push(RequestOptions { timeouts, immutable: true })?),
        None => None,
    },))
}

pub(super) fn headers(mut context: Context<'_>, (request,): (Handle,)) -> Result<(Resource<Fields>,)> {
    let headers = context.data().table.get(&request)?.headers.clone();
    Ok((context.data_mut().table.push(Fields::immutable(headers))?,))
}

pub(super) fn consume_body(mut context: Context<'_>, (request, result): (Handle, Done)) -> Result<(Received,)> {
    let request = context.data_mut().table.delete(request)?;
    Ok((request.body.consume(context, End(result))?,))
}
