//! From the Image entry to Rust.
//!
//! The Linux boot protocol for arm64 (`Documentation/arch/arm64/booting.rst`) enters the image's first instruction at
//! EL2 or EL1 with the MMU off, the physical address of the device tree in X0, and the image at a multiple of 2 MiB.
//! That first instruction, and the 64-byte header that it belongs to, are put there by the packer of images; it jumps
//! to [`_start`]. The code below goes down to EL1, clears `.bss`, and maps two things: the GiB around the image and
//! that of the device tree at their own addresses, and the image at its link address (in leaves of 2 MiB, writable and
//! executable: the real tables come later, from Rust). Then it jumps up.

use super::exceptions::HANDLERS;
use core::arch::global_asm;
use mwasm_host_metal::aarch64::MAIR;
use mwasm_host_metal::bare::stacks::HANDLER_STACK_BYTES;
use mwasm_host_metal::page::PAGE_BYTES;

/// Bytes of the stack that is used until memory is managed.
const BOOT_STACK_BYTES: usize = 32 << 10;
/// HCR_EL2: EL1 is aarch64, and nothing is trapped.
const HCR: u64 = 1 << 31;
/// CNTHCTL_EL2: EL1 may use the physical counter and timer.
const CNTHCTL: u64 = 3;
/// CPTR_EL2: nothing is trapped; the other bits are ones by definition.
const CPTR: u64 = 0x33ff;
/// ICC_SRE_EL2: the interrupt controller's system registers work, also at EL1.
const ICC_SRE: u64 = 0xf;
/// SPSR_EL2: EL1 with its own stack pointer, everything masked.
const SPSR: u64 = 0x3c5;
/// SCTLR_EL1: MMU, data and instruction caches on, stack alignment checked; the other bits are ones by definition.
const SCTLR: u64 = 0x30d0_0800 | 1 | 1 << 2 | 1 << 3 | 1 << 12;
/// The same with the MMU and the caches off.
const SCTLR_OFF: u64 = 0x30d0_0800;
/// TCR_EL1: 48-bit addresses from TTBR0 in pages of 4 KiB, walks cached and shared; nothing from TTBR1.
const TCR: u64 = 16 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23;
/// CPACR_EL1: SIMD is not trapped.
const CPACR: u64 = 3 << 20;
/// A leaf of 1 GiB or 2 MiB: valid, attribute 1 (normal memory), inner shareable, accessed.
const LEAF: u64 = 1 | 1 << 2 | 3 << 8 | 1 << 10;
/// The most physical address bits that a table entry of this format holds: value 5 of PARange is 48 bits.
const MOST_ADDRESS_BITS: u64 = 5;

