//! The machine's own addresses, its routers and its name servers: fixed, by DHCP (RFC 2131), or by SLAAC.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::Waker;
use mwasm_plan::net::{Ipv4, Ipv6, Net};
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_ports::net_device::MacAddress;
use mwasm_ports::network::{NetError, NetStatus};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Duration;
use smoltcp::wire::{DhcpOption, IpCidr};

use crate::connection::Link;
use crate::slaac::{Slaac, link_local};

/// How long an app that wants to send waits for the machine to get an address, in nanoseconds.
pub(crate) const CONFIGURE_NS: u64 = 10 * NANOS_PER_SECOND;
/// How long a machine that already has an IPv6 address waits for one by DHCP before it counts as set up, in nanoseconds. Routers are
/// quicker than DHCP servers, but it is the latter that name the name servers on most networks.
const DHCP_FIRST_NS: u64 = 2 * NANOS_PER_SECOND;
/// How long an address is kept after the cable was plugged in again and no DHCP server has said anything yet, in nanoseconds.
const REPLUGGED_NS: u64 = 60 * NANOS_PER_SECOND;
/// How long a DHCP server may take to offer an address, and to give it, before it is asked again.
const DISCOVER_AGAIN: Duration = Duration::from_secs(3);
const REQUEST_AGAIN: Duration = Duration::from_secs(2);
/// How many messages the DHCP client sends in a second at most.
const DHCP_MESSAGES_PER_SECOND: u32 = 4;
const DNS_PORT: u16 = 53;
const OPTION_HOST_NAME: u8 = 12;
const LOOPBACK_V4: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::LOCALHOST), 8);
const LOOPBACK_V6: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::LOCALHOST), 128);

/// One family's address and router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place<A> {
    address: A,
    prefix_bits: u8,
    router: Option<A>,
}

/// The DHCP client.
struct Dhcp {
    set: SocketSet<'static>,
    handle: SocketHandle,
    hostname: &'static [DhcpOption<'static>],
    /// Until when the lease of before the cable was unplugged is kept.
    keep_until_ns: u64,
    /// When the last second began in which something was sent, and how often that was.
    sent: (u64, u32),
}

/// All that the machine knows about where it is.
pub(crate) struct Addresses {
    v4: Option<Place<Ipv4Addr>>,
    v6: Option<Place<Ipv6Addr>>,
    link_local: Option<Ipv6Addr>,
    /// What follows from these and from `slaac`: the addresses on the wire.
    own: Vec<(IpAddr, u8)>,
    dhcp: Option<Dhcp>,
    pub(crate) slaac: Option<Slaac>,
    fixed_dns: Vec<IpAddr>,
    dhcp_dns: Vec<IpAddr>,
    /// When the machine began to look for addresses.
    since_ns: u64,
    /// Whether [`DHCP_FIRST_NS`] and [`CONFIGURE_NS`] are over.
    dhcp_is_late: bool,
    timed_out: bool,
    pub(crate) waiting: Vec<Waker>,
}

impl Addresses {
    pub(crate) fn new(net: &Net<'_>, mac: MacAddress, now_ns: u64) -> Self {
        let v4 = match net.ipv4 {
            Ipv4::Static { address, prefix_bits, gateway } if is_host_v4(address) => {
                let router = gateway.filter(|router| is_host_v4(*router));
                Some(Place { address, prefix_bits: prefix_bits.min(32), router })
            }
            _ => None,
        };
        let v6 = match net.ipv6 {
            Ipv6::Static { address, prefix_bits, gateway } if is_host_v6(address) => {
                let router = gateway.filter(|router| is_host_v6(*router));
                Some(Place { address, prefix_bits: prefix_bits.min(128), router })
            }
            _ => None,
        };
        Self {
            v4,
            v6,
            link_local: (net.ipv6 != Ipv6::Off).then(|| link_local(mac)),
            own: Vec::new(),
            dhcp: (net.ipv4 == Ipv4::Dhcp).then(|| Dhcp::new(net.hostname)),
            slaac: (net.ipv6 == Ipv6::Auto).then(|| Slaac::new(mac, now_ns)),
            fixed_dns: net.dns.clone(),
            dhcp_dns: Vec::new(),
            since_ns: now_ns,
            dhcp_is_late: false,
            timed_out: false,
            waiting: Vec::new(),
        }
    }

