//! Xenstore's page (`xen/include/public/io/xs_wire.h`): two rings. What is said with them is in [`xenstore`](crate::xenstore).
//!
//! ```text
//!   offset  bytes  content
//!        0   1024  requests
//!     1024   1024  replies
//!     2048    4*4  requests consumed, requests produced, replies consumed, replies produced
//! ```

use crate::ring::Ring;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32};

const RING_BYTES: usize = 1024;

/// The page, as it lies in memory.
#[derive(Debug)]
#[repr(C)]
pub struct StorePage {
    requests: [AtomicU8; RING_BYTES],
    replies: [AtomicU8; RING_BYTES],
    requests_consumed: AtomicU32,
    requests_produced: AtomicU32,
    replies_consumed: AtomicU32,
    replies_produced: AtomicU32,
}

impl StorePage {
    /// The page at an address.
    ///
    /// # Safety
    /// It is xenstore's, and stays mapped.
    pub unsafe fn at(page: NonNull<u8>) -> &'static Self {
        // SAFETY: the caller's promise; all fields are atomics, since the other side writes to them.
        unsafe { page.cast().as_ref() }
    }

    /// The ring for requests.
    pub fn requests(&self) -> Ring<'_> {
        Ring::new(&self.requests, &self.requests_consumed, &self.requests_produced)
    }

    /// The ring for replies.
    pub fn replies(&self) -> Ring<'_> {
        Ring::new(&self.replies, &self.replies_consumed, &self.replies_produced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn the_page_is_laid_out_as_xenstore_has_it() {
        assert_eq!((offset_of!(StorePage, replies), offset_of!(StorePage, requests_consumed)), (1024, 2048));
        assert_eq!((offset_of!(StorePage, replies_produced), size_of::<StorePage>()), (2060, 2064));
    }
}
