//! `wasi:io/poll`: waiting for the first of several things.

use super::io::Pollable;
use super::wait_for;
use crate::interface::{Context, handle, interface, item, plain, waits};
use crate::reactor::Interest;
use crate::state::Event;
use alloc::boxed::Box;
use alloc::vec::Vec;
use wasmtime::component::Resource;
use wasmtime::{Error, Result};

interface! {
    /// `wasi:io/poll@0.2`.
    POLL = "wasi:io/poll", "0.2", "wasi:io/poll@0.2.0" {
        item, "pollable", handle::<Pollable>;
        plain, "[method]pollable.ready", |mut context, (pollable,): (Resource<Pollable>,)| {
            let event = context.data().table.get(&pollable)?.0.clone();
            let state = context.data_mut();
            Ok((state.is_ready(&event) || {
                state.reactor.turn();
                state.is_ready(&event)
            },))
        };
        waits, "[method]pollable.block", |mut context, (pollable,): (Resource<Pollable>,)| {
            Box::new(async move {
                let event = context.data().table.get(&pollable)?.0.clone();
                wait_for(&mut context, event).await;
                Ok(())
            })
        };
        waits, "poll", |mut context, (pollables,): (Vec<Resource<Pollable>>,)| {
            Box::new(async move { Ok((poll(&mut context, &pollables).await?,)) })
        };
    }
}

/// Waits for the first of `pollables`; returns the places of all that are ready.
async fn poll(context: &mut Context<'_>, pollables: &[Resource<Pollable>]) -> Result<Vec<u32>> {
    if pollables.is_empty() {
        return Err(Error::msg("wasi:io/poll.poll was called with an empty list, which the specification forbids"));
    }
    let table = &context.data().table;
    let events = pollables.iter().map(|pollable| Ok(table.get(pollable)?.0.clone())).collect::<Result<Vec<Event>>>()?;
    loop {
        let found = ready(context, &events);
        if !found.is_empty() {
            // An app may poll for ever without having to wait.
            context.data().reactor.turn();
            return Ok(Some(ready(context, &events)).filter(|now| !now.is_empty()).unwrap_or(found));
        }
        let interest = events.iter().map(Event::interest).fold(Interest::default(), Interest::or);
        context.data().reactor.wait(interest).await;
    }
}

/// The places of all events that have come.
fn ready(context: &mut Context<'_>, events: &[Event]) -> Vec<u32> {
    (0..).zip(events).filter(|(_, event)| context.data_mut().is_ready(event)).map(|(at, _)| at).collect()
}
