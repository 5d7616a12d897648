//! Time for a server: cheap to ask, and one timer for all connections.
//!
//! A server asks for the time at every request, for the `date` of its answer and for the moments until which it will wait. It looks at
//! the machine's clock once each time it is polled, and whoever asks in between gets that. And nobody has a timer of his own: a
//! connection that waits writes down until when, and once in a while ([`sweep_ns`]) all are looked at. So a request that is answered
//! at once costs no timer, and a timeout comes late by one such interval at most.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use mwasm_http::Date;
use mwasm_plan::net::Http;
use mwasm_ports::NANOS_PER_SECOND;
use spin::Mutex;

/// Nanoseconds in a millisecond.
const NANOS_PER_MILLI: u64 = 1_000_000;
/// The longest time between two looks at the connections, in nanoseconds.
const MAX_SWEEP_NS: u64 = NANOS_PER_SECOND;
/// The shortest one.
const MIN_SWEEP_NS: u64 = 10 * NANOS_PER_MILLI;
/// How many looks fall into the shortest timeout.
const SWEEPS_PER_TIMEOUT: u64 = 4;

/// How long a server waits for a client, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For a head, or for the next piece of a body.
    pub receive_ns: u64,
    /// For room for a piece of an answer.
    pub send_ns: u64,
    /// For the next request.
    pub idle_ns: u64,
}

impl Timeouts {
    pub fn new(http: &Http) -> Self {
        let ns = |ms: u32| u64::from(ms).saturating_mul(NANOS_PER_MILLI);
        Self {
            receive_ns: ns(http.receive_timeout_ms),
            send_ns: ns(http.send_timeout_ms),
            idle_ns: ns(http.idle_timeout_ms),
        }
    }

    /// From one look at the connections to the next, in nanoseconds.
    pub fn sweep_ns(&self) -> u64 {
        let shortest = self.receive_ns.min(self.send_ns).min(self.idle_ns);
        (shortest / SWEEPS_PER_TIMEOUT).clamp(MIN_SWEEP_NS, MAX_SWEEP_NS)
    }
}

/// The time when the server was polled last.
pub(crate) struct Clock {
    port: Arc<dyn mwasm_ports::Clock>,
    now_ns: AtomicU64,
    /// When the date is another one, on the monotonic clock.
    next_date_ns: AtomicU64,
    date: Mutex<Date>,
}

impl Clock {
    pub fn new(port: Arc<dyn mwasm_ports::Clock>) -> Self {
        let clock =
            Self { port, now_ns: AtomicU64::new(0), next_date_ns: AtomicU64::new(0), date: Mutex::new(Date::new(0)) };
        clock.update();
        clock
    }

    /// Looks at the machine's clock.
    pub fn update(&self) {
        let now_ns = self.port.monotonic_ns();
        self.now_ns.store(now_ns, Relaxed);
        if now_ns >= self.next_date_ns.load(Relaxed) {
            let wall = self.port.wall();
            self.date.lock().set(wall.seconds);
            let left_ns = NANOS_PER_SECOND.saturating_sub(u64::from(wall.nanoseconds));
            self.next_date_ns.store(now_ns.saturating_add(left_ns), Relaxed);
        }
    }

    /// The monotonic clock, in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.now_ns.load(Relaxed)
    }

    /// Uses the date of today, for an answer.
    pub fn with_date<T>(&self, action: impl FnOnce(&Date) -> T) -> T {
        action(&self.date.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_ports::Idle;
    use mwasm_ports::fake::Machine;

    #[test]
    fn the_date_follows_the_clock() {
        let machine = Machine::new(1);
        let clock = Clock::new(machine.clone());
        let text = |clock: &Clock| clock.with_date(|date| date.text().to_vec());
        assert_eq!(text(&clock), b"Thu, 01 Jan 2026 00:00:00 GMT");
        machine.park(Some(61 * NANOS_PER_SECOND), mwasm_ports::Ready::NONE);
        assert_eq!(text(&clock), b"Thu, 01 Jan 2026 00:00:00 GMT");
        clock.update();
        assert_eq!((text(&clock), clock.now_ns()), (b"Thu, 01 Jan 2026 00:01:01 GMT".to_vec(), 61 * NANOS_PER_SECOND));
    }

    #[test]
    fn short_timeouts_are_looked_at_more_often() {
        let sweep = |receive_timeout_ms| Timeouts::new(&Http { receive_timeout_ms, ..Http::default() }).sweep_ns();
        assert_eq!((sweep(30_000), sweep(400), sweep(0)), (MAX_SWEEP_NS, 100 * NANOS_PER_MILLI, MIN_SWEEP_NS));
    }
}
