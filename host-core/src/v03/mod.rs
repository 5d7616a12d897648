//! WASI 0.3: interfaces that say in their types what can block. One module an interface, or a few that are one thing.
//!
//! A stream between a guest and the machine is a producer or consumer that Wasmtime polls ([`streams`]): it moves bytes between the
//! guest's own memory and the port, without a buffer in between where the guest is ready. What goes wrong is told through the future
//! that each of these functions returns beside the stream.

mod cli;
mod clocks;
mod filesystem;
pub(crate) mod http;
mod random;
pub(crate) mod sockets;
mod stdio;
pub(crate) mod streams;

use crate::State;
use crate::interface::Interface;
use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use wasmtime::Result;
use wasmtime::component::{Accessor, ComponentNamedList, Lift, LinkerInstance, Lower};

/// All of them.
pub const INTERFACES: &[Interface] = &[
    cli::ENVIRONMENT,
    cli::EXIT,
    cli::INPUT,
    cli::OUTPUT,
    cli::STDERR,
    cli::STDIN,
    cli::STDOUT,
    cli::TYPES,
    clocks::MONOTONIC_CLOCK,
    clocks::SYSTEM_CLOCK,
    clocks::TYPES,
    filesystem::PREOPENS,
    filesystem::TYPES,
    http::CLIENT,
    http::TYPES,
    random::INSECURE,
    random::INSECURE_SEED,
    random::RANDOM,
    sockets::IP_NAME_LOOKUP,
    sockets::TYPES,
    stdio::STDERR,
    stdio::STDIN,
    stdio::STDOUT,
];

/// What an `async` function of an interface returns.
pub(crate) type Concurrent<'a, Answer> = Pin<Box<dyn Future<Output = Result<Answer>> + Send + 'a>>;

/// An `async` function.
pub(crate) fn concurrent<Params, Answer>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    handler: for<'a> fn(&'a Accessor<State>, Params) -> Concurrent<'a, Answer>,
) -> Result<()>
where
    Params: ComponentNamedList + Lift + 'static,
    Answer: ComponentNamedList + Lower + 'static,
{
    instance.func_wrap_concurrent(name, handler)
}

/// An `async` function that answers at once.
fn at_once<Params, Answer>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    handler: fn(&mut State, Params) -> Result<Answer>,
) -> Result<()>
where
    Params: ComponentNamedList + Lift + Send + Sync + 'static,
    Answer: ComponentNamedList + Lower + Send + Sync + 'static,
{
    instance.func_wrap_concurrent(name, move |accessor: &Accessor<State>, params: Params| {
        let answered = accessor.with(|mut access| handler(access.get(), params));
        Box::pin(async move { answered })
    })
}
