//! IPv6 by itself: an address and a router from what routers say (SLAAC, RFC 4862 and RFC 4861, section 6.3).
//!
//! smoltcp has the like, but keeps one prefix, knows no name servers (RFC 8106), and cannot begin anew when a cable is plugged in.
//! Duplicate addresses are not looked for: the interface part of every address is the device's own (RFC 4291, appendix A).

use alloc::vec::Vec;
use core::net::Ipv6Addr;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_ports::net_device::MacAddress;

/// How often routers are asked, and how far apart in nanoseconds (RFC 4861, section 10).
const MAX_SOLICITATIONS: u32 = 3;
const SOLICITATION_NS: u64 = 4 * NANOS_PER_SECOND;
/// The most prefixes, routers and name servers that are remembered of each. Hostile routers can name many.
const MAX_REMEMBERED: usize = 4;
/// The length of a prefix that an address can be made of, in bits.
const PREFIX_BITS: u8 = 64;
/// A prefix that nobody vouched for in a signed message is not shortened below this many nanoseconds (RFC 4862, section 5.5.3).
const TWO_HOURS_NS: u64 = 7200 * NANOS_PER_SECOND;
/// Bytes of an advertisement before its options.
const ADVERTISEMENT_BYTES: usize = 16;
const OPTION_PREFIX: u8 = 3;
const OPTION_NAME_SERVERS: u8 = 25;
/// The flag of a prefix that addresses may be made of it.
const FLAG_AUTONOMOUS: u8 = 0x40;

/// Something that a router said, and how long it holds.
type Lease = (Ipv6Addr, u64);

/// What routers said.
#[derive(Debug)]
pub(crate) struct Slaac {
    interface: u64,
    solicitations_left: u32,
    solicit_at_ns: u64,
    prefixes: Vec<Lease>,
    routers: Vec<Lease>,
    nameservers: Vec<Lease>,
}

/// The interface part of a device's addresses (modified EUI-64).
fn interface(mac: MacAddress) -> u64 {
    let [a, b, c, d, e, f] = mac;
    u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// The address of a device on its link.
pub(crate) fn link_local(mac: MacAddress) -> Ipv6Addr {
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(interface(mac)))
}

impl Slaac {
    pub(crate) fn new(mac: MacAddress, now_ns: u64) -> Self {
        Self {
            interface: interface(mac),
            solicitations_left: MAX_SOLICITATIONS,
            solicit_at_ns: now_ns,
            prefixes: Vec::new(),
            routers: Vec::new(),
            nameservers: Vec::new(),
        }
    }

    /// Asks again, because this may be another network now. What was known holds until it runs out.
    pub(crate) fn restart(&mut self, now_ns: u64) {
        (self.solicitations_left, self.solicit_at_ns) = (MAX_SOLICITATIONS, now_ns);
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = (Ipv6Addr, u8)> {
        let with_interface = |prefix: Ipv6Addr| Ipv6Addr::from_bits(prefix.to_bits() | u128::from(self.interface));
        self.prefixes.iter().map(move |(prefix, _)| (with_interface(*prefix), PREFIX_BITS))
    }

    pub(crate) fn router(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|(router, _)| *router)
    }

    pub(crate) fn nameservers(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.nameservers.iter().map(|(server, _)| *server)
    }

    /// Whether routers are still being asked.
    pub(crate) fn is_asking(&self) -> bool {
        self.solicitations_left > 0
    }

    /// Whether it is time to ask routers; if so, that has been done.
    pub(crate) fn take_solicitation(&mut self, now_ns: u64) -> bool {
        let due = self.solicitations_left > 0 && self.solicit_at_ns <= now_ns;
        if due {
            self.solicitations_left -= 1;
            self.solicit_at_ns = now_ns + SOLICITATION_NS;
        }
        due
    }

    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        let ask = (self.solicitations_left > 0).then_some(self.solicit_at_ns);
        let leases = self.prefixes.iter().chain(&self.routers).chain(&self.nameservers);
        leases.map(|(_, until_ns)| *until_ns).chain(ask).min()
    }

    /// Forgets what does not hold any more, and says whether there was any.
    pub(crate) fn expire(&mut self, now_ns: u64) -> bool {
        let count = |slaac: &Self| slaac.prefixes.len() + slaac.routers.len() + slaac.nameservers.len();
        let before = count(self);
        for leases in [&mut self.prefixes, &mut self.routers, &mut self.nameservers] {
            leases.retain(|(_, until_ns)| *until_ns > now_ns);
        }
        count(self) != before
    }

    /// Takes in an advertisement whose checksum was checked, and says whether it changed anything but times.
    pub(crate) fn advertise(&mut self, from: Ipv6Addr, message: &[u8], now_ns: u64) -> bool {
        let Some((head, mut options)) = message.split_at_checked(ADVERTISEMENT_BYTES) else { return false };
        if !from.is_unicast_link_local() {
            return false;
        }
        self.solicitations_left = 0;
        let lifetime = u32::from(u16::from_be_bytes([head[6], head[7]]));
        let mut changed = remember(&mut self.routers, from, until(lifetime, now_ns), now_ns);
        while let [kind, words, ..] = *options {
            let Some((option, rest)) = options.split_at_checked(usize::from(words) * 8).filter(|_| words > 0) else {
                break;
            };
            changed |= match kind {
                OPTION_PREFIX => self.prefix(option, now_ns).unwrap_or(false),
                OPTION_NAME_SERVERS => self.name_servers(option, now_ns).unwrap_or(false),
                _ => false,
            };
            options = rest;
        }
        self.expire(now_ns) || changed
    }

    fn prefix(&mut self, option: &[u8], now_ns: u64) -> Option<bool> {
        let (bits, flags) = (*option.get(2)?, *option.get(3)?);
        let valid_ns = until(word(option, 4)?, now_ns);
        let address = Ipv6Addr::from_octets(*option.get(16..)?.first_chunk::<16>()?);
        let prefix = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
        let is_usable = bits == PREFIX_BITS
            && flags & FLAG_AUTONOMOUS != 0
            && !(prefix.is_unicast_link_local() || prefix.is_multicast() || prefix.is_unspecified());
        if !is_usable {
            return None;
        }
        let known_ns = self.prefixes.iter().find(|(known, _)| *known == prefix).map(|(_, until_ns)| *until_ns);
        let valid_ns = match known_ns {
            Some(known_ns) if valid_ns < known_ns => valid_ns.max(known_ns.min(now_ns.saturating_add(TWO_HOURS_NS))),
            _ => valid_ns,
        };
        Some(remember(&mut self.prefixes, prefix, valid_ns, now_ns))
    }

    fn name_servers(&mut self, option: &[u8], now_ns: u64) -> Option<bool> {
        let until_ns = until(word(option, 4)?, now_ns);
        let (servers, _) = option.get(8..)?.as_chunks::<16>();
        let mut changed = false;
        for server in servers.iter().map(|octets| Ipv6Addr::from_octets(*octets)) {
            if !(server.is_multicast() || server.is_unspecified() || server.is_loopback()) {
                changed |= remember(&mut self.nameservers, server, until_ns, now_ns);
            }
        }
        Some(changed)
    }
}

