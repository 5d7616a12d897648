//! The app's code, made executable where the linker put it.

use wasmtime::{CustomCodeMemory, Error, Result};

/// Pages of all targets.
pub(super) const PAGE_BYTES: usize = 4096;
/// Protections of Wasmtime's platform interface (`wasmtime_mprotect`).
pub(super) const PROT_READ: u32 = 1;
/// See [`PROT_READ`].
pub(super) const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;

unsafe extern "C" {
    pub(super) fn wasmtime_mmap_new(size: usize, protection: u32, address: &mut *mut u8) -> i32;
    pub(super) fn wasmtime_mprotect(address: *mut u8, size: usize, protection: u32) -> i32;
    pub(super) fn wasmtime_munmap(address: *mut u8, size: usize) -> i32;
}

/// Switches pages between read-only data and read-only code. No page is ever writable and executable.
pub(super) struct InPlace;

impl InPlace {
    fn protect(address: *const u8, bytes: usize, protection: u32) -> Result<()> {
        // SAFETY: Wasmtime passes the page-aligned text of the app, which nothing writes to.
        match unsafe { wasmtime_mprotect(address.cast_mut(), bytes.next_multiple_of(PAGE_BYTES), protection) } {
            0 => Ok(()),
            _ => Err(Error::msg("the machine refuses to make the app's code executable")),
        }
    }
}

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        PAGE_BYTES
    }

    fn publish_executable(&self, address: *const u8, bytes: usize) -> Result<()> {
        Self::protect(address, bytes, PROT_READ | PROT_EXEC)
    }

    fn unpublish_executable(&self, address: *const u8, bytes: usize) -> Result<()> {
        Self::protect(address, bytes, PROT_READ)
    }
}