    /// The sockets that DHCP's datagrams are for.
    pub(crate) fn dhcp_set(&mut self) -> Option<&mut SocketSet<'static>> {
        self.dhcp.as_mut().map(|dhcp| &mut dhcp.set)
    }

    /// The DHCP client has sent something.
    pub(crate) fn dhcp_sent(&mut self, now_ns: u64) {
        if let Some(Dhcp { sent: (since_ns, count), .. }) = &mut self.dhcp {
            if now_ns.saturating_sub(*since_ns) >= NANOS_PER_SECOND {
                (*since_ns, *count) = (now_ns, 0);
            }
            *count += 1;
        }
    }

    /// Before when the DHCP client may not send: a server that refuses what it has just offered is not asked without end.
    pub(crate) fn dhcp_not_before_ns(&self) -> u64 {
        let too_many = self.dhcp.as_ref().map(|dhcp| dhcp.sent).filter(|(_, count)| *count >= DHCP_MESSAGES_PER_SECOND);
        too_many.map_or(0, |(since_ns, _)| since_ns + NANOS_PER_SECOND)
    }

    /// The cable was plugged in: this may be another network now.
    pub(crate) fn replugged(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
        (self.dhcp_is_late, self.timed_out) = (false, false);
        if let Some(slaac) = &mut self.slaac {
            slaac.restart(now_ns);
        }
        if let Some(dhcp) = &mut self.dhcp {
            *dhcp = Dhcp { keep_until_ns: now_ns + REPLUGGED_NS, ..Dhcp::with_options(dhcp.hostname) };
        }
    }

    /// Takes in what the DHCP client learned, lets go what ran out, and says whether anything changed.
    pub(crate) fn update(&mut self, now_ns: u64) -> bool {
        let mut changed = self.slaac.as_mut().is_some_and(|slaac| slaac.expire(now_ns));
        self.dhcp_is_late = now_ns >= self.since_ns + DHCP_FIRST_NS;
        self.timed_out = now_ns >= self.since_ns + CONFIGURE_NS;
        let Some(dhcp) = &mut self.dhcp else { return changed };
        match dhcp.set.get_mut::<dhcpv4::Socket<'_>>(dhcp.handle).poll() {
            Some(dhcpv4::Event::Configured(config)) => {
                let in_network = |router: &Ipv4Addr| config.address.contains_addr(router);
                let router = config.router.filter(|router| is_host_v4(*router) && in_network(router));
                let (address, prefix_bits) = (config.address.address(), config.address.prefix_len());
                let servers: Vec<IpAddr> = config.dns_servers.iter().map(|server| IpAddr::V4(*server)).collect();
                let place = is_host_v4(address).then_some(Place { address, prefix_bits, router });
                changed |= place != self.v4 || servers != self.dhcp_dns;
                (self.v4, self.dhcp_dns, dhcp.keep_until_ns) = (place, servers, 0);
            }
            Some(dhcpv4::Event::Deconfigured) if now_ns >= dhcp.keep_until_ns => {
                changed |= self.v4.take().is_some();
                self.dhcp_dns.clear();
            }
            _ => {}
        }
        if dhcp.keep_until_ns > 0 && now_ns >= dhcp.keep_until_ns {
            dhcp.keep_until_ns = 0;
            changed |= self.v4.take().is_some();
        }
        changed
    }

    /// Tells smoltcp.
    pub(crate) fn apply(&mut self, ethernet: &mut Interface) {
        self.own = self.find_own();
        ethernet.update_ip_addrs(|addresses| {
            addresses.clear();
            for (address, prefix_bits) in self.own.iter().copied() {
                // There is room for all that can be: two fixed or given, the link's, and the prefixes that are remembered.
                let _ = addresses.push(IpCidr::new(address.into(), prefix_bits));
            }
        });
        let routes = ethernet.routes_mut();
        routes.remove_default_ipv4_route();
        routes.remove_default_ipv6_route();
        if let Some(router) = self.v4.and_then(|place| place.router) {
            let _ = routes.add_default_ipv4_route(router);
        }
        if let Some(router) = self.router_v6() {
            let _ = routes.add_default_ipv6_route(router);
        }
    }

    fn router_v6(&self) -> Option<Ipv6Addr> {
        self.v6.and_then(|place| place.router).or_else(|| self.slaac.as_ref()?.router())
    }

    /// The addresses on the wire, the most useful ones first.
    fn find_own(&self) -> Vec<(IpAddr, u8)> {
        let v4 = self.v4.map(|place| (IpAddr::V4(place.address), place.prefix_bits));
        let v6 = self.v6.map(|place| (IpAddr::V6(place.address), place.prefix_bits));
        let slaac = self.slaac.iter().flat_map(|slaac| slaac.addresses()).map(|(address, bits)| (address.into(), bits));
        let link_local = self.link_local.map(|address| (IpAddr::V6(address), 64));
        v4.into_iter().chain(v6).chain(slaac).chain(link_local).collect()
    }

    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.iter().any(|(own, _)| *own == address)
    }

    pub(crate) fn status(&self) -> NetStatus {
        let mut addresses = self.own.clone();
        addresses.extend([LOOPBACK_V4, LOOPBACK_V6]);
        let learned = || {
            let slaac = self.slaac.iter().flat_map(Slaac::nameservers).map(IpAddr::V6);
            self.dhcp_dns.iter().copied().chain(slaac).collect()
        };
        let servers = if self.fixed_dns.is_empty() { learned() } else { self.fixed_dns.clone() };
        let nameservers = servers.into_iter().map(|server| SocketAddr::new(server, DNS_PORT)).collect();
        NetStatus { addresses, nameservers }
    }

    /// Wakes `waker` when it is known whether there will be an address.
    pub(crate) fn keep_waiting(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|one| one.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Whether the machine has an address beyond its link.
    pub(crate) fn is_configured(&self) -> bool {
        let has_v6 = self.v6.is_some() || self.slaac.as_ref().is_some_and(|slaac| slaac.addresses().next().is_some());
        self.v4.is_some() || (has_v6 && (self.dhcp.is_none() || self.dhcp_is_late))
    }

    /// Whether it makes sense to wait for an address: `Err` if there will be none, or it has taken too long.
    pub(crate) fn may_wait(&self) -> Result<(), NetError> {
        let looks = self.dhcp.is_some() || self.slaac.is_some();
        if looks && !self.timed_out { Ok(()) } else { Err(NetError::RemoteUnreachable) }
    }

    /// The way to `remote`, and the address that packets go out from; `None`: not yet known.
    pub(crate) fn way(&self, remote: IpAddr) -> Result<Option<(Link, IpAddr)>, NetError> {
        if remote.is_unspecified() {
            return Err(NetError::InvalidArgument);
        }
        if self.is_own(remote) {
            return Ok(Some((Link::Loop, remote)));
        }
        let found = match remote {
            IpAddr::V4(remote) if remote.is_multicast() || remote.is_broadcast() => {
                return Err(NetError::RemoteUnreachable);
            }
            IpAddr::V6(remote) if remote.is_multicast() => return Err(NetError::RemoteUnreachable),
            IpAddr::V4(remote) => match self.v4 {
                None if self.dhcp.is_some() => return self.may_wait().map(|()| None),
                None => None,
                Some(place) => {
                    let direct = same_network(remote.into(), place.address.into(), place.prefix_bits);
                    (direct || place.router.is_some()).then_some(place.address.into())
                }
            },
            IpAddr::V6(remote) if remote.is_unicast_link_local() => self.link_local.map(IpAddr::V6),
            IpAddr::V6(remote) => {
                let slaac = self.slaac.iter().flat_map(|slaac| slaac.addresses());
                let mut own =
                    self.v6.map(|place| (place.address, place.prefix_bits)).into_iter().chain(slaac).peekable();
                if own.peek().is_none() && self.slaac.as_ref().is_some_and(Slaac::is_asking) {
                    return self.may_wait().map(|()| None);
                }
                let own: Vec<_> = own.collect();
                let direct = own.iter().find(|(own, bits)| same_network(remote.into(), (*own).into(), *bits));
                let routed = own.first().filter(|_| self.router_v6().is_some());
                direct.or(routed).map(|(own, _)| (*own).into())
            }
        };
        found.map(|own| Some((Link::Ethernet, own))).ok_or(NetError::RemoteUnreachable)
    }

    pub(crate) fn deadline_ns(&self, now_ns: u64) -> Option<u64> {
        let slaac = self.slaac.as_ref().and_then(Slaac::deadline_ns);
        let waits = !self.timed_out && !self.is_configured();
        let configure_ns = if self.dhcp_is_late { CONFIGURE_NS } else { DHCP_FIRST_NS };
        let configure = waits.then_some(self.since_ns + configure_ns);
        let kept = self.dhcp.as_ref().map(|dhcp| dhcp.keep_until_ns).filter(|until_ns| *until_ns > now_ns);
        slaac.into_iter().chain(configure).chain(kept).min()
    }
}

