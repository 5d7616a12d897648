//! Hypercalls: how a guest asks the hypervisor (`xen/include/public`).
//!
//! A hypercall is a number and up to five arguments, most often an operation and the address of a structure. Numbers, operations and
//! structures are the same on x86_64 and on ARM; only the instruction differs. So a host brings the instruction
//! ([`Hypercalls::call`]), and has all operations.

use core::fmt;

const MEMORY_OP: u64 = 12;
const VCPU_OP: u64 = 24;
const SCHED_OP: u64 = 29;
const EVENT_CHANNEL_OP: u64 = 32;
const HVM_OP: u64 = 34;

const MEMORY_ADD_TO_PHYSMAP: u64 = 7;
const VCPU_STOP_PERIODIC_TIMER: u64 = 7;
const VCPU_SET_SINGLESHOT_TIMER: u64 = 8;
const SCHED_YIELD: u64 = 0;
const SCHED_SHUTDOWN: u64 = 2;
const SCHED_POLL: u64 = 3;
const EVENT_BIND_VIRQ: u64 = 1;
const EVENT_CLOSE: u64 = 3;
const EVENT_SEND: u64 = 4;
const EVENT_ALLOC_UNBOUND: u64 = 6;
const HVM_SET_PARAM: u64 = 0;
const HVM_GET_PARAM: u64 = 1;
/// The domain that calls.
const DOMID_SELF: u16 = 0x7ff0;
/// Bytes of a page, as a power of two.
const PAGE_SHIFT: u32 = 12;

/// Reason of a shutdown: in order.
pub const REASON_POWEROFF: u32 = 0;
/// Reason of a shutdown: the guest crashed.
pub const REASON_CRASH: u32 = 3;
/// Parameters of a domain: xenstore's page, as a frame number, and its event channel.
pub const PARAM_STORE_FRAME: u32 = 1;
/// See [`PARAM_STORE_FRAME`].
pub const PARAM_STORE_PORT: u32 = 2;
/// Xen's error number for "no memory", for those who ran out of it on the way to a hypercall.
pub const NO_MEMORY: i64 = 12;

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
            "wanted of Xen: {}; it refused with error {}: this needs a PVH or ARM domain of Xen 4.11 or later",
            self.what, self.error
        )
    }
}

impl core::error::Error for Refused {}

/// A page of Xen's that a domain can put into its own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// `struct shared_info`.
    Information,
    /// A page of the grant table, counted from 0.
    Grants(u32),
}

#[repr(C)]
struct AddToPhysmap {
    domain: u16,
    size: u16,
    space: u32,
    index: u64,
    frame: u64,
}

#[repr(C)]
struct HvmParam {
    domain: u16,
    padding: u16,
    index: u32,
    value: u64,
}

#[repr(C)]
struct Timer {
    deadline_ns: u64,
    flags: u32,
}

#[repr(C)]
struct Poll {
    ports: *const u32,
    count: u32,
    deadline_ns: u64,
}

#[repr(C)]
struct AllocUnbound {
    domain: u16,
    remote: u16,
    port: u32,
}

/// The way to the hypervisor.
pub trait Hypercalls {
    /// Executes the hypercall instruction.
    ///
    /// # Safety
    /// The arguments are what the hypercall wants; what they point to lives until it returns, and is ours.
    unsafe fn call(&self, number: u64, first: u64, second: u64, third: u64) -> i64;

    /// Puts a page of Xen's in place of the one at `page` (a physical address).
    ///
    /// # Safety
    /// The page is ours, and only used for this.
    unsafe fn map_shared(&self, what: &'static str, shared: Shared, page: u64) -> Result<(), Refused> {
        let (space, index) = match shared {
            Shared::Information => (0, 0),
            Shared::Grants(index) => (1, u64::from(index)),
        };
        let argument = AddToPhysmap { domain: DOMID_SELF, size: 0, space, index, frame: page >> PAGE_SHIFT };
        // SAFETY: the argument lives; the page is the caller's to give.
        let result = unsafe { self.call(MEMORY_OP, MEMORY_ADD_TO_PHYSMAP, &raw const argument as u64, 0) };
        checked(what, result).map(drop)
    }

    /// Reads a parameter of this domain.
    fn hvm_param(&self, what: &'static str, index: u32) -> Result<u64, Refused> {
        let mut argument = HvmParam { domain: DOMID_SELF, padding: 0, index, value: 0 };
        // SAFETY: the argument lives, and Xen writes its value.
        let result = unsafe { self.call(HVM_OP, HVM_GET_PARAM, &raw mut argument as u64, 0) };
        checked(what, result).map(|_| argument.value)
    }

    /// Writes a parameter of this domain.
    fn set_hvm_param(&self, what: &'static str, index: u32, value: u64) -> Result<(), Refused> {
        let argument = HvmParam { domain: DOMID_SELF, padding: 0, index, value };
        // SAFETY: the argument lives.
        let result = unsafe { self.call(HVM_OP, HVM_SET_PARAM, &raw const argument as u64, 0) };
        checked(what, result).map(drop)
    }

    /// A new event channel for a virtual interrupt of this processor.
    fn bind_virq(&self, what: &'static str, virq: u32) -> Result<u32, Refused> {
        let mut argument = [virq, 0, 0];
        // SAFETY: the argument lives, and Xen writes its last word.
        let result = unsafe { self.call(EVENT_CHANNEL_OP, EVENT_BIND_VIRQ, &raw mut argument as u64, 0) };
        checked(what, result).map(|_| argument[2])
    }

