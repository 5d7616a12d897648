//! What a guest of Xen on ARM can do more than other machines: learn the time of day, and say that it crashed.
//!
//! Hypercalls are `hvc #0xea1` with the number in X16 and arguments from X0 on (`xen/include/public/arch-arm.h`).

use core::arch::asm;
use mwasm_host_metal::bare::memory;
use mwasm_ports::NANOS_PER_SECOND;

const MEMORY_OP: u64 = 12;
const SCHED_OP: u64 = 29;
const MEMORY_ADD_TO_PHYSMAP: u64 = 7;
const MAP_SHARED_INFO: u32 = 0;
const SCHED_SHUTDOWN: u64 = 2;
const REASON_CRASH: u32 = 3;
const DOMID_SELF: u16 = 0x7ff0;
/// Offset in bytes of the time of day in the shared page: version, seconds, nanoseconds, upper half of the seconds.
const WALL: usize = 3072;
/// How often a structure that is being written is read again.
const TRIES: u32 = 1000;

/// # Safety
/// The arguments are what the hypercall wants; what they point to lives until it returns, and is ours.
unsafe fn call(number: u64, first: u64, second: u64) -> i64 {
    let result;
    // SAFETY: the caller's promise. Xen changes X0 and X16 only.
    unsafe { asm!("hvc #0xea1", inout("x16") number => _, inout("x0") first => result, in("x1") second) };
    result
}

/// Nanoseconds since 1970: the time of day at which Xen's counter was 0, and what has passed since.
pub fn now_ns() -> Option<u64> {
    #[repr(C)]
    struct AddToPhysmap {
        domain: u16,
        size: u16,
        space: u32,
        index: u64,
        frame: u64,
    }
    let page = memory::allocate_pages(1)?;
    let argument =
        AddToPhysmap { domain: DOMID_SELF, size: 0, space: MAP_SHARED_INFO, index: 0, frame: page as u64 >> 12 };
    // SAFETY: the argument lives, and the page is fresh.
    if unsafe { call(MEMORY_OP, MEMORY_ADD_TO_PHYSMAP, &raw const argument as u64) } != 0 {
        return None;
    }
    // SAFETY: the page stays mapped; Xen writes to it at any time.
    let word = |at: usize| unsafe { page.add(WALL).cast::<u32>().add(at).read_volatile() };
    (0..TRIES).find_map(|_| {
        let version = word(0);
        let seconds = u64::from(word(1)) | u64::from(word(3)) << 32;
        let nanoseconds = u64::from(word(2));
        let whole = version & 1 == 0 && word(0) == version && seconds != 0;
        whole.then(|| (seconds * NANOS_PER_SECOND + nanoseconds).saturating_add(super::timer::now_ns()))
    })
}

/// Ends this domain as one that crashed.
pub fn crash() {
    let reason = REASON_CRASH;
    // SAFETY: the argument lives.
    unsafe { call(SCHED_OP, SCHED_SHUTDOWN, &raw const reason as u64) };
}