impl Dhcp {
    fn new(hostname: &str) -> Self {
        if hostname.is_empty() {
            return Self::with_options(&[]);
        }
        // smoltcp wants options that live as long as its socket, and that is as long as the machine: one name, once.
        let data: &'static [u8] = Box::leak(hostname.as_bytes().into());
        Self::with_options(Box::leak(Box::new([DhcpOption { kind: OPTION_HOST_NAME, data }])))
    }

    fn with_options(hostname: &'static [DhcpOption<'static>]) -> Self {
        let mut socket = dhcpv4::Socket::new();
        let mut retry = dhcpv4::RetryConfig::default();
        retry.discover_timeout = DISCOVER_AGAIN;
        retry.initial_request_timeout = REQUEST_AGAIN;
        socket.set_retry_config(retry);
        socket.set_outgoing_options(hostname);
        let mut set = SocketSet::new(Vec::new());
        let handle = set.add(socket);
        Self { set, handle, hostname, keep_until_ns: 0, sent: (0, 0) }
    }
}

/// Whether it can be one machine's address.
fn is_host_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    (1..224).contains(&first) && first != 127
}

fn is_host_v6(address: Ipv6Addr) -> bool {
    !(address.is_multicast() || address.is_unspecified() || address.is_loopback() || address.to_ipv4_mapped().is_some())
}

fn same_network(one: IpAddr, other: IpAddr, prefix_bits: u8) -> bool {
    IpCidr::new(other.into(), prefix_bits).contains_addr(&one.into())
}
