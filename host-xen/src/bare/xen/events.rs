//! Event channels: Xen's interrupts. All arrive at one vector; bits in the shared page say which.

use super::super::interrupts::VECTOR_XEN;
use super::hypercall::{self, Refused};
use super::shared;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Parameter of the domain: how upcalls come; the value's top byte 2 says "at this vector".
const PARAM_CALLBACK: u32 = 0;
const CALLBACK_VECTOR: u64 = 2 << 56;
/// The virtual interrupt of the timer.
const VIRQ_TIMER: u32 = 0;

static TIMER: AtomicU32 = AtomicU32::new(0);

/// Makes upcalls come, and the timer's among them.
pub fn start() -> Result<(), Refused> {
    TIMER.store(hypercall::bind_virq("a timer", VIRQ_TIMER)?, Relaxed);
    hypercall::stop_periodic_timer();
    hypercall::set_hvm_param("interrupts by event channel", PARAM_CALLBACK, CALLBACK_VECTOR | u64::from(VECTOR_XEN))
}

/// The timer's event channel.
pub fn timer() -> u32 {
    TIMER.load(Relaxed)
}

/// Rings at `deadline_ns`.
pub fn arm(deadline_ns: u64) {
    hypercall::set_timer(deadline_ns);
}

/// Calls `f` with the port of each event that has come.
pub fn take(f: impl Fn(u32)) {
    each_bit(shared::take_upcall(), |word| each_bit(shared::take_events(word as usize), |bit| f(word * 64 + bit)));
}

fn each_bit(mut bits: u64, f: impl Fn(u32)) {
    while bits != 0 {
        f(bits.trailing_zeros());
        bits &= bits - 1;
    }
}
