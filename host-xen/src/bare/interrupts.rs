//! Exceptions and interrupts: the tables that the processor wants, and the way from a vector to what handles it.
//!
//! Every handler runs on a stack of its own that is always mapped, because the interrupted one may end at a page that
//! is not there yet. The kernel is compiled without SIMD instructions, so handlers leave the guest's SIMD registers
//! alone.

use super::{io, qemu, xen};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use mwasm_host_metal::bare::stacks::{HANDLER_STACK_BYTES, HandlerStack};
use mwasm_host_metal::bare::traps::{self, Dump, MAX_REGISTERS, Next};
use mwasm_host_metal::page::Access;

/// Vectors that have a handler: exceptions and a few interrupts.
const VECTORS: usize = 48;
/// Bytes from one vector's entry code to the next's.
const ENTRY_BYTES: usize = 16;
/// The first vector that is an interrupt.
const FIRST_INTERRUPT: u64 = 32;
/// The local APIC's timer.
pub const VECTOR_TIMER: u8 = 32;
/// The serial port.
pub const VECTOR_CONSOLE: u8 = 33;
/// ACPI: the power button.
pub const VECTOR_POWER: u8 = 34;
/// Xen's event channels.
pub const VECTOR_XEN: u8 = 35;
/// The network device's queues, or all of it on virtio-mmio.
pub const VECTOR_NETWORK: u8 = 36;
/// The network device's state, on PCI.
pub const VECTOR_NETWORK_STATE: u8 = 37;
/// What the local APIC sends when an interrupt went away; its low four bits must be ones.
pub const VECTOR_SPURIOUS: u8 = 47;

const NON_MASKABLE: u64 = 2;
const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;
const MACHINE_CHECK: u64 = 18;
/// Error code of a page fault: the access was a write.
const FAULT_WRITE: u64 = 1 << 1;
/// Error code of a page fault: the access was an instruction fetch.
const FAULT_FETCH: u64 = 1 << 4;

/// Selectors of the table in [`super::boot`].
const CODE_SELECTOR: u64 = 8;
const TASK_SELECTOR: u16 = 24;
/// A gate that is present and turns interrupts off.
const INTERRUPT_GATE: u64 = 0x8e;

static FAULTS: HandlerStack = HandlerStack::new();
static SEVERE: HandlerStack = HandlerStack::new();
static INTERRUPTS: HandlerStack = HandlerStack::new();

/// Memory that the processor reads, at addresses that do not change.
#[repr(C, align(16))]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: written once, at the start, by the only processor.
unsafe impl<T> Sync for Shared<T> {}

/// The task state segment; all that is left of it in 64-bit mode is stack pointers. 32-bit words, little-endian.
static TASK: Shared<[u32; 26]> = Shared(UnsafeCell::new([0; 26]));
/// Word of [`TASK`] where the interrupt stack table starts.
const TASK_STACKS: usize = 9;
/// Word of [`TASK`] that says where its I/O permissions are: behind its end, so there are none.
const TASK_IO: usize = 25;

static GATES: Shared<[[u64; 2]; VECTORS]> = Shared(UnsafeCell::new([[0; 2]; VECTORS]));

unsafe extern "C" {
    static mut mwasm_gdt: [u64; 5];
    static mwasm_interrupt_entries: u8;
}

global_asm!(
    r#"
    .section .text.interrupts, "ax"
    .balign 16
    .global mwasm_interrupt_entries
mwasm_interrupt_entries:
    .set vector, 0
    .rept {vectors}
    .balign 16
    // Exceptions 8, 10 to 14, 17, 21, 29 and 30 come with an error code; the others get a zero in its place.
    .if ((0x60227d00 >> vector) & 1) == 0
    pushq $0
    .endif
    pushq $vector
    jmp mwasm_interrupt
    .set vector, vector + 1
    .endr

mwasm_interrupt:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    cld
    call {handle}
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq
    .text
"#,
    vectors = const VECTORS,
    handle = sym handle,
    options(att_syntax)
);

