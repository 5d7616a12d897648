//! Instructions that the app may execute for a request.
//!
//! Compiled code counts them only if the manifest bounds them, since counting costs time in every loop. An app that counts gives way to
//! the rest of the server every [`YIELD_AFTER`] instructions; one that has used up all of its own traps, and loses its instance like
//! after any other trap.

use super::Exchange;
use super::timers::Clock;
use mwasm_plan::net::Http;
use wasmtime::{AsContextMut, Error, Result, Store, Trap};

/// After how many WebAssembly instructions others have their turn: a fraction of a millisecond.
const YIELD_AFTER: u64 = 1 << 18;
/// How long nobody looks at devices and timers while an app computes, in nanoseconds.
const GLANCE_EVERY_NS: u64 = 2_000_000;

/// The bound.
#[derive(Clone, Copy)]
pub(super) struct Meter {
    /// 0: none.
    max_instructions: u64,
}

impl Meter {
    pub fn new(max_instructions: u64) -> Self {
        Self { max_instructions }
    }

    /// Makes a new store give way, and grants its instance what a request may have, to begin with.
    pub fn set_up<T>(self, store: &mut Store<T>) -> Result<()> {
        if self.max_instructions > 0 {
            store.fuel_async_yield_interval(Some(YIELD_AFTER))?;
        }
        self.grant(store)
    }

    /// Grants what a request may have. Requests that share an instance share what the last of them was granted.
    pub fn grant(self, mut store: impl AsContextMut) -> Result<()> {
        if self.max_instructions > 0 { store.as_context_mut().set_fuel(self.max_instructions) } else { Ok(()) }
    }

    /// Answers a request at which the app has used up its instructions.
    pub fn reject(exchange: &Exchange) {
        exchange.connection().reject(503, "the app computed for too long");
    }
}

/// When to look at devices and timers although nobody parks: an app that gives way wants to go on at once.
pub(super) struct Glances {
    /// `None`: never, since no app gives way.
    last_ns: Option<u64>,
}

impl Glances {
    pub fn new(http: &Http) -> Self {
        Self { last_ns: (http.max_instructions > 0).then_some(0) }
    }

    /// Whether it is time; then the next time is later.
    pub fn is_due(&mut self, clock: &Clock) -> bool {
        let Some(last_ns) = &mut self.last_ns else { return false };
        let is_due = clock.now_ns().saturating_sub(*last_ns) >= GLANCE_EVERY_NS;
        if is_due {
            *last_ns = clock.now_ns();
        }
        is_due
    }
}

/// Whether this is why an instance was lost.
pub(super) fn is_used_up(error: &Error) -> bool {
    matches!(error.downcast_ref::<Trap>(), Some(Trap::OutOfFuel))
}