/// Four bytes of an option as a number.
fn word(option: &[u8], at: usize) -> Option<u32> {
    option.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// When a lifetime in seconds ends; the largest is without end.
fn until(seconds: u32, now_ns: u64) -> u64 {
    if seconds == u32::MAX { u64::MAX } else { now_ns.saturating_add(u64::from(seconds) * NANOS_PER_SECOND) }
}

/// Notes that `what` holds until then, and says whether it was not known.
fn remember(leases: &mut Vec<Lease>, what: Ipv6Addr, until_ns: u64, now_ns: u64) -> bool {
    if let Some(lease) = leases.iter_mut().find(|(known, _)| *known == what) {
        lease.1 = until_ns;
        return false;
    }
    let is_new = until_ns > now_ns && leases.len() < MAX_REMEMBERED;
    if is_new {
        leases.push((what, until_ns));
    }
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const S: u64 = NANOS_PER_SECOND;

    /// An advertisement with one prefix and one name server.
    fn advertisement(router_s: u16, prefix: &str, valid_s: u32) -> Vec<u8> {
        let mut message = alloc::vec![134, 0, 0, 0, 64, 0];
        message.extend(router_s.to_be_bytes());
        message.extend([0; 8]);
        message.extend([OPTION_PREFIX, 4, 64, 0xc0]);
        message.extend(valid_s.to_be_bytes());
        message.extend([0; 8]);
        message.extend(prefix.parse::<Ipv6Addr>().unwrap().octets());
        message.extend([OPTION_NAME_SERVERS, 3, 0, 0]);
        message.extend(600_u32.to_be_bytes());
        message.extend("fd00::53".parse::<Ipv6Addr>().unwrap().octets());
        message
    }

    #[test]
    fn an_address_is_made_of_prefix_and_device_and_ends_with_its_lifetime() {
        let mut slaac = Slaac::new(MAC, 0);
        assert!(slaac.take_solicitation(0) && !slaac.take_solicitation(1));
        assert!(slaac.advertise(ROUTER, &advertisement(1800, "fd00::", 60), S));
        let addresses: Vec<_> = slaac.addresses().collect();
        assert_eq!(addresses, [("fd00::5054:ff:fe12:3456".parse().unwrap(), 64)]);
        assert_eq!((slaac.router(), slaac.is_asking()), (Some(ROUTER), false));
        assert_eq!(slaac.nameservers().count(), 1);
        assert_eq!(slaac.deadline_ns(), Some(61 * S));
        assert!(slaac.expire(61 * S) && slaac.addresses().count() == 0);
        assert_eq!(link_local(MAC), "fe80::5054:ff:fe12:3456".parse::<Ipv6Addr>().unwrap());
    }

    #[test]
    fn a_liar_cannot_take_an_address_away_at_once() {
        let mut slaac = Slaac::new(MAC, 0);
        slaac.advertise(ROUTER, &advertisement(1800, "fd00::", 86_400), 0);
        assert!(!slaac.advertise(ROUTER, &advertisement(1800, "fd00::", 0), S));
        assert!(!slaac.expire(7200 * S) || slaac.addresses().count() == 1);
        assert!(slaac.addresses().count() == 1);
    }

    #[test]
    fn broken_and_endless_advertisements_are_bounded() {
        let mut slaac = Slaac::new(MAC, 0);
        let whole = advertisement(1800, "fd00::", 60);
        for cut in 0..whole.len() {
            slaac.advertise(ROUTER, &whole[..cut], 0);
        }
        let mut empty_option = whole[..16].to_vec();
        empty_option.extend([3, 0, 3, 0]);
        slaac.advertise(ROUTER, &empty_option, 0);
        for prefix in 0..100 {
            slaac.advertise(ROUTER, &advertisement(1800, &alloc::format!("fd00:{prefix:x}::"), 60), 0);
        }
        assert!(slaac.addresses().count() <= MAX_REMEMBERED);
        for outside in ["ff02::", "fe80::", "::"] {
            assert!(!slaac.advertise(ROUTER, &advertisement(1800, outside, 60), 0));
        }
        assert!(!Slaac::new(MAC, 0).advertise("fd00::1".parse().unwrap(), &whole, 0), "not from the link");
    }
}
