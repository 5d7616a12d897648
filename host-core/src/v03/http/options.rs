//! `wasi:http/types.request-options`: how long the steps of a request may take.

use crate::http::client::Timeouts;
use crate::interface::Context;
use alloc::string::String;
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Lower, Resource};

/// `wasi:http/types.request-options`.
#[derive(Clone, Copy, Default)]
pub(super) struct RequestOptions {
    pub timeouts: Timeouts,
    /// They belong to a request.
    pub immutable: bool,
}

/// `wasi:http/types.request-options-error`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the type must have all cases of the specification")]
pub(super) enum OptionsError {
    #[component(name = "not-supported")]
    NotSupported,
    #[component(name = "immutable")]
    Immutable,
    #[component(name = "other")]
    Other(Option<String>),
}

type Handle = Resource<RequestOptions>;
/// What a setter returns; all of them can be set.
type Set = Result<(core::result::Result<(), OptionsError>,)>;

fn set(mut context: Context<'_>, options: &Handle, change: impl FnOnce(&mut Timeouts)) -> Set {
    let options = context.data_mut().table.get_mut(options)?;
    if options.immutable {
        return Ok((Err(OptionsError::Immutable),));
    }
    change(&mut options.timeouts);
    Ok((Ok(()),))
}

pub(super) fn new(mut context: Context<'_>, (): ()) -> Result<(Handle,)> {
    Ok((context.data_mut().table.push(RequestOptions::default())?,))
}

pub(super) fn connect_timeout(context: Context<'_>, (options,): (Handle,)) -> Result<(Option<u64>,)> {
    Ok((context.data().table.get(&options)?.timeouts.connect_ns,))
}

pub(super) fn set_connect_timeout(context: Context<'_>, (options, ns): (Handle, Option<u64>)) -> Set {
    set(context, &options, |timeouts| timeouts.connect_ns = ns)
}

pub(super) fn first_byte_timeout(context: Context<'_>, (options,): (Handle,)) -> Result<(Option<u64>,)> {
    Ok((context.data().table.get(&options)?.timeouts.first_byte_ns,))
}

pub(super) fn set_first_byte_timeout(context: Context<'_>, (options, ns): (Handle, Option<u64>)) -> Set {
    set(context, &options, |timeouts| timeouts.first_byte_ns = ns)
}

pub(super) fn between_bytes_timeout(context: Context<'_>, (options,): (Handle,)) -> Result<(Option<u64>,)> {
    Ok((context.data().table.get(&options)?.timeouts.between_bytes_ns,))
}

pub(super) fn set_between_bytes_timeout(context: Context<'_>, (options, ns): (Handle, Option<u64>)) -> Set {
    set(context, &options, |timeouts| timeouts.between_bytes_ns = ns)
}

pub(super) fn clone(mut context: Context<'_>, (options,): (Handle,)) -> Result<(Handle,)> {
    let options = RequestOptions { immutable: false, ..*context.data().table.get(&options)? };
    Ok((context.data_mut().table.push(options)?,))
}
