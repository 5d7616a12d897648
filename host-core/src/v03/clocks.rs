//! `wasi:clocks/monotonic-clock`, `system-clock` and `types`.

use super::Context;
use crate::state::State;
use alloc::boxed::Box;
use mwasm_ports::{Ready, WallTime};
use wasmtime::Result;
use wasmtime::component::{Accessor, ComponentType, Lift, Linker, Lower};

/// `wasi:clocks/system-clock.instant`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Instant {
    seconds: i64,
    nanoseconds: u32,
}

impl From<WallTime> for Instant {
    fn from(time: WallTime) -> Self {
        Self { seconds: i64::try_from(time.seconds).unwrap_or(i64::MAX), nanoseconds: time.nanoseconds }
    }
}

/// Files of before 1970 are taken for files of 1970: the ports count from there.
impl From<Instant> for WallTime {
    fn from(time: Instant) -> Self {
        Self { seconds: u64::try_from(time.seconds).unwrap_or(0), nanoseconds: time.nanoseconds }
    }
}

async fn wait_until(accessor: &Accessor<State>, when_ns: u64) {
    let (reactor, clock) = accessor.with(|mut access| {
        let state = access.get();
        (state.reactor.clone(), state.ports.clock.clone())
    });
    while clock.monotonic_ns() < when_ns {
        reactor.wait(Some(when_ns), Ready::NONE).await;
    }
}

/// Registers `wasi:clocks/monotonic-clock@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_clocks_monotonic_clock_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:clocks/monotonic-clock@0.3.0")?;
    instance.func_wrap("now", |context: Context<'_>, (): ()| Ok((context.data().ports.clock.monotonic_ns(),)))?;
    instance.func_wrap("get-resolution", |context: Context<'_>, (): ()| {
        Ok((context.data().ports.clock.monotonic_resolution_ns(),))
    })?;
    instance.func_wrap_concurrent("wait-until", |accessor: &Accessor<State>, (when_ns,): (u64,)| {
        Box::pin(async move {
            wait_until(accessor, when_ns).await;
            Ok(())
        })
    })?;
    instance.func_wrap_concurrent("wait-for", |accessor: &Accessor<State>, (duration_ns,): (u64,)| {
        Box::pin(async move {
            let now_ns = accessor.with(|mut access| access.get().ports.clock.monotonic_ns());
            wait_until(accessor, now_ns.saturating_add(duration_ns)).await;
            Ok(())
        })
    })
}

/// Registers `wasi:clocks/system-clock@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_clocks_system_clock_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:clocks/system-clock@0.3.0")?;
    instance.func_wrap("now", |context: Context<'_>, (): ()| Ok((Instant::from(context.data().ports.clock.wall()),)))?;
    instance.func_wrap("get-resolution", |context: Context<'_>, (): ()| {
        Ok((context.data().ports.clock.wall_resolution_ns(),))
    })
}

/// Registers `wasi:clocks/types@0.3`, which has types only.
#[unsafe(no_mangle)]
pub fn mwasm_iface_clocks_types_0_3(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:clocks/types@0.3.0").map(drop)
}
