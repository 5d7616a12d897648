//! What is in the slots of a network device's two rings (`xen/include/public/io/netif.h`), as 32-bit words.
//!
//! ```text
//!   transmit request    grant | offset, flags | id, bytes      transmit response   id, status
//!   receive request     id | grant                             receive response    id, offset | flags, status
//! ```
//!
//! A frame that is longer than a page takes several slots in a row. Any frame may be followed by slots with extra information, of which
//! this side announces to understand none.

use crate::shared_ring::FrontRing;

/// The ring of frames that this side sends.
pub type TransmitRing = FrontRing<3, 1>;
/// The ring of pages that this side wants frames in.
pub type ReceiveRing = FrontRing<2, 2>;

/// The checksum is to be completed; its field holds the sum of the pseudo header.
pub const TRANSMIT_CHECKSUM_BLANK: u16 = 1 << 0;
/// Nobody has to check the checksum.
pub const TRANSMIT_VALIDATED: u16 = 1 << 1;
/// The frame goes on in the next slot.
pub const TRANSMIT_MORE: u16 = 1 << 2;

/// The checksum is right.
pub const RECEIVE_VALIDATED: u16 = 1 << 0;
/// The checksum was never made: the frame comes from this machine.
pub const RECEIVE_CHECKSUM_BLANK: u16 = 1 << 1;
/// The frame goes on in the next slot.
pub const RECEIVE_MORE: u16 = 1 << 2;
/// A slot with extra information comes next.
pub const RECEIVE_EXTRA: u16 = 1 << 3;
/// The slot is extra information itself, of a kind that is not used any more.
pub const RECEIVE_GSO_PREFIX: u16 = 1 << 4;

/// The most slots of one frame that everybody takes.
pub const MAX_FRAME_SLOTS: u32 = 18;
/// Kinds of extra information are 1 to this.
pub const MAX_EXTRA_KIND: u8 = 4;
/// Extra information: the frame stands for several, which are to be cut from it.
pub const EXTRA_GSO: u8 = 1;
/// One more slot of extra information follows.
const EXTRA_MORE: u8 = 1;

/// A slot of the transmit ring: `bytes` are the whole frame's in its first slot, the slot's own in the others.
pub fn transmit_request(grant: u32, offset: u16, flags: u16, id: u16, bytes: u16) -> [u32; 3] {
    [grant, pair(offset, flags), pair(id, bytes)]
}

/// The request that a response is to.
pub fn transmit_response_id([word]: [u32; 1]) -> u16 {
    word as u16
}

/// A slot of the receive ring.
pub fn receive_request(id: u16, grant: u32) -> [u32; 2] {
    [u32::from(id), grant]
}

/// What came into a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveResponse {
    /// The request's id.
    pub id: u16,
    /// Where in the page it begins.
    pub offset: u16,
    /// `RECEIVE_...`.
    pub flags: u16,
    /// Bytes; negative if the page is to be dropped.
    pub status: i16,
}

impl ReceiveResponse {
    /// From a slot's words.
    pub fn parse([first, second]: [u32; 2]) -> Self {
        Self { id: first as u16, offset: (first >> 16) as u16, flags: second as u16, status: (second >> 16) as i16 }
    }

    /// Whether all `flags` are set.
    pub fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }
}

/// Extra information: its kind, and whether more follows.
pub fn extra([first, _]: [u32; 2]) -> (u8, bool) {
    (first as u8, (first >> 8) as u8 & EXTRA_MORE != 0)
}

fn pair(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_laid_out_as_the_header_file_says() {
        let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(
            bytes(&transmit_request(0x01020304, 0x0506, 0x0708, 0x090a, 0x0b0c)),
            [4, 3, 2, 1, 6, 5, 8, 7, 10, 9, 12, 11]
        );
        assert_eq!(bytes(&receive_request(0x0102, 0x03040506)), [2, 1, 0, 0, 6, 5, 4, 3]);
        assert_eq!(transmit_response_id([0xffff_0102]), 0x0102);
        let response = ReceiveResponse::parse([0x0304_0102, 0xfffe_0506]);
        assert_eq!(response, ReceiveResponse { id: 0x0102, offset: 0x0304, flags: 0x0506, status: -2 });
        assert_eq!(extra([0x0103, 0]), (3, true));
    }
}
