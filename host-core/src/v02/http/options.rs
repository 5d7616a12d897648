//! `wasi:http/types.request-options`: how long the steps of a request may take.

use crate::http::client::Timeouts;
use crate::interface::Context;
use wasmtime::Result;
use wasmtime::component::Resource;

/// `wasi:http/types.request-options`.
#[derive(Clone, Copy, Default)]
pub(super) struct RequestOptions(pub Timeouts);

type Handle = Resource<RequestOptions>;
/// What a setter returns; all of them can be set.
type Set = Result<(core::result::Result<(), ()>,)>;

pub(super) fn new(mut context: Context<'_>, (): ()) -> Result<(Handle,)> {
    Ok((context.data_mut().table.push(RequestOptions::default())?,))
}

pub(super) fn connect_timeout(context: Context<'_>, (options,): (Handle,)) -> Result<(Option<u64>,)> {
    Ok((context.data().table.get(&options)?.0.connect_ns,))
}

pub(super) fn set_connect_timeout(mut context: Context<'_>, (options, ns): (Handle, Option<u64>)) -> Set {
    context.data_mut().table.get_mut(&options)?.0.connect_ns = ns;
    Ok((Ok(()),))
}

pub(super) fn first_byte_timeout(context: Context<'_>, (options,): (Handle,)) -> Result<(Option<u64>,)> {
    Ok((context.data().table.get(&options)?.0.first_byte_ns,))
}

pub(super) fn set_first_byte_timeout(mut context: Context<'_>, (options, ns): (Handle, Option<u64>)) -> Set {
    context.data_mut().table.get_mut(&options)?.0.first_byte_ns = ns;
    Ok((Ok(()),))
}

pub(super) fn between_bytes_timeout(context: Context<'_>, (options,): (Handle,)) -> Result<(Option<u64>,)> {
    Ok((context.data().table.get(&options)?.0.between_bytes_ns,))
}

pub(super) fn set_between_bytes_timeout(mut context: Context<'_>, (options, ns): (Handle, Option<u64>)) -> Set {
    context.data_mut().table.get_mut(&options)?.0.between_bytes_ns = ns;
    Ok((Ok(()),))
}
