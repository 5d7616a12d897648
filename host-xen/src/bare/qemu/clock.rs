//! Time on QEMU, without measuring anything at start.
//!
//! On KVM the hypervisor keeps a clock page (see [`crate::pvclock`]), and the local APIC's timer rings at deadlines.
//!
//! QEMU's emulation has no such page, and the rate of its time-stamp counter is unknown. Its APIC timer counts
//! nanoseconds, so it is both clock and alarm: it runs periodically, and the time is the sum of all periods that have
//! passed and of what has passed of the current one. The alarm is set by making the current period end at the deadline.
//! An interrupt that is late by less than a period loses nothing.

use super::super::io;
use super::{apic, rtc};
use crate::pvclock::Snapshot;
use core::arch::x86_64::__cpuid;
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::exclusive::Exclusive;
use mwasm_ports::NANOS_PER_SECOND;

/// Both clocks count nanoseconds.
pub const RESOLUTION_NS: u64 = 1;
/// The longest period of the timer, in ticks of a nanosecond.
const LONGEST: u64 = u32::MAX as u64;
/// The shortest; below that it would ring again while its handler runs.
const SHORTEST: u64 = 2_000;
/// How often a clock page that is being written is read again.
const SNAPSHOT_TRIES: u32 = 1000;
/// KVM's registers (`Documentation/virt/kvm/x86/msr.rst`): address of a wall-clock structure, address of the clock
/// page.
const MSR_KVM_WALL_CLOCK: u32 = 0x4b56_4d00;
const MSR_KVM_SYSTEM_TIME: u32 = 0x4b56_4d01;
const KVM_CLOCK_ON: u64 = 1;
/// KVM's feature leaf, EAX bit: the registers exist.
const KVM_FEATURES: u32 = 0x4000_0001;
const KVM_HAS_CLOCK: u32 = 1 << 3;
/// Where the wall-clock structure is within the clock's page, in bytes.
const WALL_CLOCK_OFFSET: usize = 64;

static CLOCK: Exclusive<Clock> = Exclusive::new(Clock::Stopped);

#[derive(Clone, Copy)]
enum Clock {
    Stopped,
    /// Address of KVM's clock page.
    Page(usize),
    Counter(Counter),
}

/// The APIC timer as a clock.
#[derive(Clone, Copy)]
struct Counter {
    /// Time at the start of the current period.
    base_ns: u64,
    /// Count at the start of the current period; a period has one tick more.
    initial: u32,
    /// The interrupt that is pending belongs to a period that was counted already.
    counted: bool,
    /// The last time that was told.
    last_ns: u64,
}

/// Starts the clock.
pub fn start(kvm: bool) {
    let page = if kvm && __cpuid(KVM_FEATURES).eax & KVM_HAS_CLOCK != 0 { memory::allocate_pages(1) } else { None };
    CLOCK.try_with(|clock| {
        *clock = match page {
            Some(page) => {
                // SAFETY: KVM has the register, and the page is its own from now on.
                unsafe { io::write_msr(MSR_KVM_SYSTEM_TIME, page as u64 | KVM_CLOCK_ON) };
                Clock::Page(page as usize)
            }
            None => {
                apic::timer_start(LONGEST as u32, true);
                Clock::Counter(Counter { base_ns: 0, initial: LONGEST as u32, counted: false, last_ns: 0 })
            }
        }
    });
}

/// Nanoseconds since the start (on KVM: of the machine).
pub fn now_ns() -> u64 {
    CLOCK.try_with(Clock::now_ns).unwrap_or(0)
}

/// Rings at `deadline_ns`, or earlier.
pub fn arm(deadline_ns: u64) {
    CLOCK.try_with(|clock| {
        let now_ns = clock.now_ns();
        let ticks = deadline_ns.saturating_sub(now_ns).clamp(SHORTEST, LONGEST) as u32;
        match clock {
            Clock::Counter(counter) => counter.restart(now_ns, ticks),
            _ => apic::timer_start(ticks, false),
        }
    });
}

/// For the timer's handler.
pub fn rang() {
    CLOCK.try_with(|clock| {
        if let Clock::Counter(counter) = clock {
            if !core::mem::take(&mut counter.counted) {
                counter.base_ns += u64::from(counter.initial) + 1;
            }
            if u64::from(counter.initial) < LONGEST {
                let now_ns = counter.now_ns();
                counter.restart(now_ns, LONGEST as u32);
            }
        }
    });
}

/// What to add to get nanoseconds since 1970.
pub fn epoch_offset_ns() -> u64 {
    let page = CLOCK.try_with(|clock| if let Clock::Page(page) = clock { Some(*page) } else { None }).flatten();
    match page {
        Some(page) => kvm_epoch_ns(page + WALL_CLOCK_OFFSET),
        None => rtc::now_ns().map_or(0, |wall_ns| wall_ns.saturating_sub(now_ns())),
    }
}

/// KVM writes the time of day at which the clock page showed 0: version, seconds, nanoseconds.
fn kvm_epoch_ns(structure: usize) -> u64 {
    // SAFETY: the structure lies in the clock's page, which KVM may write.
    unsafe { io::write_msr(MSR_KVM_WALL_CLOCK, structure as u64) };
    // SAFETY: as above.
    let word = |at: usize| u64::from(unsafe { (structure as *const u32).add(at).read_volatile() });
    word(1) * NANOS_PER_SECOND + word(2)
}

impl Clock {
    fn now_ns(&mut self) -> u64 {
        match self {
            Self::Stopped => 0,
            Self::Page(page) => {
                let start = *page as *const u32;
                // SAFETY: the page belongs to the clock; KVM writes to it at any time.
                let read = |at| unsafe { start.add(at).read_volatile() };
                Snapshot::read(read, SNAPSHOT_TRIES).map_or(0, |clock| clock.ns_at(io::time_stamp()))
            }
            Self::Counter(counter) => counter.now_ns(),
        }
    }
}

impl Counter {
    fn now_ns(&mut self) -> u64 {
        // The count may start again between two reads; then the pending flag may belong to either period.
        let (count, pending) = loop {
            let before = apic::timer_count();
            let pending = apic::timer_is_pending();
            let after = apic::timer_count();
            if after <= before {
                break (after, pending);
            }
        };
        let period = u64::from(self.initial) + 1;
        let mut now_ns = self.base_ns + u64::from(self.initial - count.min(self.initial));
        if pending && !self.counted {
            now_ns += period;
        } else if now_ns < self.last_ns {
            // The count has started again, and its interrupt is still on the way.
            now_ns = (now_ns + period).max(self.last_ns);
        }
        self.last_ns = now_ns;
        now_ns
    }

    /// Starts a new period at `now_ns`.
    fn restart(&mut self, now_ns: u64, ticks: u32) {
        self.counted = apic::timer_is_pending();
        self.base_ns = now_ns;
        self.initial = ticks;
        apic::timer_start(ticks, true);
    }
}
