//! The host for aarch64 virtual machines: a small kernel that boots from a flat arm64 Image, on QEMU's virt machine and
//! as a guest of Xen on ARM.
//!
//! Nothing of a machine is known beforehand; the device tree says it all:
//!
//! ```text
//!   Image entry (bare::boot): EL2 -> EL1, boot tables, on to the link address
//!        |
//!        v
//!   device tree -> tree -> devices -> bare::{uart, gic, timer, power} -> a board -> host-metal -> the host core -> the app
//! ```
//!
//! The image runs wherever it was loaded (at a multiple of 2 MiB): it maps itself to the address that it is linked for,
//! which is above all physical memory. [`tree`] and [`devices`] know no machine and are tested on the build machine.
//! All that needs the bare machine is in `bare`.
#![cfg_attr(not(test), no_std)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod bare;
pub mod devices;
pub mod tree;
