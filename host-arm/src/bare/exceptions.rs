//! Exceptions and interrupts: the vectors, and the way from there to what handles them.
//!
//! The kernel and the guest run with SP_EL0; an exception switches to SP_EL1, which is the top of a stack that is
//! always mapped. So a handler never needs a page that is not there yet, and an exception on SP_EL1 is one in a
//! handler: a bug. Handlers are compiled with SIMD instructions, so the guest's SIMD registers are saved.

use super::registers;
use core::arch::global_asm;
use mwasm_host_metal::bare::stacks::HandlerStack;
use mwasm_host_metal::bare::traps::{self, Dump, MAX_REGISTERS, Next};
use mwasm_host_metal::page::Access;

/// The handlers' stack.
pub static HANDLERS: HandlerStack = HandlerStack::new();

/// Numbers of the entries in the vector table (Arm ARM, D1.3.1): by source, four kinds each.
const SYNCHRONOUS: u64 = 0;
const INTERRUPT: u64 = 1;

/// Exception classes, ESR_EL1 bits 26 and up.
const CLASS_SHIFT: u64 = 26;
const CLASS_FETCH_SAME: u64 = 0x21;
const CLASS_DATA_SAME: u64 = 0x25;
/// Data abort: the access was a write; but cache maintenance, which counts as one, is a read here.
const ABORT_WRITE: u64 = 1 << 6;
const ABORT_MAINTENANCE: u64 = 1 << 8;
/// Fault status, without the level: no translation, or no permission.
const STATUS: u64 = 0x3c;
const STATUS_TRANSLATION: u64 = 0x04;
const STATUS_PERMISSION: u64 = 0x0c;

/// The interrupted state, as the entry code saves it.
#[repr(C)]
struct Frame {
    /// X0 to X30.
    x: [u64; 31],
    elr: u64,
    spsr: u64,
    sp: u64,
    fpsr: u64,
    fpcr: u64,
    /// Q0 to Q31.
    q: [u128; 32],
}

const _: () = assert!(size_of::<Frame>() == 800 && core::mem::offset_of!(Frame, q) == 288);

