//! The Internet checksum (RFC 1071), in words of eight bytes.
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
        // Sums of words of any size are the same once they are folded, as long as no carry is lost (RFC 1071, section 2).
        // Two sums that do not wait for each other, unrolled by hand: images are compiled for size, and compilers do not unroll then.
        let word = |bytes: &[u8; 8]| u128::from(u64::from_ne_bytes(*bytes));
        let (blocks, rest) = bytes.as_chunks::<32>();
        let (mut even, mut odd) = (0_u128, 0_u128);
        for block in blocks {
            if let ([a, b, c, d], _) = block.as_chunks::<8>() {
                even += word(a);
                odd += word(b);
                even += word(c);
                odd += word(d);
            }
        }
        let (words, rest) = rest.as_chunks::<8>();
        let sum = words.iter().fold(even + odd, |sum, bytes| sum + word(bytes));
        let mut tail = [0; 8];
        for (slot, byte) in tail.iter_mut().zip(rest) {
            *slot = *byte;
        }
        let sum = sum + u128::from(u64::from_ne_bytes(tail));
        let quarter = |shift: u32| (sum >> shift) as u64 & 0xffff_ffff;
        Self(self.0 + quarter(0) + quarter(32) + quarter(64) + quarter(96))
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
