//! `wasi:clocks/monotonic-clock`.

use super::io::Pollable;
use crate::interface::{Context, interface, plain};
use crate::state::Event;
use wasmtime::Result;

pub(crate) fn now(context: Context<'_>, (): ()) -> Result<(u64,)> {
    Ok((context.data().ports.clock.monotonic_ns(),))
}

pub(crate) fn resolution(context: Context<'_>, (): ()) -> Result<(u64,)> {
    Ok((context.data().ports.clock.monotonic_resolution_ns(),))
}

interface! {
    /// `wasi:clocks/monotonic-clock@0.2`.
    MONOTONIC_CLOCK = "wasi:clocks/monotonic-clock", "0.2", "wasi:clocks/monotonic-clock@0.2.0" {
        plain, "now", now;
        plain, "resolution", resolution;
        plain, "subscribe-instant", |mut context, (when_ns,): (u64,)| {
            Ok((context.data_mut().table.push(Pollable(Event::At(when_ns)))?,))
        };
        plain, "subscribe-duration", |mut context, (duration_ns,): (u64,)| {
            let when_ns = context.data().ports.clock.monotonic_ns().saturating_add(duration_ns);
            Ok((context.data_mut().table.push(Pollable(Event::At(when_ns)))?,))
        };
    }
}