global_asm!(
    r#"
    .section .text.vectors, "ax"
    .balign 2048
    .global mwasm_vectors
mwasm_vectors:
    .set vector, 0
    .rept 16
    .balign 128
    sub sp, sp, #800
    stp x0, x1, [sp]
    mov x0, #vector
    b mwasm_exception
    .set vector, vector + 1
    .endr
    .balign 128

mwasm_exception:
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    mrs x1, elr_el1
    stp x30, x1, [sp, #240]
    mrs x1, spsr_el1
    mrs x2, sp_el0
    stp x1, x2, [sp, #256]
    mrs x1, fpsr
    mrs x2, fpcr
    stp x1, x2, [sp, #272]
    add x1, sp, #288
    stp q0, q1, [x1]
    stp q2, q3, [x1, #32]
    stp q4, q5, [x1, #64]
    stp q6, q7, [x1, #96]
    stp q8, q9, [x1, #128]
    stp q10, q11, [x1, #160]
    stp q12, q13, [x1, #192]
    stp q14, q15, [x1, #224]
    stp q16, q17, [x1, #256]
    stp q18, q19, [x1, #288]
    stp q20, q21, [x1, #320]
    stp q22, q23, [x1, #352]
    stp q24, q25, [x1, #384]
    stp q26, q27, [x1, #416]
    stp q28, q29, [x1, #448]
    stp q30, q31, [x1, #480]
    mov x29, xzr
    mov x1, sp
    bl {handle}
    add x1, sp, #288
    ldp q0, q1, [x1]
    ldp q2, q3, [x1, #32]
    ldp q4, q5, [x1, #64]
    ldp q6, q7, [x1, #96]
    ldp q8, q9, [x1, #128]
    ldp q10, q11, [x1, #160]
    ldp q12, q13, [x1, #192]
    ldp q14, q15, [x1, #224]
    ldp q16, q17, [x1, #256]
    ldp q18, q19, [x1, #288]
    ldp q20, q21, [x1, #320]
    ldp q22, q23, [x1, #352]
    ldp q24, q25, [x1, #384]
    ldp q26, q27, [x1, #416]
    ldp q28, q29, [x1, #448]
    ldp q30, q31, [x1, #480]
    ldp x1, x2, [sp, #272]
    msr fpsr, x1
    msr fpcr, x2
    ldp x1, x2, [sp, #256]
    msr spsr_el1, x1
    msr sp_el0, x2
    ldp x30, x1, [sp, #240]
    msr elr_el1, x1
    ldp x28, x29, [sp, #224]
    ldp x26, x27, [sp, #208]
    ldp x24, x25, [sp, #192]
    ldp x22, x23, [sp, #176]
    ldp x20, x21, [sp, #160]
    ldp x18, x19, [sp, #144]
    ldp x16, x17, [sp, #128]
    ldp x14, x15, [sp, #112]
    ldp x12, x13, [sp, #96]
    ldp x10, x11, [sp, #80]
    ldp x8, x9, [sp, #64]
    ldp x6, x7, [sp, #48]
    ldp x4, x5, [sp, #32]
    ldp x2, x3, [sp, #16]
    ldp x0, x1, [sp]
    add sp, sp, #800
    eret
    .text
"#,
    handle = sym handle,
);

/// Unmaps the page below the handlers' stack.
pub fn set_guard() {
    HANDLERS.set_guard();
}

extern "C" fn handle(vector: u64, frame: &mut Frame) {
    match vector {
        SYNCHRONOUS => synchronous(frame),
        INTERRUPT => super::interrupt(),
        _ => traps::bug(&dump(vector, frame)),
    }
}

fn synchronous(frame: &mut Frame) {
    let syndrome = registers::exception_syndrome();
    let address = registers::fault_address();
    let dump = dump(SYNCHRONOUS, frame);
    let access = match syndrome >> CLASS_SHIFT {
        CLASS_FETCH_SAME => Some(Access::Fetch),
        CLASS_DATA_SAME if syndrome & (ABORT_WRITE | ABORT_MAINTENANCE) == ABORT_WRITE => Some(Access::Write),
        CLASS_DATA_SAME => Some(Access::Read),
        _ => None,
    };
    let next = match (access, syndrome & STATUS) {
        (Some(access), STATUS_TRANSLATION | STATUS_PERMISSION) => traps::page_fault(address, access, &dump),
        _ => traps::exception(&dump),
    };
    if next == Next::Deliver {
        deliver(frame, access.map(|_| address));
    }
}

/// Makes the exception return to [`traps::deliver`], as if that had been called on its own stack.
fn deliver(frame: &mut Frame, address: Option<usize>) {
    let arguments = [frame.elr, frame.x[29], u64::from(address.is_some()), address.unwrap_or(0) as u64];
    for (register, argument) in frame.x.iter_mut().zip(arguments) {
        *register = argument;
    }
    frame.x[29] = 0;
    frame.x[30] = 0;
    frame.elr = traps::deliver as *const () as u64;
    frame.sp = traps::stack_top() as u64;
}

fn dump(vector: u64, frame: &Frame) -> Dump {
    const NAMES: &[&str] = &[
        "esr", "far", "elr", "spsr", "sp", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
        "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
        "x28", "x29", "x30",
    ];
    let first = [registers::exception_syndrome(), registers::fault_address() as u64, frame.elr, frame.spsr, frame.sp];
    let mut values = [0; MAX_REGISTERS];
    for (value, found) in values.iter_mut().zip(first.iter().chain(&frame.x)) {
        *value = *found;
    }
    let what = match vector {
        SYNCHRONOUS => "a synchronous exception",
        3 => "a system error",
        4..=7 => "an exception in an exception handler",
        _ => "an exception that should not occur",
    };
    Dump { what, stack: frame.sp as usize, names: NAMES, values }
}