/// The interrupted state, as the entry code and the processor push it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// Installs the tables. The handlers' stacks work from here on, their guard pages later ([`set_guards`]).
pub fn install() {
    let entries = (&raw const mwasm_interrupt_entries) as u64;
    // SAFETY: nobody else uses the tables, and interrupts are off.
    unsafe {
        let task = &mut *TASK.0.get();
        for (i, stack) in [&FAULTS, &SEVERE, &INTERRUPTS].into_iter().enumerate() {
            let top = stack.top() as u64;
            task[TASK_STACKS + 2 * i] = top as u32;
            task[TASK_STACKS + 2 * i + 1] = (top >> 32) as u32;
        }
        task[TASK_IO] = (size_of_val(task) as u32) << 16;
        let at = TASK.0.get() as u64;
        let limit = (size_of_val(task) - 1) as u64;
        mwasm_gdt[3] = limit | (at & 0xff_ffff) << 16 | 0x89 << 40 | (at >> 24 & 0xff) << 56;
        mwasm_gdt[4] = at >> 32;
        let gates = &mut *GATES.0.get();
        for (vector, gate) in gates.iter_mut().enumerate() {
            let entry = entries + (vector * ENTRY_BYTES) as u64;
            let stack = match vector as u64 {
                DOUBLE_FAULT | NON_MASKABLE | MACHINE_CHECK => 2,
                FIRST_INTERRUPT.. => 3,
                _ => 1,
            };
            let low = entry & 0xffff
                | CODE_SELECTOR << 16
                | stack << 32
                | INTERRUPT_GATE << 40
                | (entry >> 16 & 0xffff) << 48;
            *gate = [low, entry >> 32];
        }
        let (limit, base) = ((size_of_val(gates) - 1) as u64, GATES.0.get() as u64);
        let pointer: [u64; 2] = [limit << 48, base];
        let pointer = (&raw const pointer).cast::<u8>().add(6);
        asm!("ltr {0:x}", "lidt [{1}]", in(reg) TASK_SELECTOR, in(reg) pointer, options(nostack, preserves_flags));
    }
}

/// Unmaps the pages below the handlers' stacks.
pub fn set_guards() {
    for stack in [&FAULTS, &SEVERE, &INTERRUPTS] {
        stack.set_guard();
    }
}

extern "C" fn handle(frame: &mut Frame) {
    match frame.vector {
        PAGE_FAULT => {
            let access = match frame.error {
                error if error & FAULT_FETCH != 0 => Access::Fetch,
                error if error & FAULT_WRITE != 0 => Access::Write,
                _ => Access::Read,
            };
            let address = io::fault_address();
            refuse_nested(frame);
            if traps::page_fault(address, access, &dump(frame)) == Next::Deliver {
                deliver(frame, Some(address));
            }
        }
        NON_MASKABLE | DOUBLE_FAULT | MACHINE_CHECK => traps::bug(&dump(frame)),
        vector if vector < FIRST_INTERRUPT => {
            refuse_nested(frame);
            traps::exception(&dump(frame));
            deliver(frame, None);
        }
        vector if vector == u64::from(VECTOR_XEN) => xen::interrupt(),
        vector => qemu::interrupt(vector as u8),
    }
}

/// An exception in a handler of exceptions has overwritten the frame of the first one: there is no way back.
fn refuse_nested(frame: &Frame) {
    let top = FAULTS.top() as u64;
    if (top - HANDLER_STACK_BYTES as u64..=top).contains(&frame.rsp) {
        traps::bug(&dump(frame));
    }
}

/// Makes the exception return to [`traps::deliver`], as if that had been called on its own stack.
fn deliver(frame: &mut Frame, address: Option<usize>) {
    frame.rdi = frame.rip;
    frame.rsi = frame.rbp;
    frame.rdx = u64::from(address.is_some());
    frame.rcx = address.unwrap_or(0) as u64;
    frame.rip = traps::deliver as *const () as u64;
    frame.rsp = traps::stack_top() as u64 - 8;
    frame.rbp = 0;
}

fn dump(frame: &Frame) -> Dump {
    const NAMES: &[&str] = &[
        "vector", "error", "rip", "cr2", "rflags", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
        "r10", "r11", "r12", "r13", "r14", "r15", "cs",
    ];
    let f = frame;
    let found = [
        f.vector,
        f.error,
        f.rip,
        io::fault_address() as u64,
        f.rflags,
        f.rsp,
        f.rbp,
        f.rax,
        f.rbx,
        f.rcx,
        f.rdx,
        f.rsi,
        f.rdi,
        f.r8,
        f.r9,
        f.r10,
        f.r11,
        f.r12,
        f.r13,
        f.r14,
        f.r15,
        f.cs,
    ];
    let mut values = [0; MAX_REGISTERS];
    for (value, found) in values.iter_mut().zip(found) {
        *value = found;
    }
    Dump { what: what(frame.vector), stack: frame.rsp as usize, names: NAMES, values }
}

fn what(vector: u64) -> &'static str {
    match vector {
        0 => "#DE divide error",
        2 => "non-maskable interrupt",
        6 => "#UD invalid opcode",
        8 => "#DF double fault",
        12 => "#SS stack fault",
        13 => "#GP general protection",
        14 => "#PF page fault",
        17 => "#AC alignment check",
        18 => "#MC machine check",
        19 => "#XM SIMD exception",
        _ => "an exception that should not occur",
    }
}
