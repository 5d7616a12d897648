//! aarch64.

use core::arch::asm;

/// The format of its page tables.
pub use crate::aarch64::Aarch64 as Native;

/// DAIF.I.
const IRQ_MASKED: u64 = 1 << 7;

/// Whether interrupts were on.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts(bool);

/// Turns interrupts off; says how they were.
#[inline]
pub fn interrupts_off() -> Interrupts {
    let daif: u64;
    // SAFETY: reads the mask and sets it, which touches no memory of ours; later memory accesses stay behind it.
    unsafe { asm!("mrs {}, daif", "msr daifset, #2", out(reg) daif) };
    Interrupts(daif & IRQ_MASKED == 0)
}

/// Puts them back.
#[inline]
pub fn interrupts_restore(before: Interrupts) {
    if before.0 {
        interrupts_on();
    }
}

/// Turns interrupts on.
#[inline]
pub fn interrupts_on() {
    // SAFETY: handlers are in place before the first call.
    unsafe { asm!("msr daifclr, #2") };
}

/// Waits for an interrupt and handles it. Call with interrupts off; they are off again afterwards. None is lost
/// between: `wfi` wakes for a masked interrupt, too.
#[inline]
pub fn halt() {
    // SAFETY: as `interrupts_on`.
    unsafe { asm!("dsb sy", "wfi", "msr daifclr, #2", "isb", "msr daifset, #2") };
}

/// Makes new mappings visible to the processor's walker.
#[inline]
pub fn publish_mappings() {
    // SAFETY: barriers.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}

/// Forgets the translation of the page at `address`.
#[inline]
pub fn forget_page(address: usize) {
    // SAFETY: forgetting a translation is always allowed. The first barrier orders the write of the entry before it,
    // the last two make the next instruction see it.
    unsafe {
        asm!("dsb ishst", "tlbi vaae1is, {}", "dsb ish", "isb", in(reg) address >> 12, options(nostack, preserves_flags));
    };
}

/// Makes instructions that were written to memory visible to the fetch unit: cleans the data cache line by line, and
/// empties the instruction cache.
pub fn sync_instructions(start: usize, bytes: usize) {
    let ctr: u64;
    // SAFETY: reads a constant of the processor.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
    let line = 4usize << (ctr >> 16 & 15);
    let mut at = start & !(line - 1);
    while at < start.saturating_add(bytes) {
        // SAFETY: the caller's memory is mapped and readable; cleaning changes no content.
        unsafe { asm!("dc cvau, {}", in(reg) at, options(nostack, preserves_flags)) };
        at += line;
    }
    // SAFETY: emptying the instruction cache changes no content.
    unsafe { asm!("dsb ish", "ic ialluis", "dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Reads a 32-bit register of a device.
///
/// # Safety
/// There is such a register, mapped, at `address`, and what reading it does is wanted.
#[inline]
pub unsafe fn read_register(address: usize) -> u32 {
    let value: u32;
    // SAFETY: the caller's promise. The instruction is one that a hypervisor can emulate.
    unsafe { asm!("ldr {:w}, [{}]", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}

/// Writes a 32-bit register of a device.
///
/// # Safety
/// There is such a register, mapped, at `address`, and what writing it does is wanted.
#[inline]
pub unsafe fn write_register(address: usize, value: u32) {
    // SAFETY: as `read_register`.
    unsafe { asm!("str {:w}, [{}]", in(reg) value, in(reg) address, options(nostack, preserves_flags)) };
}

/// Waits for ever.
pub fn stand_still() {
    // SAFETY: stops the processor until an event; interrupts stay masked.
    unsafe { asm!("msr daifset, #15", "wfi") };
}

/// Continues in `entry` on another stack. From there on the stack pointer is SP_EL0, so that exceptions have SP_EL1,
/// with a stack of their own, for themselves.
///
/// # Safety
/// `top` is the upper end of a stack that nobody uses, 16-byte aligned; nothing on the current one is needed any more, and SP_EL1
/// is that of the exception handler's stack once the stack pointer has been switched.
pub unsafe fn run_on_stack(top: usize, entry: extern "C" fn() -> !) -> ! {
    // SAFETY: the caller's promise. The frame pointer is cleared so that a walk of the stack ends here.
    unsafe {
        asm!("msr spsel, #0", "mov sp, {}", "mov x29, xzr", "mov x30, xzr", "br {}", in(reg) top, in(reg) entry, options(noreturn))
    }
}

/// Touches the stack that the caller is about to use: 8 KiB, far more than any code under a lock of memory management uses.
/// Stacks are committed page by page; code that holds what the fault handler needs must not be the first to touch one.
#[inline]
pub fn touch_stack() {
    // SAFETY: reads of this thread's own stack, below what is in use. Where it ends before that, its guard page faults, which is
    // the right end.
    unsafe {
        asm!(
            "sub {0}, sp, #4096",
            "ldr {1}, [{0}]",
            "sub {0}, {0}, #4096",
            "ldr {1}, [{0}]",
            out(reg) _,
            out(reg) _,
            options(nostack, preserves_flags, readonly)
        );
    }
}
