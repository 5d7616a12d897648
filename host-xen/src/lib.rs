//! The host for x86_64 virtual machines: a small kernel that boots from a PVH entry, on Xen and on QEMU's machines.
//!
//! One image serves all of them, and finds out where it runs from CPUID's hypervisor leaf:
//!
//! ```text
//!   PVH entry (bare::boot) -> processor checked, memory mapped, exceptions handled
//!        |
//!        +- Xen: hypercalls, event channels, console ring, xenstore            (bare::xen)
//!        +- QEMU microvm, q35, pc: serial port, local and I/O APIC, ACPI        (bare::qemu)
//!        |
//!        v
//!   a board -> host-metal -> the host core -> the app
//! ```
//!
//! What is read from outside is parsed in modules of their own, which know no machine and are tested on the build
//! machine: [`start_info`], [`acpi`], [`cmos`], [`pvclock`], [`features`]; Xen's protocols are in a crate of their own
//! (mwasm-xen), which the ARM host uses, too. All that needs the bare machine is in `bare`.
#![cfg_attr(not(test), no_std)]

#[cfg(target_os = "none")]
extern crate alloc;

pub mod acpi;
#[cfg(target_os = "none")]
mod bare;
mod bytes;
pub mod cmos;
pub mod features;
pub mod pvclock;
pub mod start_info;
