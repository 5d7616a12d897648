//! Addresses as the guest has them. The types are the same at every version of `wasi:sockets`.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use mwasm_ports::network::NetError;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `ip-address-family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum Family {
    /// IP version 4.
    #[component(name = "ipv4")]
    Ipv4,
    /// IP version 6.
    #[component(name = "ipv6")]
    Ipv6,
}

type Four = (u8, u8, u8, u8);
type Eight = (u16, u16, u16, u16, u16, u16, u16, u16);

/// `ip-address`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
pub enum Address {
    /// IP version 4.
    #[component(name = "ipv4")]
    Ipv4(Four),
    /// IP version 6.
    #[component(name = "ipv6")]
    Ipv6(Eight),
}

/// `ipv4-socket-address`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Ipv4Socket {
    port: u16,
    address: Four,
}

/// `ipv6-socket-address`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Ipv6Socket {
    port: u16,
    #[component(name = "flow-info")]
    flow_info: u32,
    address: Eight,
    #[component(name = "scope-id")]
    scope_id: u32,
}

/// `ip-socket-address`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
pub enum SocketAddress {
    /// IP version 4.
    #[component(name = "ipv4")]
    Ipv4(Ipv4Socket),
    /// IP version 6.
    #[component(name = "ipv6")]
    Ipv6(Ipv6Socket),
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(four(address)),
            IpAddr::V6(address) => Self::Ipv6(eight(address)),
        }
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::Ipv4(Ipv4Socket { port: v4.port(), address: four(*v4.ip()) }),
            SocketAddr::V6(v6) => Self::Ipv6(Ipv6Socket {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: eight(*v6.ip()),
                scope_id: v6.scope_id(),
            }),
        }
    }
}

impl From<SocketAddress> for SocketAddr {
    fn from(address: SocketAddress) -> Self {
        match address {
            SocketAddress::Ipv4(Ipv4Socket { port, address: (a, b, c, d) }) => {
                SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port).into()
            }
            SocketAddress::Ipv6(Ipv6Socket { port, flow_info, address: (a, b, c, d, e, f, g, h), scope_id }) => {
                SocketAddrV6::new(Ipv6Addr::new(a, b, c, d, e, f, g, h), port, flow_info, scope_id).into()
            }
        }
    }
}

fn four(address: Ipv4Addr) -> Four {
    let [a, b, c, d] = address.octets();
    (a, b, c, d)
}

fn eight(address: Ipv6Addr) -> Eight {
    let [a, b, c, d, e, f, g, h] = address.segments();
    (a, b, c, d, e, f, g, h)
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    /// Any local address, any free port.
    pub fn any(self) -> SocketAddr {
        match self {
            Self::Ipv4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            Self::Ipv6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// Whether a socket of this family can have `address` at all. IPv4 addresses inside of IPv6 ones are not for it.
    fn takes(self, address: SocketAddr) -> Result<(), NetError> {
        let mapped = matches!(address.ip(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        if Self::of(address.ip()) == self && !mapped { Ok(()) } else { Err(NetError::InvalidArgument) }
    }

    /// Whether a socket can be bound to `address`.
    pub fn check_local(self, address: SocketAddr) -> Result<(), NetError> {
        self.takes(address)?;
        if is_group(address.ip()) { Err(NetError::InvalidArgument) } else { Ok(()) }
    }

    /// Whether `address` can be the other side of a socket for datagrams.
    pub fn check_peer(self, address: SocketAddr) -> Result<(), NetError> {
        self.takes(address)?;
        if address.ip().is_unspecified() || address.port() == 0 { Err(NetError::InvalidArgument) } else { Ok(()) }
    }

    /// Whether `address` can be the other side of a connection.
    pub fn check_remote(self, address: SocketAddr) -> Result<(), NetError> {
        self.check_peer(address)?;
        if is_group(address.ip()) { Err(NetError::InvalidArgument) } else { Ok(()) }
    }
}

/// Whether an address is one of many machines.
fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// The addresses as the guest has them; IPv4 addresses inside of IPv6 ones come out as IPv4 addresses.
pub fn addresses(found: Vec<IpAddr>) -> Vec<Address> {
    found.into_iter().map(|address| Address::from(address.to_canonical())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_there_and_back() {
        for text in ["1.2.3.4:5", "[1:2:3:4:5:6:7:8]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(SocketAddress::from(address)), address);
        }
        let scoped = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 2, 3));
        assert_eq!(SocketAddr::from(SocketAddress::from(scoped)), scoped);
    }

    #[test]
    fn addresses_that_make_no_sense_are_found() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let wrong = Err(NetError::InvalidArgument);
        for (address, local, peer, remote) in [
            ("10.0.0.1:80", Ok(()), Ok(()), Ok(())),
            ("0.0.0.0:80", Ok(()), wrong, wrong),
            ("10.0.0.1:0", Ok(()), wrong, wrong),
            ("224.0.0.1:80", wrong, Ok(()), wrong),
            ("255.255.255.255:80", wrong, Ok(()), wrong),
            ("[::1]:80", wrong, wrong, wrong),
        ] {
            let address = at(address);
            assert_eq!(Family::Ipv4.check_local(address), local, "{address}");
            assert_eq!(Family::Ipv4.check_peer(address), peer, "{address}");
            assert_eq!(Family::Ipv4.check_remote(address), remote, "{address}");
        }
        assert_eq!(Family::Ipv6.check_remote(at("[::1]:80")), Ok(()));
        assert_eq!(Family::Ipv6.check_local(at("[::]:0")), Ok(()));
        for address in ["[::ffff:10.0.0.1]:80", "[ff02::1]:80", "10.0.0.1:80"] {
            assert_eq!(Family::Ipv6.check_remote(at(address)), wrong, "{address}");
        }
    }
}
