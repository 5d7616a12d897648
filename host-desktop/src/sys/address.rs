//! Socket addresses as the kernel has them: `struct sockaddr_in` (`ip(7)`) and `struct sockaddr_in6` (`ipv6(7)`).
//!
//! ```text
//!   sockaddr_in   family (2)  port (2, big-endian)  address (4)  zero (8)                        16 bytes
//!   sockaddr_in6  family (2)  port (2, big-endian)  flow (4)     address (16)  scope (4)         28 bytes
//! ```

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// `AF_INET`.
pub const AF_INET: u16 = 2;
/// `AF_INET6`.
pub const AF_INET6: u16 = 10;

const IN_BYTES: u32 = 16;
const IN6_BYTES: u32 = 28;

/// A socket address of either family, and its length.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug)]
pub struct RawAddress {
    bytes: [u8; IN6_BYTES as usize],
    length: u32,
}

impl RawAddress {
    /// Room for an address that the kernel writes.
    pub const fn room() -> Self {
        Self { bytes: [0; IN6_BYTES as usize], length: IN6_BYTES }
    }

    /// `AF_UNSPEC`: no address, which takes a connection apart (`connect(2)`).
    pub const fn none() -> Self {
        Self { bytes: [0; IN6_BYTES as usize], length: IN_BYTES }
    }

    pub(super) fn as_ptr(&self) -> usize {
        self.bytes.as_ptr() as usize
    }

    pub(super) fn as_mut_ptr(&mut self) -> usize {
        self.bytes.as_mut_ptr() as usize
    }

    pub(super) fn length(&self) -> u32 {
        self.length
    }

    pub(super) fn length_mut(&mut self) -> &mut u32 {
        &mut self.length
    }

    /// The address; `None` if it is of another family.
    pub fn get(&self) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, a, b, c, d, rest @ ..] = self.bytes;
        let port = u16::from_be_bytes([p0, p1]);
        match u16::from_ne_bytes([f0, f1]) {
            AF_INET => Some(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port).into()),
            AF_INET6 => {
                let (ip, scope) = rest.split_first_chunk::<16>()?;
                let scope = u32::from_ne_bytes(*scope.first_chunk()?);
                Some(SocketAddrV6::new(Ipv6Addr::from(*ip), port, u32::from_be_bytes([a, b, c, d]), scope).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let mut raw = Self::none();
        let (family, length) = if address.is_ipv4() { (AF_INET, IN_BYTES) } else { (AF_INET6, IN6_BYTES) };
        raw.length = length;
        raw.bytes[..2].copy_from_slice(&family.to_ne_bytes());
        raw.bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(address) => raw.bytes[4..8].copy_from_slice(&address.ip().octets()),
            SocketAddr::V6(address) => {
                raw.bytes[4..8].copy_from_slice(&address.flowinfo().to_be_bytes());
                raw.bytes[8..24].copy_from_slice(&address.ip().octets());
                raw.bytes[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back() {
        for text in ["127.0.0.1:80", "0.0.0.0:0", "[::1]:65535", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from(address).get(), Some(address));
        }
        assert_eq!(RawAddress::none().get(), None);
    }
}
