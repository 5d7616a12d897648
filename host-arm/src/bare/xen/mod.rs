//! What a guest of Xen on ARM can do more than other machines: learn the time of day, say that it crashed, and have a [`network`] by way of
//! another domain.
//!
//! Hypercalls are `hvc #0xea1` with the number in X16 and arguments from X0 on (`xen/include/public/arch-arm.h`).

pub mod network;

use core::arch::asm;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_xen::hypercall::{Hypercalls, REASON_CRASH, Shared};

/// Offset in bytes of the time of day in the shared page: version, seconds, nanoseconds, upper half of the seconds. Before it are one
/// processor's part (48 bytes; x86 has 32 of 64 bytes) and two bits for each of 4096 event channels.
const WALL: usize = 48 + 2 * 4096 / 8;
/// How often a structure that is being written is read again.
const TRIES: u32 = 1000;

/// Xen.
struct Hypervisor;

impl Hypercalls for Hypervisor {
    unsafe fn call(&self, number: u64, first: u64, second: u64, third: u64) -> i64 {
        let result;
        // SAFETY: the caller's promise. Xen changes no register but X0 and X16, and the arguments' (in debug builds of Xen).
        unsafe {
            asm!("hvc #0xea1", inout("x16") number => _, inout("x0") first => result, inout("x1") second => _, inout("x2") third => _)
        };
        result
    }
}

/// The page that Xen and this domain share, mapped at the first call: Xen puts it into one place only.
fn shared_page() -> Option<NonNull<u8>> {
    static PAGE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
    if let Some(page) = NonNull::new(PAGE.load(Relaxed)) {
        return Some(page);
    }
    let page = NonNull::new(memory::allocate_pages(1)?)?;
    // SAFETY: a fresh page.
    unsafe { Hypervisor.map_shared("the shared information page", Shared::Information, page.as_ptr() as u64) }.ok()?;
    PAGE.store(page.as_ptr(), Relaxed);
    Some(page)
}

/// Nanoseconds since 1970: the time of day at which Xen's counter was 0, and what has passed since.
pub fn now_ns() -> Option<u64> {
    let page = shared_page()?;
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
    Hypervisor.shutdown(REASON_CRASH);
}
