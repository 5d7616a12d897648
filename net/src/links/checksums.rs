//! Checksums that a device has left out.
//!
//! A frame that comes from this machine, or from a neighbour on it, may never have had a checksum: devices say of it that it is good, and
//! mean that nobody needs to look. An app that has the frame itself does look, or sends it on.

use crate::checksum::Sum;
use crate::packet::{IPV6_HEADER_BYTES, PROTOCOL_TCP, PROTOCOL_UDP};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;
use mwasm_ports::net_device::ETHERNET_HEADER_BYTES;

/// The bits of an IPv4 header's fragment word that are not zero in a fragment.
const FRAGMENT: u16 = 0x3fff;
/// Where the checksum is in a TCP header, and in a UDP header.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// TCP or UDP in a frame: addresses, protocol, and where its header and payload are.
struct Found {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    bytes: Range<usize>,
}

/// Writes the checksum of a whole TCP segment or UDP datagram; leaves all else as it is.
pub(super) fn finish(frame: &mut [u8]) {
    let Some(Found { source, destination, protocol, bytes }) = find(frame) else { return };
    let offset = match protocol {
        PROTOCOL_TCP => TCP_CHECKSUM,
        PROTOCOL_UDP => UDP_CHECKSUM,
        _ => return,
    };
    let Some(segment) = frame.get_mut(bytes) else { return };
    let Some(slot) = segment.get_mut(offset..offset + 2) else { return };
    slot.fill(0);
    let sum = Sum::default().add_pseudo_header(source, destination, protocol, segment.len()).add(segment);
    let checksum = match sum.complement() {
        // In UDP, 0 means that there is none (RFC 768).
        [0, 0] if protocol == PROTOCOL_UDP => [0xff; 2],
        checksum => checksum,
    };
    segment.iter_mut().skip(offset).zip(checksum).for_each(|(to, from)| *to = from);
}

fn find(frame: &[u8]) -> Option<Found> {
    let (ethernet, ip) = frame.split_at_checked(ETHERNET_HEADER_BYTES)?;
    let word = |at: usize| ip.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    let start = ETHERNET_HEADER_BYTES;
    match ethernet {
        [.., 0x08, 0x00] => {
            let header_bytes = usize::from(ip.first()? & 0xf) * 4;
            let is_fragment = word(6)? & FRAGMENT != 0;
            let address = |at: usize| ip.get(at..)?.first_chunk::<4>().map(|bytes| IpAddr::V4(Ipv4Addr::from(*bytes)));
            (!is_fragment).then_some(Found {
                source: address(12)?,
                destination: address(16)?,
                protocol: *ip.get(9)?,
                bytes: start + header_bytes..start + usize::from(word(2)?),
            })
        }
        [.., 0x86, 0xdd] => {
            let address = |at: usize| ip.get(at..)?.first_chunk::<16>().map(|bytes| IpAddr::V6(Ipv6Addr::from(*bytes)));
            let segment = start + IPV6_HEADER_BYTES;
            Some(Found {
                source: address(8)?,
                destination: address(24)?,
                protocol: *ip.get(6)?,
                bytes: segment..segment + usize::from(word(4)?),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::UDP_HEADER_BYTES;
    use alloc::vec::Vec;

    /// A UDP datagram of `payload` over IPv4, checksum left out, with padding behind it.
    fn datagram(payload: &[u8]) -> Vec<u8> {
        let bytes = (UDP_HEADER_BYTES + payload.len()) as u16;
        let mut frame = alloc::vec![2; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((20 + bytes).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, PROTOCOL_UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 53, 0, 54]);
        frame.extend(bytes.to_be_bytes());
        frame.extend([0xab, 0xcd]);
        frame.extend(payload);
        frame.extend([9; 7]);
        frame
    }

    fn is_intact(frame: &[u8]) -> bool {
        let found = find(frame).unwrap();
        let segment = frame.get(found.bytes).unwrap();
        let sum = Sum::default().add_pseudo_header(found.source, found.destination, found.protocol, segment.len());
        sum.add(segment).is_intact()
    }

    #[test]
    fn what_was_left_out_is_written() {
        for payload in [&b"odd"[..], b"even", b""] {
            let mut frame = datagram(payload);
            assert!(!is_intact(&frame));
            finish(&mut frame);
            assert!(is_intact(&frame), "{payload:?}");
        }
    }

    #[test]
    fn frames_that_lie_of_their_lengths_stay_as_they_are() {
        let whole = datagram(b"payload");
        for length in 0..whole.len() {
            finish(&mut whole[..length].to_vec());
        }
        for (at, wrong) in [(12, 0x86), (14, 0x4f), (16, 0xff), (17, 0), (20, 0x20), (21, 1)] {
            let mut frame = whole.clone();
            frame[at] = wrong;
            let before = frame.clone();
            finish(&mut frame);
            assert!(at == 14 || frame == before, "byte {at}");
        }
    }
}
