//! Frames that this side sends.
//!
//! ```text
//!   free --fill--> written --show--> the backend reads it --response--> free
//! ```
//!
//! A buffer has the pages that the longest frame needs, in a row. Each page of a frame takes a slot of the ring, and each slot gets a
//! response. Responses come in any order; their ids say which page comes back, and are believed only if that page is out.

use super::buffer::{Buffer, RingPage};
use super::protocol::{
    TRANSMIT_CHECKSUM_BLANK, TRANSMIT_MORE, TRANSMIT_VALIDATED, TransmitRing, transmit_request, transmit_response_id,
};
use crate::grants::Access;
use crate::hypercall::Refused;
use crate::kernel::{Kernel, PAGE_BYTES};
use alloc::vec::Vec;
use mwasm_ports::net_device::{NetDeviceError, TransmitChecksum};

/// Frames that can be on their way at the same time.
pub const FRAMES: u16 = 64;

/// The sending half.
#[derive(Debug)]
pub struct Transmitter {
    page: RingPage,
    ring: TransmitRing,
    buffers: Vec<Buffer>,
    /// Buffers that hold no frame, by index.
    free: Vec<u16>,
    pages_each: usize,
    max_bytes: usize,
    remote: u16,
}

impl Transmitter {
    /// For frames of up to `max_bytes` bytes; not connected.
    pub fn new(kernel: &dyn Kernel, max_bytes: usize) -> Result<Self, Refused> {
        let pages_each = max_bytes.div_ceil(PAGE_BYTES);
        let page = RingPage::new(kernel)?;
        let buffers = (0..FRAMES).map(|_| Buffer::new(kernel, pages_each)).collect::<Result<_, _>>()?;
        let ring = TransmitRing::new(page.words);
        Ok(Self { page, ring, buffers, free: Vec::new(), pages_each, max_bytes, remote: 0 })
    }

    /// Starts anew, with the backend in domain `remote`; returns the ring's reference.
    pub fn connect(&mut self, remote: u16) -> u32 {
        self.ring = TransmitRing::new(self.page.words);
        self.free = (0..FRAMES).collect();
        self.remote = remote;
        self.page.share(remote)
    }

    /// Takes everything back; `false` if the backend still uses something.
    pub fn disconnect(&mut self) -> bool {
        let buffers = self.buffers.iter_mut().filter_map(|buffer| (!buffer.take_all_back()).then_some(())).count() == 0;
        self.page.unshare() && buffers
    }

    /// Whether a frame could be written now.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty() && self.ring.room() >= self.pages_each as u32
    }

    /// Takes back what the backend has sent. An error says how it broke the protocol.
    pub fn reap(&mut self) -> Result<(), &'static str> {
        let waiting = self.ring.waiting().map_err(|_| "more responses to sent frames than frames")?;
        for _ in 0..waiting {
            let id = usize::from(transmit_response_id(self.ring.read(0)));
            let (index, page) = (id / self.pages_each, id % self.pages_each);
            let buffer = self.buffers.get_mut(index).ok_or("a response to a frame that never was")?;
            if !buffer.take_back(page) {
                return Err("a response to a frame that is not on its way, or whose memory the backend still uses");
            }
            if buffer.is_whole() {
                self.free.push(index as u16);
            }
            self.ring.consume(1);
        }
        Ok(())
    }

    /// Lets `fill` write a frame of `bytes` bytes.
    pub fn write(
        &mut self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        if bytes > self.max_bytes || bytes == 0 {
            return Err(NetDeviceError::TooLong);
        }
        let index = if self.has_room() { self.free.pop() } else { None }.ok_or(NetDeviceError::Full)?;
        let buffer = self.buffers.get_mut(usize::from(index)).ok_or(NetDeviceError::Full)?;
        let checksum = buffer.bytes().get_mut(..bytes).and_then(fill);
        let flags = if checksum.is_some() { TRANSMIT_CHECKSUM_BLANK | TRANSMIT_VALIDATED } else { 0 };
        let pages = bytes.div_ceil(PAGE_BYTES);
        for page in 0..pages {
            let reference = buffer.lend(page, self.remote, Access::ReadOnly).ok_or(NetDeviceError::Full)?;
            let more = if page + 1 < pages { TRANSMIT_MORE } else { 0 };
            let (flags, length) = match page {
                0 => (flags | more, bytes),
                _ => (more, (bytes - page * PAGE_BYTES).min(PAGE_BYTES)),
            };
            let id = usize::from(index) * self.pages_each + page;
            self.ring.write(transmit_request(reference, 0, flags, id as u16, length as u16));
        }
        Ok(())
    }

    /// Shows the backend what was written; whether it wants to be told.
    pub fn show(&mut self) -> bool {
        self.ring.show()
    }

    /// Where there is no room: asks to be told when half of what is on its way has been sent; whether that is so already.
    pub fn ask_for_room(&self) -> bool {
        if self.has_room() {
            return false;
        }
        let half = (self.ring.outstanding() / 2).max(1);
        self.ring.ask(half);
        self.ring.waiting().is_ok_and(|waiting| waiting >= half)
    }
}
