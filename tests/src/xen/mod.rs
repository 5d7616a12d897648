//! A real Xen 4.17, emulated by QEMU: what boots under QEMU alone must boot there too.
//!
//! ```text
//!   [`pvh`]        QEMU q35 -> Xen -> dom0 (Linux, xl) -> a domain for each case, one after the other; one boot for all
//!   [`arm`]        the same on QEMU virt
//!   [`serving`]    either of them with a network: domains that serve, and take turns with the test
//!   [`linux`]      what is measured beside: Linux as a domain
//!   [`dom0less`]   QEMU virt -> Xen on ARM -> the one domain that its device tree describes; one boot for each case
//! ```
//!
//! The files that are booted come from `cargo xtask setup --only xen`. What was hard to find out is in tests/xen/README.md.

pub mod arm;
pub mod cpio;
pub mod dom0less;
pub mod linux;
pub mod pvh;
pub mod serving;

use crate::target;
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// A file of the set-up.
fn file(name: &str) -> Result<PathBuf> {
    let path = target().join("xen").join(name);
    ensure!(path.exists(), "wanted {}, which `cargo xtask setup --only xen` makes", path.display());
    Ok(path)
}
