//! The generic timer: the virtual counter is the clock, the virtual timer the alarm. Its rate is known, so nothing is
//! measured.

use super::registers::{read_register, write_register};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use mwasm_ports::NANOS_PER_SECOND;

/// Timer control: on, and its interrupt not masked.
const ON: u64 = 1;

static INTERRUPT: AtomicU32 = AtomicU32::new(0);
/// Ticks a second.
static RATE: AtomicU64 = AtomicU64::new(NANOS_PER_SECOND);

/// Starts the clock.
pub fn start(interrupt: u32) {
    INTERRUPT.store(interrupt, Relaxed);
    // Firmware that does not say the rate is out of its specification; then a tick counts as a nanosecond.
    let rate = read_register!("cntfrq_el0") & 0xffff_ffff;
    RATE.store(if rate == 0 { NANOS_PER_SECOND } else { rate }, Relaxed);
    silence();
}

/// Whether this is the timer's interrupt.
pub fn is_interrupt(number: u32) -> bool {
    number == INTERRUPT.load(Relaxed)
}

/// Nanoseconds since the machine started.
pub fn now_ns() -> u64 {
    // The barrier keeps the counter from being read early.
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("isb", options(nostack, preserves_flags)) };
    let ticks = u128::from(read_register!("cntvct_el0"));
    (ticks * u128::from(NANOS_PER_SECOND) / u128::from(RATE.load(Relaxed))) as u64
}

/// Nanoseconds of a tick, at least 1.
pub fn resolution_ns() -> u64 {
    (NANOS_PER_SECOND / RATE.load(Relaxed)).max(1)
}

/// Rings at `deadline_ns`.
pub fn arm(deadline_ns: u64) {
    let ticks = (u128::from(deadline_ns) * u128::from(RATE.load(Relaxed))).div_ceil(u128::from(NANOS_PER_SECOND));
    write_register!("cntv_cval_el0", u64::try_from(ticks).unwrap_or(u64::MAX));
    write_register!("cntv_ctl_el0", ON);
}

/// Turns the alarm off; its line stays up otherwise.
pub fn silence() {
    write_register!("cntv_ctl_el0", 0);
}
