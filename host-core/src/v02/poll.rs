//! `wasi:io/poll`: waiting for the first of several things.

use super::io::Pollable;
use super::wait_for;
use crate::interface::{Context, handle, interface, item, plain, waits};
use crate::state::Event;
use alloc::boxed::Box;
use alloc::vec::Vec;
use mwasm_ports::Ready;
use wasmtime::component::Resource;
use wasmtime::{Error, Result};

interface! {
    /// `wasi:io/poll@0.2`.
    POLL = "wasi:io/poll", "0.2", "wasi:io/poll@0.2.0" {
        item, "pollable", handle::<Pollable>;
        plain, "[method]pollable.ready", |mut context, (pollable,): (Resource<Pollable>,)| {
            let event = context.data().table.get(&pollable)?.0;
            Ok((context.data_mut().is_ready(event),))
        };
        waits, "[method]pollable.block", |mut context, (pollable,): (Resource<Pollable>,)| {
            Box::new(async move {
                let event = context.data().table.get(&pollable)?.0;
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
    let events = pollables.iter().map(|pollable| Ok(table.get(pollable)?.0)).collect::<Result<Vec<Event>>>()?;
    loop {
        let ready: Vec<u32> =
            (0..).zip(&events).filter(|(_, event)| context.data_mut().is_ready(**event)).map(|(at, _)| at).collect();
        if !ready.is_empty() {
            return Ok(ready);
        }
        let waits = events.iter().map(|event| event.wait_for());
        let (deadline_ns, interest) = waits
            .fold((None, Ready::NONE), |(first, all): (Option<u64>, Ready), (next, one)| {
                (first.into_iter().chain(next).min(), all.with(one))
            });
        context.data().reactor.wait(deadline_ns, interest).await;
    }
}
