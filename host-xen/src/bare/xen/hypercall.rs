//! Hypercalls (`xen/include/public`): number in RAX, arguments in RDI, RSI and RDX, a negative error number or the
//! result back in RAX.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

const MEMORY_OP: u64 = 12;
const VCPU_OP: u64 = 24;
const SCHED_OP: u64 = 29;
const EVENT_CHANNEL_OP: u64 = 32;
const HVM_OP: u64 = 34;

const MEMORY_ADD_TO_PHYSMAP: u64 = 7;
const MAP_SHARED_INFO: u32 = 0;
const VCPU_STOP_PERIODIC_TIMER: u64 = 7;
const VCPU_SET_SINGLESHOT_TIMER: u64 = 8;
const SCHED_YIELD: u64 = 0;
const SCHED_SHUTDOWN: u64 = 2;
const SCHED_POLL: u64 = 3;
const EVENT_BIND_VIRQ: u64 = 1;
const EVENT_SEND: u64 = 4;
const HVM_SET_PARAM: u64 = 0;
const HVM_GET_PARAM: u64 = 1;
const DOMID_SELF: u16 = 0x7ff0;

/// Reason of a shutdown: in order.
pub const REASON_POWEROFF: u32 = 0;
/// Reason of a shutdown: the guest crashed.
pub const REASON_CRASH: u32 = 3;

/// A hypercall that Xen refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was asked for.
    pub what: &'static str,
    /// Xen's error number, positive.
    pub error: i64,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "wanted of Xen: {}; it refused with error {}: this needs a PVH domain of Xen 4.11 or later",
            self.what, self.error
        )
    }
}

/// Which of the two instructions the processor has; 0 is unknown yet.
static INSTRUCTION: AtomicU8 = AtomicU8::new(0);
const VMCALL: u8 = 1;
const VMMCALL: u8 = 2;

fn instruction() -> u8 {
    match INSTRUCTION.load(Relaxed) {
        0 => {
            // Intel's vendors' names end in "ntel" or so; all others with virtualisation follow AMD.
            let intel = __cpuid(0).ecx == u32::from_le_bytes(*b"ntel");
            let found = if intel { VMCALL } else { VMMCALL };
            INSTRUCTION.store(found, Relaxed);
            found
        }
        known => known,
    }
}

/// # Safety
/// The arguments are what the hypercall wants; what they point to lives until it returns, and is ours.
unsafe fn call(number: u64, first: u64, second: u64, third: u64) -> i64 {
    let result;
    // SAFETY: the caller's promise. Xen changes no register but RAX, and the arguments' (in debug builds of Xen).
    unsafe {
        match instruction() {
            VMCALL => {
                asm!("vmcall", inout("rax") number => result, inout("rdi") first => _, inout("rsi") second => _, inout("rdx") third => _)
            }
            _ => {
                asm!("vmmcall", inout("rax") number => result, inout("rdi") first => _, inout("rsi") second => _, inout("rdx") third => _)
            }
        }
    }
    result
}

fn checked(what: &'static str, result: i64) -> Result<i64, Refused> {
    if result < 0 { Err(Refused { what, error: -result }) } else { Ok(result) }
}

/// Puts the page that Xen and this domain share at `page` (a physical address).
///
/// # Safety
/// The page is ours, and only used for this.
pub unsafe fn map_shared_info(page: u64) -> Result<(), Refused> {
    #[repr(C)]
    struct AddToPhysmap {
        domain: u16,
        size: u16,
        space: u32,
        index: u64,
        frame: u64,
    }
    let argument = AddToPhysmap { domain: DOMID_SELF, size: 0, space: MAP_SHARED_INFO, index: 0, frame: page >> 12 };
    // SAFETY: the argument lives; the page is the caller's to give.
    let result = unsafe { call(MEMORY_OP, MEMORY_ADD_TO_PHYSMAP, &raw const argument as u64, 0) };
    checked("the shared information page", result).map(|_| ())
}

#[repr(C)]
struct HvmParam {
    domain: u16,
    padding: u16,
    index: u32,
    value: u64,
}

/// Reads a parameter of this domain.
pub fn hvm_param(what: &'static str, index: u32) -> Result<u64, Refused> {
    let mut argument = HvmParam { domain: DOMID_SELF, padding: 0, index, value: 0 };
    // SAFETY: the argument lives, and Xen writes its value.
    let result = unsafe { call(HVM_OP, HVM_GET_PARAM, &raw mut argument as u64, 0) };
    checked(what, result).map(|_| argument.value)
}

/// Writes a parameter of this domain.
pub fn set_hvm_param(what: &'static str, index: u32, value: u64) -> Result<(), Refused> {
    let argument = HvmParam { domain: DOMID_SELF, padding: 0, index, value };
    // SAFETY: the argument lives.
    let result = unsafe { call(HVM_OP, HVM_SET_PARAM, &raw const argument as u64, 0) };
    checked(what, result).map(|_| ())
}

/// A new event channel for a virtual interrupt of this processor.
pub fn bind_virq(what: &'static str, virq: u32) -> Result<u32, Refused> {
    let mut argument = [virq, 0, 0];
    // SAFETY: the argument lives, and Xen writes its last word.
    let result = unsafe { call(EVENT_CHANNEL_OP, EVENT_BIND_VIRQ, &raw mut argument as u64, 0) };
    checked(what, result).map(|_| argument[2])
}

/// Tells the other end of an event channel.
pub fn notify(port: u32) {
    // SAFETY: the argument lives. A refusal means that nobody listens.
    unsafe { call(EVENT_CHANNEL_OP, EVENT_SEND, &raw const port as u64, 0) };
}

/// Sets this processor's timer, in Xen's time.
pub fn set_timer(deadline_ns: u64) {
    #[repr(C)]
    struct Timer {
        deadline_ns: u64,
        flags: u32,
    }
    let argument = Timer { deadline_ns, flags: 0 };
    // SAFETY: the argument lives. A deadline in the past rings at once; nothing else can be refused.
    unsafe { call(VCPU_OP, VCPU_SET_SINGLESHOT_TIMER, 0, &raw const argument as u64) };
}

/// Stops the periodic timer that a processor starts with.
pub fn stop_periodic_timer() {
    // SAFETY: there is no argument.
    unsafe { call(VCPU_OP, VCPU_STOP_PERIODIC_TIMER, 0, 0) };
}

/// Lets others run.
pub fn yield_now() {
    // SAFETY: there is no argument.
    unsafe { call(SCHED_OP, SCHED_YIELD, 0, 0) };
}

/// Waits until an event arrives at one of `ports`, or until `deadline_ns` (0: for ever). Interrupts are off, and the event
/// stays pending.
pub fn poll(ports: &[u32], deadline_ns: u64) {
    #[repr(C)]
    struct Poll {
        ports: *const u32,
        count: u32,
        deadline_ns: u64,
    }
    let argument = Poll { ports: ports.as_ptr(), count: ports.len() as u32, deadline_ns };
    // SAFETY: the argument and the ports in it live. A refusal is an early return.
    unsafe { call(SCHED_OP, SCHED_POLL, &raw const argument as u64, 0) };
}

/// Ends this domain.
pub fn shutdown(reason: u32) {
    // SAFETY: the argument lives.
    unsafe { call(SCHED_OP, SCHED_SHUTDOWN, &raw const reason as u64, 0) };
}
