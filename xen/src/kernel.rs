//! The kernel around a driver: what a frontend cannot do itself.
//!
//! A frontend needs pages that another domain may use, event channels to be told by, and xenstore. Who implements [`Kernel`] also
//! sees to it that an event of xenstore, or at one of the frontend's ports, ends [`park`](mwasm_ports::Idle::park) with
//! [`Ready::NETWORK`](mwasm_ports::Ready).

use crate::grants::GrantTable;
use crate::hypercall::Refused;
use crate::ring::Ring;
use crate::xenstore::Conversation;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use spin::Mutex;

/// Bytes of a page, whatever the size of the processor's.
pub const PAGE_BYTES: usize = 4096;

/// What drivers ask of the kernel. No method but [`Kernel::wait_for_store`] waits.
pub trait Kernel: Sync {
    /// `count` zeroed pages in a row, for ever.
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>>;
    /// The number of the frame that such a page is in. Grants have 32 bits for it: memory of up to 16 TiB.
    fn frame_of(&self, page: NonNull<u8>) -> Option<u32>;
    /// Puts a page of the grant table, counted from 0, in place of one that [`Kernel::allocate_pages`] gave.
    fn map_grants(&self, index: u32, page: NonNull<u8>) -> Result<(), Refused>;
    /// The domain's grant table.
    fn grants(&self) -> &Mutex<GrantTable>;
    /// A new event channel that domain `remote` may bind to.
    fn allocate_port(&self, remote: u16) -> Result<u32, Refused>;
    /// Closes an event channel.
    fn close_port(&self, port: u32);
    /// Tells the other end of an event channel.
    fn notify(&self, port: u32);
    /// As if an event had come: the next park ends at once.
    fn ring(&self);
    /// Lets `f` talk to xenstore, with the ring for requests, and tells xenstore of what was written. It is not called if the
    /// conversation is being used further up on the stack, or there is no xenstore.
    fn with_store(&self, f: &mut dyn FnMut(&mut Conversation, &Ring<'_>));
    /// Counts the events of xenstore: a driver that waits for something there looks again when this has changed.
    fn store_news(&self) -> &AtomicU32;
    /// Waits until xenstore says something, or a while has passed; `false` if it has been silent for so long that there is no hope. Only
    /// for the time before the app runs.
    fn wait_for_store(&self) -> bool;
}