global_asm!(
    r#"
    .section .text.boot, "ax"
    .global _start
_start:
    mov x20, x0
    mrs x0, CurrentEL
    cmp x0, #8
    b.ne 1f
    // EL2: let EL1 have everything, and go there.
    mov x0, #{hcr}
    msr hcr_el2, x0
    mov x0, #{cnthctl}
    msr cnthctl_el2, x0
    msr cntvoff_el2, xzr
    mov x0, #{cptr}
    msr cptr_el2, x0
    msr hstr_el2, xzr
    msr vttbr_el2, xzr
    mrs x0, midr_el1
    msr vpidr_el2, x0
    mrs x0, mpidr_el1
    msr vmpidr_el2, x0
    mrs x0, id_aa64pfr0_el1
    ubfx x0, x0, #24, #4                // system registers of the interrupt controller
    cbz x0, 2f
    mov x0, #{icc_sre}
    msr S3_4_C12_C9_5, x0               // ICC_SRE_EL2
    isb
2:  ldr x0, ={sctlr_off}
    msr sctlr_el1, x0
    mov x0, #{spsr}
    msr spsr_el2, x0
    adr x0, 1f
    msr elr_el2, x0
    eret
1:  msr daifset, #15
    ldr x0, ={cpacr}
    msr cpacr_el1, x0
    isb

    // .bss, first byte by byte up to a multiple of 64. What is behind its end belongs to the same page.
    adrp x0, __bss_start
    add x0, x0, :lo12:__bss_start
    adrp x1, _end
    add x1, x1, :lo12:_end
    mov x2, x0
3:  tst x0, #63
    b.eq 4f
    strb wzr, [x0], #1
    b 3b
4:  cmp x0, x1
    b.hs 5f
    stp xzr, xzr, [x0]
    stp xzr, xzr, [x0, #16]
    stp xzr, xzr, [x0, #32]
    stp xzr, xzr, [x0, #48]
    add x0, x0, #64
    b 4b
5:
    adrp x21, __ehdr_start              // where the image is
    ldr x22, =__ehdr_start              // where it is linked
    adrp x3, mwasm_boot_root
    adrp x4, mwasm_boot_identity
    adrp x5, mwasm_boot_image
    adrp x6, mwasm_boot_image_leaves
    orr x7, x4, #3
    str x7, [x3]
    orr x7, x5, #3
    ubfx x8, x22, #39, #9
    str x7, [x3, x8, lsl #3]
    orr x7, x6, #3
    ubfx x8, x22, #30, #9
    str x7, [x5, x8, lsl #3]
    ldr x9, ={leaf}
    lsr x8, x21, #30
    orr x7, x9, x8, lsl #30
    str x7, [x4, x8, lsl #3]
    lsr x8, x20, #30
    orr x7, x9, x8, lsl #30
    str x7, [x4, x8, lsl #3]
    ubfx x8, x22, #21, #9
    orr x7, x9, x21
    sub x10, x1, x21                    // bytes of the image
6:  str x7, [x6, x8, lsl #3]
    add x7, x7, #0x200000
    add x8, x8, #1
    subs x10, x10, #0x200000
    b.hi 6b

    // All of that went past the caches; whatever old lines they hold must not come back.
    dsb sy
    mrs x3, ctr_el0
    ubfx x3, x3, #16, #4
    mov x4, #4
    lsl x3, x4, x3                      // bytes of a line
    sub x4, x3, #1
    bic x2, x2, x4
7:  dc civac, x2
    add x2, x2, x3
    cmp x2, x1
    b.lo 7b
    dsb sy

    ldr x0, ={mair}
    msr mair_el1, x0
    ldr x0, ={tcr}
    mrs x1, id_aa64mmfr0_el1
    and x1, x1, #15                     // physical address bits
    cmp x1, #{most_address_bits}
    mov x2, #{most_address_bits}
    csel x1, x1, x2, ls
    orr x0, x0, x1, lsl #32
    msr tcr_el1, x0
    adrp x0, mwasm_boot_root
    msr ttbr0_el1, x0
    msr ttbr1_el1, xzr
    isb
    tlbi vmalle1
    ic iallu
    dsb sy
    isb
    ldr x0, ={sctlr}
    msr sctlr_el1, x0
    isb
    ldr x0, =mwasm_boot_upstairs
    br x0

mwasm_boot_upstairs:
    adrp x0, mwasm_vectors
    add x0, x0, :lo12:mwasm_vectors
    msr vbar_el1, x0
    // SP_EL1 is for handlers, SP_EL0 for everything else.
    adrp x0, {handlers}
    add x0, x0, :lo12:{handlers}
    mov x1, #{handlers_top}
    add sp, x0, x1
    msr spsel, #0
    adrp x0, mwasm_boot_stack_top
    add x0, x0, :lo12:mwasm_boot_stack_top
    mov sp, x0
    isb
    mov x29, xzr
    mov x30, xzr
    mov x0, x20
    mov x1, x21
    bl {start}
    b .
    .ltorg

    .section .bss.boot, "aw", @nobits
    .balign 4096
mwasm_boot_root: .skip 4096
mwasm_boot_identity: .skip 4096
mwasm_boot_image: .skip 4096
mwasm_boot_image_leaves: .skip 4096
    .skip {stack}
mwasm_boot_stack_top:
    .text
"#,
    hcr = const HCR,
    cnthctl = const CNTHCTL,
    cptr = const CPTR,
    icc_sre = const ICC_SRE,
    spsr = const SPSR,
    sctlr = const SCTLR,
    sctlr_off = const SCTLR_OFF,
    tcr = const TCR,
    cpacr = const CPACR,
    leaf = const LEAF,
    mair = const MAIR,
    most_address_bits = const MOST_ADDRESS_BITS,
    handlers = sym HANDLERS,
    handlers_top = const PAGE_BYTES + HANDLER_STACK_BYTES,
    start = sym super::start,
    stack = const BOOT_STACK_BYTES,
);

unsafe extern "C" {
    /// The start of the image: the linker defines it, and puts the ELF headers there.
    static __ehdr_start: u8;
}

/// Where the image is linked.
pub fn image_start() -> usize {
    (&raw const __ehdr_start) as usize
}
