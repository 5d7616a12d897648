//! System registers of aarch64.

use core::arch::asm;

/// Reads a system register by its name.
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: the registers read here have no effect when they are read, but for those of the interrupt controller,
        // whose effect is wanted.
        unsafe { core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags)) };
        value
    }};
}

/// Writes a system register by its name.
macro_rules! write_register {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the registers written here control the timer and the interrupt controller, and no memory.
        unsafe { core::arch::asm!(concat!("msr ", $name, ", {}"), "isb", in(reg) value, options(nostack, preserves_flags)) };
    }};
}

pub(super) use {read_register, write_register};

/// Why the last exception was taken.
pub fn exception_syndrome() -> u64 {
    read_register!("esr_el1")
}

/// The address of the last abort.
pub fn fault_address() -> usize {
    read_register!("far_el1") as usize
}

/// Makes the processor use other page tables.
///
/// # Safety
/// They map all that is in use at the same addresses.
pub unsafe fn load_tables(root: u64) {
    // SAFETY: the caller's promise. The barriers make the tables' content visible to the walker first, and forget the
    // old ones last.
    unsafe {
        asm!("dsb ishst", "msr ttbr0_el1, {}", "isb", "tlbi vmalle1", "dsb ish", "isb", in(reg) root, options(nostack, preserves_flags));
    };
}

/// Reads a 32-bit device register.
pub fn read_32(base: usize, offset: usize) -> u32 {
    // SAFETY: drivers pass registers that they have mapped. The instruction is one that a hypervisor can emulate.
    unsafe {
        let value: u32;
        asm!("ldr {:w}, [{}]", out(reg) value, in(reg) base + offset, options(nostack, preserves_flags));
        value
    }
}

/// Writes a 32-bit device register.
pub fn write_32(base: usize, offset: usize, value: u32) {
    // SAFETY: as `read_32`.
    unsafe { asm!("str {:w}, [{}]", in(reg) value, in(reg) base + offset, options(nostack, preserves_flags)) };
}

/// Reads an 8-bit device register.
pub fn read_8(base: usize, offset: usize) -> u8 {
    // SAFETY: as `read_32`.
    unsafe {
        let value: u32;
        asm!("ldrb {:w}, [{}]", out(reg) value, in(reg) base + offset, options(nostack, preserves_flags));
        value as u8
    }
}

/// Writes an 8-bit device register.
pub fn write_8(base: usize, offset: usize, value: u8) {
    // SAFETY: as `read_32`.
    unsafe {
        asm!("strb {:w}, [{}]", in(reg) u32::from(value), in(reg) base + offset, options(nostack, preserves_flags))
    };
}

/// Reads a 64-bit device register.
pub fn read_64(base: usize, offset: usize) -> u64 {
    // SAFETY: as `read_32`.
    unsafe {
        let value: u64;
        asm!("ldr {}, [{}]", out(reg) value, in(reg) base + offset, options(nostack, preserves_flags));
        value
    }
}

/// Writes a 64-bit device register.
pub fn write_64(base: usize, offset: usize, value: u64) {
    // SAFETY: as `read_32`.
    unsafe { asm!("str {}, [{}]", in(reg) value, in(reg) base + offset, options(nostack, preserves_flags)) };
}
