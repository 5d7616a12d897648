//! `memcpy` and `memset` for aarch64: a tenth of the instructions of a start are theirs.
//!
//! Those of Rust's compiler-builtins keep every access aligned, and move a value of 40 bytes with some sixty instructions. Here the MMU
//! is on before any Rust runs, and normal memory takes unaligned accesses (SCTLR_EL1.A is clear), so blocks of 16 bytes are moved
//! wherever they lie, the last one over the end of the one before. Theirs are weak symbols, which these replace.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .text.memcpy, "ax"
    .global memcpy
    .type memcpy, %function
    // x0 to, x1 from, x2 bytes; x3 next to, x4 end of from, x5 end of to
memcpy:
    add x4, x1, x2
    add x5, x0, x2
    cmp x2, #16
    b.lo 3f
    mov x3, x0
    subs x2, x2, #64
    b.lo 2f
1:  ldp x6, x7, [x1]
    ldp x8, x9, [x1, #16]
    ldp x10, x11, [x1, #32]
    ldp x12, x13, [x1, #48]
    add x1, x1, #64
    stp x6, x7, [x3]
    stp x8, x9, [x3, #16]
    stp x10, x11, [x3, #32]
    stp x12, x13, [x3, #48]
    add x3, x3, #64
    subs x2, x2, #64
    b.hs 1b
    // x2 + 64 bytes are left, less than 64.
2:  adds x2, x2, #48
    b.lt 4f
5:  ldp x6, x7, [x1], #16
    stp x6, x7, [x3], #16
    subs x2, x2, #16
    b.ge 5b
4:  ldp x6, x7, [x4, #-16]
    stp x6, x7, [x5, #-16]
    ret
3:  tbz x2, #3, 6f
    ldr x6, [x1]
    ldr x7, [x4, #-8]
    str x6, [x0]
    str x7, [x5, #-8]
    ret
6:  tbz x2, #2, 7f
    ldr w6, [x1]
    ldr w7, [x4, #-4]
    str w6, [x0]
    str w7, [x5, #-4]
    ret
7:  tbz x2, #1, 8f
    ldrh w6, [x1]
    ldrh w7, [x4, #-2]
    strh w6, [x0]
    strh w7, [x5, #-2]
    ret
8:  cbz x2, 9f
    ldrb w6, [x1]
    strb w6, [x0]
9:  ret
    .size memcpy, . - memcpy

    .section .text.memset, "ax"
    .global memset
    .type memset, %function
    // x0 to, w1 value, x2 bytes; x3 next to, x5 end
memset:
    and x1, x1, #255
    add x5, x0, x2
    mov x3, x0
    cmp x2, #16
    b.lo 4f
    mov x6, #0x0101010101010101
    mul x1, x1, x6
    cbnz x1, 2f
    cmp x2, #256
    b.lo 2f
    // Zeros by the cache line, where a line is 64 bytes (DCZID_EL0, Arm ARM D23.2.39).
    mrs x6, dczid_el0
    cmp x6, #4
    b.ne 2f
    stp xzr, xzr, [x3]
    stp xzr, xzr, [x3, #16]
    stp xzr, xzr, [x3, #32]
    stp xzr, xzr, [x3, #48]
    add x3, x3, #64
    and x3, x3, #-64
    sub x6, x5, #64
1:  dc zva, x3
    add x3, x3, #64
    cmp x3, x6
    b.ls 1b
2:  sub x6, x5, #16
    cmp x3, x6
    b.hi 3f
    stp x1, x1, [x3], #16
    b 2b
3:  stp x1, x1, [x5, #-16]
    ret
4:  cmp x3, x5
    b.eq 5f
    strb w1, [x3], #1
    b 4b
5:  ret
    .size memset, . - memset
"#
);
