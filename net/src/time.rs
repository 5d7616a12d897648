//! The stack's time and smoltcp's.
//!
//! smoltcp waits a second at least before it sends a segment again (RFC 6298, section 2.4), and that is a constant of its. On a network
//! that loses packets it is nearly all of the time that a transfer takes; Linux waits 0.2 s. So smoltcp is shown a clock that runs
//! [`SPEED`] times faster: its second is then Linux's, neighbours are remembered for 12 s after they were last heard instead of 60, and all
//! else that smoltcp times is given by the stack in the stack's own time and converted here. The DHCP client, whose times are the
//! server's, is shown the true time.

use smoltcp::time::{Duration, Instant};

/// How much faster smoltcp's clock runs.
const SPEED: u64 = 5;
/// Nanoseconds of ours in a microsecond of smoltcp's.
const NS_PER_MICRO: u64 = 1000 / SPEED;

fn from_micros(micros: u64) -> Instant {
    Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// A time as smoltcp is shown it.
pub(crate) fn instant(ns: u64) -> Instant {
    from_micros(ns / NS_PER_MICRO)
}

/// When it is what smoltcp calls `at`, in nanoseconds.
pub(crate) fn nanoseconds(at: Instant) -> u64 {
    at.total_micros().unsigned_abs().saturating_mul(NS_PER_MICRO)
}

/// A length of time as smoltcp is told it.
pub(crate) fn duration(ns: u64) -> Duration {
    Duration::from_micros(ns / NS_PER_MICRO)
}

/// A time as the DHCP client is shown it.
pub(crate) fn true_instant(ns: u64) -> Instant {
    from_micros(ns / 1000)
}

/// When it is what the DHCP client calls `at`, in nanoseconds.
pub(crate) fn true_nanoseconds(at: Instant) -> u64 {
    at.total_micros().unsigned_abs().saturating_mul(1000)
}
