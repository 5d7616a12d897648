//! From the PVH entry to Rust.
//!
//! The loader finds [`_start`] by an ELF note and enters it in 32-bit protected mode, without paging, with the physical
//! address of [`StartInfo`](crate::start_info::StartInfo) in EBX. The code below maps the first GiB at its own
//! addresses (in leaves of 2 MiB, writable and executable: the real tables come later, from Rust), switches to 64-bit
//! mode and calls [`super::start`].

use core::arch::global_asm;

/// Bytes of the stack that is used until memory is managed.
const BOOT_STACK_BYTES: usize = 32 << 10;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18                      // sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long _start

    .section .text.boot, "ax"
    .code32
    .global _start
_start:
    cld
    mov $mwasm_boot_stack_top, %esp
    mov %ebx, %esi
    // The tables are in .bss, which the loader has zeroed.
    mov $mwasm_boot_directory + 3, %eax
    mov %eax, mwasm_boot_pointers
    mov $mwasm_boot_pointers + 3, %eax
    mov %eax, mwasm_boot_root
    mov $mwasm_boot_directory, %edi
    mov $0x83, %eax                     // present, writable, 2 MiB
    mov $512, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    mov $mwasm_boot_root, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x620, %eax                     // PAE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $0xc0000080, %ecx               // EFER
    rdmsr
    or $0x100, %eax                     // long mode
    wrmsr
    mov %cr0, %eax
    and $0xfffffff3, %eax               // no x87 emulation, no lazy switching
    or $0x80000022, %eax                // paging, MP, native x87 errors
    mov %eax, %cr0
    lgdt mwasm_boot_gdtr
    ljmp $8, $1f
    .code64
1:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $mwasm_boot_stack_top, %esp
    xor %ebp, %ebp
    fninit
    push $0x1f80                        // all SIMD exceptions masked
    ldmxcsr (%rsp)
    add $8, %rsp
    mov %esi, %edi
    call {start}
    ud2

    .section .data.boot, "aw"
    .balign 16
    .global mwasm_gdt
mwasm_gdt:
    .quad 0
    .quad 0x00af9b000000ffff            // 64-bit code
    .quad 0x00cf93000000ffff            // data
    .quad 0, 0                          // the task state segment, written by Rust
mwasm_boot_gdtr:
    .word 39
    .long mwasm_gdt

    .section .bss.boot, "aw", @nobits
    .balign 4096
mwasm_boot_root: .skip 4096
mwasm_boot_pointers: .skip 4096
mwasm_boot_directory: .skip 4096
    .skip {stack}
mwasm_boot_stack_top:
    .text
"#,
    start = sym super::start,
    stack = const BOOT_STACK_BYTES,
    options(att_syntax)
);

unsafe extern "C" {
    /// The start of the image: the linker defines it, and loads the ELF headers there.
    static __ehdr_start: u8;
}

/// The first page of the image, which holds its program headers.
pub fn image_head() -> &'static [u8] {
    // SAFETY: the linker loads the headers at the start of the first page, and nobody writes to them.
    unsafe { core::slice::from_raw_parts(&raw const __ehdr_start, mwasm_host_metal::page::PAGE_BYTES) }
}
