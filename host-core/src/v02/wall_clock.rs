//! `wasi:clocks/wall-clock`.

use crate::interface::{interface, plain};
use mwasm_ports::WallTime;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `wasi:clocks/wall-clock.datetime`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Datetime {
    pub seconds: u64,
    pub nanoseconds: u32,
}

impl From<WallTime> for Datetime {
    fn from(time: WallTime) -> Self {
        Self { seconds: time.seconds, nanoseconds: time.nanoseconds }
    }
}

impl From<Datetime> for WallTime {
    fn from(time: Datetime) -> Self {
        Self { seconds: time.seconds, nanoseconds: time.nanoseconds }
    }
}

interface! {
    /// `wasi:clocks/wall-clock@0.2`.
    WALL_CLOCK = "wasi:clocks/wall-clock", "0.2", "wasi:clocks/wall-clock@0.2.0" {
        plain, "now", |context, (): ()| Ok((Datetime::from(context.data().ports.clock.wall()),));
        plain, "resolution", |context, (): ()| {
            let resolution = WallTime::from_ns(context.data().ports.clock.wall_resolution_ns());
            Ok((Datetime::from(resolution),))
        };
    }
}
