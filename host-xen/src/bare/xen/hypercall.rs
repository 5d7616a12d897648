//! The hypercall instruction of x86_64: number in RAX, arguments in RDI, RSI and RDX, a negative error number or the
//! result back in RAX.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use mwasm_xen::hypercall::Hypercalls;

/// Xen.
pub struct Hypervisor;

/// Which of the two instructions the processor has; 0 is unknown yet.
static INSTRUCTION: AtomicU8 = AtomicU8::new(0);
const VMCALL: u8 = 1;
const VMMCALL: u8 = 2;

fn instruction() -> u8 {
    match INSTRUCTION.load(Relaxed) {
        0 => {
            // Intel's vendors' names end in "ntel" or so; all others with virtualisation follow AMD.
            let intel = __cpuid(0).ecx == u32::from_le_bytes(*b"ntel");
            let found = if intel { VMCALL } else { VMMCALL };
            INSTRUCTION.store(found, Relaxed);
            found
        }
        known => known,
    }
}

impl Hypercalls for Hypervisor {
    unsafe fn call(&self, number: u64, first: u64, second: u64, third: u64) -> i64 {
        let result;
        // SAFETY: the caller's promise. Xen changes no register but RAX, and the arguments' (in debug builds of Xen).
        unsafe {
            match instruction() {
                VMCALL => {
                    asm!("vmcall", inout("rax") number => result, inout("rdi") first => _, inout("rsi") second => _, inout("rdx") third => _)
                }
                _ => {
                    asm!("vmmcall", inout("rax") number => result, inout("rdi") first => _, inout("rsi") second => _, inout("rdx") third => _)
                }
            }
        }
        result
    }
}
