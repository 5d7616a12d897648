//! Who has which local address and port.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use mwasm_ports::network::NetError;

use crate::secret::Secret;

/// The first of the ports that are given to whoever does not care (RFC 6335, section 6); the last is 65535.
const FIRST_EPHEMERAL_PORT: u16 = 49_152;
/// How many random ports are tried before the free ones are looked for in order.
const RANDOM_TRIES: usize = 16;

/// Local addresses and ports of one protocol that are taken.
#[derive(Default)]
pub(crate) struct Bindings(Vec<SocketAddr>);

impl Bindings {
    /// Takes `wanted`; port 0 becomes a random free one.
    pub(crate) fn bind(&mut self, wanted: SocketAddr, secret: &mut Secret) -> Result<SocketAddr, NetError> {
        let local = match wanted.port() {
            0 => {
                let port = ephemeral(secret, |port| self.is_free(with_port(wanted, port)));
                with_port(wanted, port.ok_or(NetError::AddressInUse)?)
            }
            _ if self.is_free(wanted) => wanted,
            _ => return Err(NetError::AddressInUse),
        };
        self.0.push(local);
        Ok(local)
    }

    pub(crate) fn release(&mut self, local: SocketAddr) {
        if let Some(at) = self.0.iter().position(|taken| *taken == local) {
            self.0.swap_remove(at);
        }
    }

    /// Whether nobody has it. The unspecified address means all of its family, so it overlaps with each.
    pub(crate) fn is_free(&self, wanted: SocketAddr) -> bool {
        let overlap = |one: IpAddr, other: IpAddr| {
            one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
        };
        !self.0.iter().any(|taken| taken.port() == wanted.port() && overlap(taken.ip(), wanted.ip()))
    }
}

/// A random port that `is_free` (RFC 6056, algorithm 1).
pub(crate) fn ephemeral(secret: &mut Secret, is_free: impl Fn(u16) -> bool) -> Option<u16> {
    let count = u64::from(u16::MAX - FIRST_EPHEMERAL_PORT) + 1;
    let mut random = || FIRST_EPHEMERAL_PORT + secret.below(count) as u16;
    let first = random();
    let tried = core::iter::once(first).chain(core::iter::repeat_with(random).take(RANDOM_TRIES));
    let mut tried = tried.chain(first..=u16::MAX).chain(FIRST_EPHEMERAL_PORT..first);
    tried.find(|port| is_free(*port))
}

/// `address` with another port.
pub(crate) fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_addresses_overlap_with_their_family() {
        let mut secret = Secret::new(1);
        let mut bindings = Bindings::default();
        let mut bind = |text: &str| bindings.bind(text.parse().unwrap(), &mut secret);
        assert!(bind("0.0.0.0:80").is_ok());
        assert_eq!(bind("10.0.0.1:80"), Err(NetError::AddressInUse));
        assert!(bind("[::]:80").is_ok() && bind("10.0.0.1:81").is_ok() && bind("127.0.0.1:81").is_ok());
        assert_eq!(bind("0.0.0.0:81"), Err(NetError::AddressInUse));
        bindings.release("0.0.0.0:80".parse().unwrap());
        assert!(bindings.is_free("10.0.0.1:80".parse().unwrap()));
    }

    #[test]
    fn every_ephemeral_port_is_found_and_then_none() {
        let mut secret = Secret::new(1);
        let mut bindings = Bindings::default();
        let any = "0.0.0.0:0".parse().unwrap();
        let count = usize::from(u16::MAX - FIRST_EPHEMERAL_PORT) + 1;
        let only = FIRST_EPHEMERAL_PORT + 77;
        assert_eq!(ephemeral(&mut secret, |port| port == only), Some(only));
        assert_eq!(ephemeral(&mut secret, |_| false), None);
        let first = bindings.bind(any, &mut secret).unwrap().port();
        let second = bindings.bind(any, &mut secret).unwrap().port();
        assert!(first != second && first >= FIRST_EPHEMERAL_PORT && count == 16384);
    }
}
