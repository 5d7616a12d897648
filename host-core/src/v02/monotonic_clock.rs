//! `wasi:clocks/monotonic-clock`.

use super::Context;
use super::io::Pollable;
use crate::state::{Event, State};
use wasmtime::Result;
use wasmtime::component::Linker;

/// Registers `wasi:clocks/monotonic-clock@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_clocks_monotonic_clock_0_2(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:clocks/monotonic-clock@0.2.0")?;
    instance.func_wrap("now", |context: Context<'_>, (): ()| Ok((context.data().ports.clock.monotonic_ns(),)))?;
    instance.func_wrap("resolution", |context: Context<'_>, (): ()| {
        Ok((context.data().ports.clock.monotonic_resolution_ns(),))
    })?;
    instance.func_wrap("subscribe-instant", |mut context: Context<'_>, (when_ns,): (u64,)| {
        Ok((context.data_mut().table.push(Pollable(Event::At(when_ns)))?,))
    })?;
    instance.func_wrap("subscribe-duration", |mut context: Context<'_>, (duration_ns,): (u64,)| {
        let when_ns = context.data().ports.clock.monotonic_ns().saturating_add(duration_ns);
        Ok((context.data_mut().table.push(Pollable(Event::At(when_ns)))?,))
    })
}
