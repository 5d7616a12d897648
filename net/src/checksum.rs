//! The Internet checksum (RFC 1071), eight bytes at a time.
//!
//! The adapter computes checksums itself instead of leaving them to smoltcp, because whether one is needed depends on the frame: the
//! device may have checked it, the device may compute it, or the packet never leaves the machine.

use core::net::IpAddr;

/// The ones' complement sum of 16-bit words, in the machine's byte order, not yet folded.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds `bytes`, of which only the last piece added may be odd in length.
    #[must_use]
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        // Two accumulators of 64 bits take 32-bit words; neither can overflow below 16 GB.
        let (mut even, mut odd) = (0_u64, 0_u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_ne_bytes(*word);
            even += word & 0xffff_ffff;
            odd += word >> 32;
        }
        let mut tail = [0; 8];
        for (slot, byte) in tail.iter_mut().zip(rest) {
            *slot = *byte;
        }
        let tail = u64::from_ne_bytes(tail);
        Self(self.0 + even + odd + (tail & 0xffff_ffff) + (tail >> 32))
    }

    /// Adds the pseudo header of TCP and UDP (RFC 9293, section 3.1; RFC 8200, section 8.1).
    #[must_use]
    pub(crate) fn add_pseudo_header(self, source: IpAddr, destination: IpAddr, protocol: u8, bytes: usize) -> Self {
        let with = |sum: Self, address: IpAddr| match address {
            IpAddr::V4(address) => sum.add(&address.octets()),
            IpAddr::V6(address) => sum.add(&address.octets()),
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
        with(with(self, source), destination).add(&bytes).add(&[0, protocol])
    }

    /// The sum, folded to 16 bits, as it is written to a packet.
    pub(crate) fn fold(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        (sum as u16).to_ne_bytes()
    }

    /// The checksum: the complement of the folded sum.
    pub(crate) fn complement(self) -> [u8; 2] {
        self.fold().map(|byte| !byte)
    }

    /// Whether what was summed, its checksum included, is intact.
    pub(crate) fn is_intact(self) -> bool {
        self.fold() == [0xff, 0xff]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    /// The example of RFC 1071, section 3.
    #[test]
    fn the_example_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().add(&bytes).fold(), [0xdd, 0xf2]);
        assert_eq!(Sum::default().add(&bytes[..2]).add(&bytes[2..]).fold(), [0xdd, 0xf2]);
    }

    #[test]
    fn a_packet_with_its_checksum_is_intact_and_others_are_not() {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        for length in 2..60 {
            let mut bytes: alloc::vec::Vec<u8> = (0..length).map(|byte| byte as u8 * 7).collect();
            bytes[..2].fill(0);
            let pseudo = Sum::default().add_pseudo_header(address, address, 6, length);
            let checksum = pseudo.add(&bytes).complement();
            bytes[..2].copy_from_slice(&checksum);
            assert!(pseudo.add(&bytes).is_intact());
            bytes[length - 1] ^= 0x10;
            assert!(!pseudo.add(&bytes).is_intact());
        }
    }
}
