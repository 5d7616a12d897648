//! Instructions of x86-64 that talk to the machine: ports, model-specific registers, control registers.

use core::arch::asm;

/// Extended features: bit 11 allows no-execute pages.
const MSR_EFER: u32 = 0xc000_0080;
const EFER_NO_EXECUTE: u64 = 1 << 11;
/// CR0: the kernel, too, must not write to read-only pages.
const CR0_WRITE_PROTECT: u64 = 1 << 16;

/// Writes a byte to an I/O port.
pub fn write_8(port: u16, value: u8) {
    // SAFETY: ports reach devices, not memory of ours; their users are the drivers here.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Writes 16 bits to an I/O port.
pub fn write_16(port: u16, value: u16) {
    // SAFETY: as `write_8`.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) };
}

/// Writes 32 bits to an I/O port.
pub fn write_32(port: u16, value: u32) {
    // SAFETY: as `write_8`.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)) };
}

/// Reads a byte from an I/O port; all ones if there is no device.
pub fn read_8(port: u16) -> u8 {
    let value;
    // SAFETY: as `write_8`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Reads 16 bits from an I/O port.
pub fn read_16(port: u16) -> u16 {
    let value;
    // SAFETY: as `write_8`.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) };
    value
}

/// Reads 32 bits from an I/O port.
pub fn read_32(port: u16) -> u32 {
    let value;
    // SAFETY: as `write_8`.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) };
    value
}

/// Reads a model-specific register that exists.
pub fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: registers that exist are read without effect.
    unsafe { asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register that exists.
///
/// # Safety
/// The register exists, and the value keeps the kernel running and its memory its own.
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack, preserves_flags))
    };
}

/// Lets page tables forbid execution, and makes the kernel obey read-only pages.
pub fn enable_no_execute() {
    // SAFETY: the processor was checked to have it; the boot tables use neither.
    unsafe {
        write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NO_EXECUTE);
        asm!("mov {0}, cr0", "or {0}, {1:r}", "mov cr0, {0}", out(reg) _, in(reg) CR0_WRITE_PROTECT, options(nostack));
    }
}

/// Makes the processor use other page tables.
///
/// # Safety
/// They map all that is in use at the same addresses.
pub unsafe fn load_tables(root: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// The address of the last page fault.
pub fn fault_address() -> usize {
    let address;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// The time-stamp counter, after all loads before it.
pub fn time_stamp() -> u64 {
    // SAFETY: every x86-64 processor has both instructions.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}
