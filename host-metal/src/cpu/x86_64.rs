//! x86-64.

use core::arch::asm;

/// The format of its page tables.
pub use crate::x86_64::X86_64 as Native;

/// RFLAGS.IF.
const INTERRUPT_FLAG: u64 = 1 << 9;

/// Whether interrupts were on.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts(bool);

/// Turns interrupts off; says how they were.
#[inline]
pub fn interrupts_off() -> Interrupts {
    let flags: u64;
    // SAFETY: reads the flags and masks interrupts, which touches no memory of ours; later memory accesses stay behind
    // it.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
    Interrupts(flags & INTERRUPT_FLAG != 0)
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
    unsafe { asm!("sti") };
}

/// Waits for an interrupt and handles it. Call with interrupts off; they are off again afterwards. None is lost
/// between: `sti` takes effect after the next instruction.
#[inline]
pub fn halt() {
    // SAFETY: as `interrupts_on`.
    unsafe { asm!("sti", "hlt", "cli") };
}

/// Makes new mappings visible to the processor: on x86 they always are, since what is not mapped is not remembered.
#[inline]
pub fn publish_mappings() {}

/// Forgets the translation of the page at `address`.
#[inline]
pub fn forget_page(address: usize) {
    // SAFETY: forgetting a translation is always allowed.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Makes instructions that were written to memory visible to the fetch unit: on x86 they always are.
#[inline]
pub fn sync_instructions(_start: usize, _bytes: usize) {}

/// Reads a 32-bit register of a device.
///
/// # Safety
/// There is such a register, mapped, at `address`, and what reading it does is wanted.
#[inline]
pub unsafe fn read_register(address: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { (address as *const u32).read_volatile() }
}

/// Writes a 32-bit register of a device.
///
/// # Safety
/// There is such a register, mapped, at `address`, and what writing it does is wanted.
#[inline]
pub unsafe fn write_register(address: usize, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { (address as *mut u32).write_volatile(value) };
}

/// Waits for ever, also for interrupts that cannot be masked.
pub fn stand_still() {
    // SAFETY: stops the processor until something that cannot be masked happens.
    unsafe { asm!("cli", "hlt") };
}

/// Continues in `entry` on another stack.
///
/// # Safety
/// `top` is the upper end of a stack that nobody uses, 16-byte aligned; nothing on the current one is needed any more.
pub unsafe fn run_on_stack(top: usize, entry: extern "C" fn() -> !) -> ! {
    // SAFETY: the caller's promise. The frame pointer is cleared so that a walk of the stack ends here.
    unsafe { asm!("mov rsp, {}", "xor ebp, ebp", "call {}", "ud2", in(reg) top, in(reg) entry, options(noreturn)) }
}

/// Touches the stack that the caller is about to use: 8 KiB, far more than any code under a lock of memory management uses.
/// Stacks are committed page by page; code that holds what the fault handler needs must not be the first to touch one.
#[inline]
pub fn touch_stack() {
    // SAFETY: reads of this thread's own stack, below what is in use. Where it ends before that, its guard page faults, which is
    // the right end.
    unsafe {
        asm!("mov {0}, [rsp - 4096]", "mov {0}, [rsp - 8192]", out(reg) _, options(nostack, preserves_flags, readonly))
    };
}
