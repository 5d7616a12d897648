//! `wasi:io/poll`: waiting for the first of several things.

use super::io::Pollable;
use super::{Context, drop_resource, wait_for};
use crate::state::{Event, State};
use alloc::boxed::Box;
use alloc::vec::Vec;
use mwasm_ports::Ready;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Error, Result};

/// Registers `wasi:io/poll@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_io_poll_0_2(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:io/poll@0.2.0")?;
    drop_resource::<Pollable>(&mut instance, "pollable")?;
    instance.func_wrap(
        "[method]pollable.ready",
        |mut context: Context<'_>, (pollable,): (Resource<Pollable>,)| {
            let event = context.data().table.get(&pollable)?.0;
            Ok((context.data_mut().is_ready(event),))
        },
    )?;
    instance.func_wrap_async(
        "[method]pollable.block",
        |mut context: Context<'_>, (pollable,): (Resource<Pollable>,)| {
            Box::new(async move {
                let event = context.data().table.get(&pollable)?.0;
                wait_for(&mut context, event).await;
                Ok(())
            })
        },
    )?;
    instance.func_wrap_async("poll", |mut context: Context<'_>, (pollables,): (Vec<Resource<Pollable>>,)| {
        Box::new(async move { Ok((poll(&mut context, &pollables).await?,)) })
    })
}

/// Waits for the first of `pollables`; returns the places of all that are ready.
async fn poll(context: &mut Context<'_>, pollables: &[Resource<Pollable>]) -> Result<Vec<u32>> {
    if pollables.is_empty() {
        return Err(Error::msg("wasi:io/poll.poll was called with an empty list, which the specification forbids"));
    }
    let table = &context.data().table;
    let events = pollables.iter().map(|pollable| Ok(table.get(pollable)?.0)).collect::<Result<Vec<Event>>>()?;
    loop {
        let ready: Vec<u32> = (0..).zip(&events).filter(|(_, event)| context.data_mut().is_ready(**event)).map(|(at, _)| at).collect();
        if !ready.is_empty() {
            return Ok(ready);
        }
        let waits = events.iter().map(|event| event.wait_for());
        let (deadline_ns, interest) = waits.fold((None, Ready::NONE), |(first, all): (Option<u64>, Ready), (next, one)| {
            (first.into_iter().chain(next).min(), all.with(one))
        });
        context.data().reactor.wait(deadline_ns, interest).await;
    }
}
