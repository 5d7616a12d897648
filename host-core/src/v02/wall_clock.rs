//! `wasi:clocks/wall-clock`.

use super::Context;
use crate::state::State;
use mwasm_ports::WallTime;
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

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

/// Registers `wasi:clocks/wall-clock@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_clocks_wall_clock_0_2(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:clocks/wall-clock@0.2.0")?;
    instance.func_wrap("now", |context: Context<'_>, (): ()| Ok((Datetime::from(context.data().ports.clock.wall()),)))?;
    instance.func_wrap("resolution", |context: Context<'_>, (): ()| {
        let resolution = WallTime::from_ns(context.data().ports.clock.wall_resolution_ns());
        Ok((Datetime::from(resolution),))
    })
}
