//! `wasi:clocks/monotonic-clock`, `system-clock` and `types`.

use super::concurrent;
use crate::interface::{interface, plain};
use crate::state::State;
use crate::v02::monotonic_clock::{now, resolution};
use alloc::boxed::Box;
use mwasm_ports::WallTime;
use wasmtime::component::{Accessor, ComponentType, Lift, Lower};

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
        reactor.sleep_until(when_ns).await;
    }
}

interface! {
    /// `wasi:clocks/monotonic-clock@0.3`.
    MONOTONIC_CLOCK = "wasi:clocks/monotonic-clock", "0.3", "wasi:clocks/monotonic-clock@0.3.0" {
        plain, "now", now;
        plain, "get-resolution", resolution;
        concurrent, "wait-until", |accessor, (when_ns,): (u64,)| {
            Box::pin(async move {
                wait_until(accessor, when_ns).await;
                Ok(())
            })
        };
        concurrent, "wait-for", |accessor, (duration_ns,): (u64,)| {
            Box::pin(async move {
                let now_ns = accessor.with(|mut access| access.get().ports.clock.monotonic_ns());
                wait_until(accessor, now_ns.saturating_add(duration_ns)).await;
                Ok(())
            })
        };
    }
}

interface! {
    /// `wasi:clocks/system-clock@0.3`.
    SYSTEM_CLOCK = "wasi:clocks/system-clock", "0.3", "wasi:clocks/system-clock@0.3.0" {
        plain, "now", |context, (): ()| Ok((Instant::from(context.data().ports.clock.wall()),));
        plain, "get-resolution", |context, (): ()| Ok((context.data().ports.clock.wall_resolution_ns(),));
    }
}

interface! {
    /// `wasi:clocks/types@0.3`, which has types only.
    TYPES = "wasi:clocks/types", "0.3", "wasi:clocks/types@0.3.0" {}
}
