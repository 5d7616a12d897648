//! `wasi:http/client`: the app asks a server.
//!
//! The policy is asked before anything leaves, names included. `https` is refused with `TLS-protocol-error`: there is no TLS here, and a
//! request that was to be secret must not go in the clear.

use super::request::Request;
use super::response::Response;
use crate::State;
use crate::http::client::Exchange;
use crate::interface::{Context, interface};
use crate::v02::http::error_code::ErrorCode;
use crate::v02::http::fields::Fields;
use crate::v03::concurrent;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use wasmtime::component::{Accessor, Resource};
use wasmtime::{AsContextMut, Result};

/// The sending of a request, which may take longer than its response takes to come.
type Sending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins an exchange.
fn start(
    mut context: Context<'_>,
    request: Resource<Request>,
) -> Result<core::result::Result<(Arc<Exchange>, Sending), ErrorCode>> {
    let state = context.data_mut();
    let (target, headers, body, timeouts) = state.table.delete(request)?.into_parts();
    let (reactor, clock) = (state.reactor.clone(), state.ports.clock.clone());
    let started = target
        .open(state, &Fields::immutable(headers).sendable())
        .and_then(|route| Exchange::new(reactor, clock, route, timeouts, body.length()).map_err(ErrorCode::from));
    match started {
        Ok(exchange) => {
            let (transmission, sent) = (body.transmit(context, exchange.clone())?, exchange.clone());
            let sending = Box::pin(async move {
                transmission.await;
                // Why it could not be sent is seen where the response is awaited.
                let _ = poll_fn(|context| sent.poll_sent(context)).await;
            });
            Ok(Ok((exchange, sending)))
        }
        Err(error) => {
            body.refuse(context, error.clone())?;
            Ok(Err(error))
        }
    }
}

async fn send(
    accessor: &Accessor<State>,
    request: Resource<Request>,
) -> Result<core::result::Result<Resource<Response>, ErrorCode>> {
    let (exchange, sending) = match accessor.with(|mut access| start(access.as_context_mut(), request))? {
        Ok(started) => started,
        Err(error) => return Ok(Err(error)),
    };
    let mut sending = Some(sending);
    let response = poll_fn(|context| {
        if sending.as_mut().is_some_and(|sending| sending.as_mut().poll(context).is_ready()) {
            sending = None;
        }
        exchange.poll_response(context)
    })
    .await;
    accessor.with(|mut access| {
        let state = access.get();
        if let Some(rest) = sending {
            state.reactor.spawn(rest);
        }
        Ok(match response {
            Ok(head) => Ok(state.table.push(Response::new(head, exchange))?),
            Err(failure) => Err(failure.into()),
        })
    })
}

interface! {
    /// `wasi:http/client@0.3`.
    CLIENT = "wasi:http/client", "0.3", "wasi:http/client@0.3.0" {
        concurrent, "send", |accessor, (request,): (Resource<Request>,)| {
            Box::pin(async move { Ok((send(accessor, request).await?,)) })
        };
    }
}
