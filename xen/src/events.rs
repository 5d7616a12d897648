//! Event channels: one bit each in the page that Xen and the domain share (`struct shared_info`), and a summary that says where to look.
//!
//! ```text
//!   offset    bytes  content
//!        0        1  an upcall is pending: there are news
//!        8        8  which words of the array have news
//!   x86 2048, ARM 48 (one processor's part of 64 or 48 bytes, of 32 processors or of one)
//!          64 * 8    one bit for each event channel
//! ```

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

/// Offset of the event channels' bits on x86, in bytes.
pub const X86_PENDING: usize = 32 * 64;
/// Offset of the event channels' bits on ARM, in bytes.
pub const ARM_PENDING: usize = 48;
/// Words of bits.
const WORDS: usize = 64;
/// Bits of a word.
const WORD_BITS: usize = u64::BITS as usize;
/// Offset of the summary, in bytes.
const SELECTOR: usize = 8;

/// The domain's pending events.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    upcall: &'static AtomicU8,
    selector: &'static AtomicU64,
    pending: &'static [AtomicU64; WORDS],
}

impl Events {
    /// Those of the first processor; `pending` is [`X86_PENDING`] or [`ARM_PENDING`].
    ///
    /// # Safety
    /// `page` is the shared page, and stays mapped.
    pub unsafe fn at(page: NonNull<u8>, pending: usize) -> Self {
        // SAFETY: the page is large enough and aligned; Xen writes to these fields, so they are only used as atomics.
        unsafe {
            Self {
                upcall: page.cast().as_ref(),
                selector: page.add(SELECTOR).cast().as_ref(),
                pending: page.add(pending).cast().as_ref(),
            }
        }
    }

    /// Takes all that are pending; calls `f` with the port of each.
    pub fn take(&self, mut f: impl FnMut(u32)) {
        // In this order: what comes meanwhile makes another upcall.
        self.upcall.store(0, SeqCst);
        each_bit(self.selector.swap(0, SeqCst), |word| {
            let bits = self.pending.get(word).map_or(0, |bits| bits.swap(0, SeqCst));
            each_bit(bits, |bit| f((word * WORD_BITS + bit) as u32));
        });
    }

    /// Forgets that an event is pending, before it is waited for by [`Hypercalls::poll`](crate::hypercall::Hypercalls::poll).
    pub fn forget(&self, port: u32) {
        if let Some(bits) = self.pending.get(port as usize / WORD_BITS) {
            bits.fetch_and(!(1 << (port as usize % WORD_BITS)), SeqCst);
        }
    }
}

fn each_bit(mut bits: u64, mut f: impl FnMut(usize)) {
    while bits != 0 {
        f(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_taken_once_from_where_xen_notes_it() {
        for offset in [X86_PENDING, ARM_PENDING] {
            let page: &'static mut [u64; 512] = Box::leak(Box::new([0; 512]));
            page[0] = 1;
            page[1] = 1 | 1 << 63;
            page[offset / 8] = 1 << 5;
            page[offset / 8 + 63] = 1 << 63 | 1;
            // SAFETY: the page is leaked.
            let events = unsafe { Events::at(NonNull::from(page).cast(), offset) };
            events.forget(63 * 64);
            let mut taken = Vec::new();
            events.take(|port| taken.push(port));
            events.take(|port| taken.push(port));
            assert_eq!(taken, [5, 4095]);
            assert_eq!(events.upcall.load(SeqCst), 0);
            events.forget(u32::MAX);
        }
    }
}