    /// A new event channel, to whose other end domain `remote` may bind.
    fn allocate_port(&self, what: &'static str, remote: u16) -> Result<u32, Refused> {
        let mut argument = AllocUnbound { domain: DOMID_SELF, remote, port: 0 };
        // SAFETY: the argument lives, and Xen writes its port.
        let result = unsafe { self.call(EVENT_CHANNEL_OP, EVENT_ALLOC_UNBOUND, &raw mut argument as u64, 0) };
        checked(what, result).map(|_| argument.port)
    }

    /// Closes an event channel.
    fn close_port(&self, port: u32) {
        // SAFETY: the argument lives. A refusal means that it was closed.
        unsafe { self.call(EVENT_CHANNEL_OP, EVENT_CLOSE, &raw const port as u64, 0) };
    }

    /// Tells the other end of an event channel.
    fn notify(&self, port: u32) {
        // SAFETY: the argument lives. A refusal means that nobody listens.
        unsafe { self.call(EVENT_CHANNEL_OP, EVENT_SEND, &raw const port as u64, 0) };
    }

    /// Sets this processor's timer, in Xen's time (x86 only; ARM has its own).
    fn set_timer(&self, deadline_ns: u64) {
        let argument = Timer { deadline_ns, flags: 0 };
        // SAFETY: the argument lives. A deadline in the past rings at once; nothing else can be refused.
        unsafe { self.call(VCPU_OP, VCPU_SET_SINGLESHOT_TIMER, 0, &raw const argument as u64) };
    }

    /// Stops the periodic timer that an x86 processor starts with.
    fn stop_periodic_timer(&self) {
        // SAFETY: there is no argument.
        unsafe { self.call(VCPU_OP, VCPU_STOP_PERIODIC_TIMER, 0, 0) };
    }

    /// Lets others run.
    fn yield_now(&self) {
        // SAFETY: there is no argument.
        unsafe { self.call(SCHED_OP, SCHED_YIELD, 0, 0) };
    }

    /// Waits until an event arrives at one of `ports`, or until `deadline_ns` (0: for ever). Interrupts are off, and the event
    /// stays pending.
    fn poll(&self, ports: &[u32], deadline_ns: u64) {
        let argument = Poll { ports: ports.as_ptr(), count: ports.len() as u32, deadline_ns };
        // SAFETY: the argument and the ports in it live. A refusal is an early return.
        unsafe { self.call(SCHED_OP, SCHED_POLL, &raw const argument as u64, 0) };
    }

    /// Ends this domain.
    fn shutdown(&self, reason: u32) {
        // SAFETY: the argument lives.
        unsafe { self.call(SCHED_OP, SCHED_SHUTDOWN, &raw const reason as u64, 0) };
    }
}

fn checked(what: &'static str, result: i64) -> Result<i64, Refused> {
    if result < 0 { Err(Refused { what, error: -result }) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A hypervisor that keeps the structures that it is given, as bytes, and answers in their last word.
    #[derive(Default)]
    struct Recorder {
        calls: RefCell<Vec<(u64, u64, Vec<u8>)>>,
        result: i64,
    }

    impl Hypercalls for Recorder {
        unsafe fn call(&self, number: u64, first: u64, second: u64, third: u64) -> i64 {
            let address = if number == VCPU_OP { third } else { second } as *mut u8;
            let bytes = match (number, first) {
                (MEMORY_OP, _) => 24,
                (HVM_OP, _) | (SCHED_OP, SCHED_POLL) | (VCPU_OP, VCPU_SET_SINGLESHOT_TIMER) => 16,
                (EVENT_CHANNEL_OP, EVENT_BIND_VIRQ) => 12,
                (EVENT_CHANNEL_OP, EVENT_ALLOC_UNBOUND) => 8,
                (EVENT_CHANNEL_OP, _) | (SCHED_OP, SCHED_SHUTDOWN) => 4,
                _ => 0,
            };
            let mut copy = vec![0; bytes];
            if bytes > 0 {
                // SAFETY: callers pass structures of at least so many bytes.
                unsafe { address.copy_to(copy.as_mut_ptr(), bytes) };
            }
            if matches!((number, first), (EVENT_CHANNEL_OP, EVENT_BIND_VIRQ | EVENT_ALLOC_UNBOUND)) {
                // SAFETY: the last word of these is for the answer.
                unsafe { address.add(bytes - 4).cast::<u32>().write_unaligned(77) };
            }
            self.calls.borrow_mut().push((number, first, copy));
            self.result
        }
    }

    #[test]
    fn structures_are_laid_out_as_xen_reads_them() {
        let xen = Recorder::default();
        // SAFETY: nothing is mapped by a recorder.
        unsafe { xen.map_shared("grants", Shared::Grants(3), 0x1234_5000) }.unwrap();
        assert_eq!(xen.allocate_port("a port", 0), Ok(77));
        assert_eq!(xen.bind_virq("a timer", 5), Ok(77));
        xen.notify(9);
        let calls = xen.calls.take();
        let mut physmap = vec![0xf0, 0x7f, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        physmap.extend(0x12345u64.to_le_bytes());
        assert_eq!(calls[0], (12, 7, physmap));
        assert_eq!(calls[1], (32, 6, vec![0xf0, 0x7f, 0, 0, 0, 0, 0, 0]));
        assert_eq!(calls[2], (32, 1, vec![5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(calls[3], (32, 4, vec![9, 0, 0, 0]));
    }

    #[test]
    fn a_refusal_says_what_was_wanted() {
        let xen = Recorder { result: -38, ..Recorder::default() };
        let refused = xen.allocate_port("an event channel", 0).unwrap_err();
        assert_eq!(refused, Refused { what: "an event channel", error: 38 });
        assert!(refused.to_string().contains("an event channel; it refused with error 38"));
    }
}
