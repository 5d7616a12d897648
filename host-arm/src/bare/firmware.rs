//! Calls to what is below: PSCI (DEN 0022), and semihosting, by which a debugger or QEMU learns the exit code.

use crate::devices::Conduit;
use core::arch::asm;

/// PSCI's SYSTEM_OFF.
const SYSTEM_OFF: u64 = 0x8400_0008;
/// Semihosting: exit, with a reason and a code.
const SYS_EXIT_EXTENDED: u64 = 0x20;
/// The reason: the application ended.
const REASON_APPLICATION_EXIT: u64 = 0x2_0026;

/// Switches the machine off. Returns if it cannot be.
pub fn system_off(conduit: Conduit) {
    // SAFETY: the call follows the SMC calling convention, which changes X0 to X17 at most; this one takes no memory.
    unsafe {
        match conduit {
            Conduit::Hypervisor => asm!("hvc #0", inout("x0") SYSTEM_OFF => _, clobber_abi("C")),
            Conduit::SecureMonitor => asm!("smc #0", inout("x0") SYSTEM_OFF => _, clobber_abi("C")),
        }
    }
}

/// Ends the program that runs the machine with this exit code. Only where the machine was started with semihosting:
/// elsewhere the instruction is an exception.
pub fn semihosting_exit(code: u8) {
    let block = [REASON_APPLICATION_EXIT, u64::from(code)];
    // SAFETY: the block lives; the call changes X0 only.
    unsafe { asm!("hlt #0xf000", inout("x0") SYS_EXIT_EXTENDED => _, in("x1") &raw const block) };
}
