//! Grants: which of this domain's pages another domain may use (`xen/include/public/grant_table.h`).
//!
//! The grant table is memory that this domain and Xen share: an array of entries, each with a domain, a frame, and what may be done with
//! it. The index of an entry, its *reference*, goes to the other domain by a ring or by xenstore; it passes the reference to Xen, which
//! looks here. So granting and ending a grant are memory accesses, without a hypercall.
//!
//! ```text
//!   bytes 0-1  flags: 0 nothing, 1 access; with it 4 read-only; 8 and 16 are set by Xen while the page is in use (read, written)
//!         2-3  the other domain
//!         4-7  the frame's number
//! ```
//!
//! A grant is ended by exchanging the flags for 0, which only succeeds while Xen says that nobody uses the page. After that the page is
//! this domain's alone: what is in it cannot change any more while it is looked at.

use crate::hypercall::{NO_MEMORY, Refused};
use crate::kernel::{Kernel, PAGE_BYTES};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// Bytes of an entry (version 1).
const ENTRY_BYTES: usize = 8;
/// Entries in a page of the table.
const ENTRIES: u32 = (PAGE_BYTES / ENTRY_BYTES) as u32;
/// The first entries belong to the toolstack: the console's and xenstore's pages.
const RESERVED: u32 = 8;
/// The most pages of the table: 2048 entries. Xen allows a domain 64 unless it is told otherwise.
const MAX_PAGES: u32 = 4;

const ACCESS: u16 = 1;
const READ_ONLY: u16 = 1 << 2;
const READING: u16 = 1 << 3;
const WRITING: u16 = 1 << 4;

/// What the other domain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

/// The other domain still uses the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse;

/// An entry, shared with Xen.
#[derive(Debug)]
#[repr(C)]
struct Entry {
    flags: AtomicU16,
    domain: AtomicU16,
    frame: AtomicU32,
}

/// An entry that belongs to a driver, whether it grants something now or not.
#[derive(Debug)]
pub struct Grant {
    reference: u32,
    entry: &'static Entry,
}

impl Grant {
    /// What the other domain calls it.
    pub fn reference(&self) -> u32 {
        self.reference
    }

    /// Lets `domain` use a frame.
    pub fn allow(&self, domain: u16, frame: u32, access: Access) {
        self.entry.domain.store(domain, Ordering::Relaxed);
        self.entry.frame.store(frame, Ordering::Relaxed);
        let flags = if access == Access::ReadOnly { ACCESS | READ_ONLY } else { ACCESS };
        self.entry.flags.store(flags, Ordering::Release);
    }

    /// Lets nobody use it any more; refused while somebody does.
    pub fn end(&self) -> Result<(), InUse> {
        let mut flags = self.entry.flags.load(Ordering::Relaxed);
        // Whoever starts to use the page between the look and the exchange makes it fail; then the next look sees that.
        while flags & (READING | WRITING) == 0 {
            match self.entry.flags.compare_exchange(flags, 0, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => flags = now,
            }
        }
        Err(InUse)
    }
}

/// The table, as far as it is in use.
#[derive(Debug, Default)]
pub struct GrantTable {
    /// The first entry of each page.
    pages: Vec<&'static Entry>,
    /// Entries from here on were never taken.
    next: u32,
}

impl GrantTable {
    /// A table of which nothing is mapped yet.
    pub const fn new() -> Self {
        Self { pages: Vec::new(), next: RESERVED }
    }

    /// A new entry, which grants nothing yet. It is the caller's for ever.
    pub fn allocate(&mut self, kernel: &dyn Kernel) -> Result<Grant, Refused> {
        let reference = self.next;
        if reference / ENTRIES >= self.pages.len() as u32 {
            self.grow(kernel)?;
        }
        let what = "an entry of the grant table";
        let first = self.pages.get((reference / ENTRIES) as usize).ok_or(Refused { what, error: NO_MEMORY })?;
        // SAFETY: the page has so many entries, and stays mapped.
        let entry = unsafe { &*core::ptr::from_ref::<Entry>(first).add((reference % ENTRIES) as usize) };
        self.next += 1;
        Ok(Grant { reference, entry })
    }

    fn grow(&mut self, kernel: &dyn Kernel) -> Result<(), Refused> {
        let what = "one more page of the grant table";
        let index = self.pages.len() as u32;
        let page = if index < MAX_PAGES { kernel.allocate_pages(1) } else { None };
        let page = page.ok_or(Refused { what, error: NO_MEMORY })?;
        kernel.map_grants(index, page)?;
        // SAFETY: a page that stays mapped, and is used as entries only, whose fields are atomics, since Xen writes to them.
        self.pages.push(unsafe { page.cast::<Entry>().as_ref() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    #[test]
    fn an_entry_is_what_xen_reads() {
        let kernel = FakeKernel::new();
        let grant = GrantTable::new().allocate(kernel).unwrap();
        assert_eq!(grant.reference(), RESERVED, "the first ones are the toolstack's");
        grant.allow(3, 0x1234, Access::ReadOnly);
        assert_eq!(kernel.grant_entry(RESERVED), (ACCESS | READ_ONLY, 3, 0x1234));
        assert_eq!(grant.end(), Ok(()));
        assert_eq!(kernel.grant_entry(RESERVED).0, 0);
    }

    #[test]
    fn what_is_in_use_is_not_ended() {
        let kernel = FakeKernel::new();
        let grant = GrantTable::new().allocate(kernel).unwrap();
        for used in [READING, WRITING, READING | WRITING] {
            grant.allow(0, 1, Access::ReadWrite);
            grant.entry.flags.fetch_or(used, Ordering::Relaxed);
            assert_eq!(grant.end(), Err(InUse));
            grant.entry.flags.fetch_and(!used, Ordering::Relaxed);
            assert_eq!(grant.end(), Ok(()));
        }
    }

    #[test]
    fn the_table_grows_up_to_a_limit_and_no_entry_is_handed_out_twice() {
        let kernel = FakeKernel::new();
        let mut table = GrantTable::new();
        for reference in RESERVED..MAX_PAGES * ENTRIES {
            let grant = table.allocate(kernel).unwrap();
            assert_eq!(grant.reference(), reference);
            grant.allow(1, reference, Access::ReadWrite);
        }
        assert_eq!(table.allocate(kernel).unwrap_err().error, NO_MEMORY);
        for reference in RESERVED..MAX_PAGES * ENTRIES {
            assert_eq!(kernel.grant_entry(reference), (ACCESS, 1, reference));
        }
    }
}
