//! Memory that goes back and forth between this domain and the backend's.
//!
//! At each moment a page is one side's. While it is lent, this side does not look at it; when it came back, its grant has ended, and the
//! backend cannot change it any more. So nothing has to be copied out of the page before it may be believed, and no page is ever
//! granted or mapped by hypercall: entries of the grant table are written, that is all.

use crate::grants::{Access, Grant};
use crate::hypercall::{NO_MEMORY, Refused};
use crate::kernel::{Kernel, PAGE_BYTES};
use crate::shared_ring::PAGE_WORDS;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;

const WHAT: &str = "memory to share with the network's backend";

/// A page of a buffer.
#[derive(Debug)]
struct Page {
    frame: u32,
    grant: Grant,
    lent: bool,
}

/// Pages in a row, as one buffer for a frame.
#[derive(Debug)]
pub struct Buffer {
    memory: NonNull<u8>,
    pages: Vec<Page>,
}

// SAFETY: the memory is the buffer's alone, for ever, and reachable from everywhere.
unsafe impl Send for Buffer {}

impl Buffer {
    /// A new buffer of `pages` pages, all this side's.
    pub fn new(kernel: &dyn Kernel, pages: usize) -> Result<Self, Refused> {
        let memory = kernel.allocate_pages(pages).ok_or(Refused { what: WHAT, error: NO_MEMORY })?;
        let page = |i: usize| {
            // SAFETY: within what was allocated.
            let (frame, grant) = granted(kernel, unsafe { memory.add(i * PAGE_BYTES) })?;
            Ok(Page { frame, grant, lent: false })
        };
        Ok(Self { memory, pages: (0..pages).map(page).collect::<Result<_, Refused>>()? })
    }

    /// Lends a page to a domain; returns the reference by which that domain knows it.
    pub fn lend(&mut self, page: usize, domain: u16, access: Access) -> Option<u32> {
        let page = self.pages.get_mut(page)?;
        page.grant.allow(domain, page.frame, access);
        page.lent = true;
        Some(page.grant.reference())
    }

    /// Takes a page back; `false` if it is not lent, or the other domain still uses it.
    pub fn take_back(&mut self, page: usize) -> bool {
        match self.pages.get_mut(page) {
            Some(page) if page.lent && page.grant.end().is_ok() => {
                page.lent = false;
                true
            }
            _ => false,
        }
    }

    /// Takes all pages back; `false` if the other domain still uses one.
    pub fn take_all_back(&mut self) -> bool {
        // Each is asked, also after one that is still lent.
        (0..self.pages.len()).filter(|page| !self.take_back(*page) && self.is_lent(*page)).count() == 0
    }

    fn is_lent(&self, page: usize) -> bool {
        self.pages.get(page).is_some_and(|page| page.lent)
    }

    /// Whether no page is lent.
    pub fn is_whole(&self) -> bool {
        !self.pages.iter().any(|page| page.lent)
    }

    /// The memory; nothing while a page is lent.
    pub fn bytes(&mut self) -> &mut [u8] {
        let bytes = if self.is_whole() { self.pages.len() * PAGE_BYTES } else { 0 };
        // SAFETY: the memory is this buffer's, and no grant lets another domain use it.
        unsafe { core::slice::from_raw_parts_mut(self.memory.as_ptr(), bytes) }
    }
}

/// The page of a ring, which both sides use at the same time.
#[derive(Debug)]
pub struct RingPage {
    /// What is in it.
    pub words: &'static [AtomicU32; PAGE_WORDS],
    frame: u32,
    grant: Grant,
}

impl RingPage {
    /// A new page, which nobody else may use yet.
    pub fn new(kernel: &dyn Kernel) -> Result<Self, Refused> {
        let memory = kernel.allocate_pages(1).ok_or(Refused { what: WHAT, error: NO_MEMORY })?;
        let (frame, grant) = granted(kernel, memory)?;
        // SAFETY: a fresh page, which is used in this way only; the other side writes to it, so its words are atomics.
        Ok(Self { words: unsafe { memory.cast().as_ref() }, frame, grant })
    }

    /// Lets a domain use it; returns the reference by which that domain knows it.
    pub fn share(&self, domain: u16) -> u32 {
        self.grant.allow(domain, self.frame, Access::ReadWrite);
        self.grant.reference()
    }

    /// Ends that; `false` if the other domain still uses it.
    pub fn unshare(&self) -> bool {
        self.grant.end().is_ok()
    }
}

fn granted(kernel: &dyn Kernel, page: NonNull<u8>) -> Result<(u32, Grant), Refused> {
    let frame = kernel.frame_of(page).ok_or(Refused { what: WHAT, error: NO_MEMORY })?;
    Ok((frame, kernel.grants().lock().allocate(kernel)?))
}
