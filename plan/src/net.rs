//! What an app may do on the network, and how the network is set up.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};

/// What the app may reach; what is not here is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy<'a> {
    /// Ports that the app may listen on.
    pub listen: Vec<Listen>,
    /// Peers that the app may connect or send to.
    #[serde(borrow)]
    pub connect: Vec<Connect<'a>>,
    /// Whether everything is granted that stays on the machine (loopback addresses, any port).
    pub loopback: bool,
    /// Ports of the machine whose frames the app may send and receive, by `mwasm:net/link`. If there are any, the network card is the app's
    /// as a whole, and there are no sockets. Names with spaces between: a list would cost code in images that have no network.
    pub link: &'a str,
}

impl<'a> Policy<'a> {
    /// The ports whose frames are granted.
    pub fn links(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.link.split_ascii_whitespace()
    }

    /// Whether nothing at all is granted, so that no part of a network is needed.
    pub fn is_empty(&self) -> bool {
        self.listen.is_empty() && self.connect.is_empty() && !self.loopback && self.link.is_empty()
    }
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
}

/// A port to listen on; written `tcp:PORT`. A socket on a granted UDP port may answer whoever has sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port, as the app names it; not 0.
    pub port: u16,
    /// The port of the machine that stands for it; the same unless `-p` says otherwise. Only sockets of an operating system look at it.
    pub host_port: u16,
}

/// A peer to connect to; written `tcp:HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect<'a> {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Which hosts.
    #[serde(borrow)]
    pub host: Host<'a>,
    /// The port; `None`, written `*`: any.
    pub port: Option<u16>,
}

/// Which hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Host<'a> {
    /// Every host; written `*`. Every name may be looked up.
    Any,
    /// The host with this name, in lower case, without a dot at its end. The name may be looked up, and the addresses that were found
    /// are granted.
    Name(&'a str),
    /// Every host whose name ends in a dot and this one; written `*.example.org`.
    Below(&'a str),
    /// Every address whose first `prefix_bits` are these.
    Address {
        /// The address.
        address: IpAddr,
        /// How many of its bits count: 32 or 128 for one address.
        prefix_bits: u8,
    },
}

/// How the network is set up: `[net]` of the manifest. Sockets of an operating system are set up already; they only look at
/// [`Net::http`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net<'a> {
    /// IP version 4.
    pub ipv4: Ipv4,
    /// IP version 6.
    pub ipv6: Ipv6,
    /// Name servers; if there are none, those that DHCP or router advertisements name.
    pub dns: Vec<IpAddr>,
    /// What the machine calls itself to a DHCP server; empty for nothing.
    pub hostname: &'a str,
    /// The TAP device that a desktop image or `mwasm run` uses instead of the operating system's sockets; empty for none.
    pub tap: &'a str,
    /// Buffers of TCP connections.
    pub buffers: Buffers,
    /// The HTTP server.
    pub http: Http,
    /// Places that the app reaches by names of its own, by `mwasm:net/endpoints`: `[net.endpoints]` of the manifest. Each needs a grant
    /// of the [`Policy`] like any other place.
    #[serde(borrow)]
    pub endpoints: Vec<Endpoint<'a>>,
}

/// A place with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint<'a> {
    /// What the app calls it.
    pub name: &'a str,
    /// Where it is.
    #[serde(borrow)]
    pub place: Place<'a>,
}

/// Where an endpoint is. TCP both: an endpoint's connections are streams of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place<'a> {
    /// The app connects to it; written `tcp:HOST:PORT`, with one host and one port.
    Connect {
        /// A name or an address.
        #[serde(borrow)]
        host: Host<'a>,
        /// The port.
        port: u16,
    },
    /// The app listens there; written `listen:tcp:PORT`.
    Listen(Listen),
}

impl<'a> Place<'a> {
    /// What [`Place::parse`] wants.
    pub const WANTED: &'static str =
        "tcp:HOST:PORT, with HOST a name in lower case or an address (an IPv6 address in brackets), or listen:tcp:PORT";

    /// Reads `tcp:HOST:PORT` or `listen:tcp:PORT`.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(listen) = text.strip_prefix("listen:") {
            return Listen::parse(listen).filter(|listen| listen.protocol == Protocol::Tcp).map(Self::Listen);
        }
        match Connect::parse(text)? {
            Connect { protocol: Protocol::Tcp, host, port: Some(port) } if host.is_one() => {
                Some(Self::Connect { host, port })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Listen(listen) => write!(f, "listen:{listen}"),
        }
    }
}

/// Buffers of a connection on our own stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffers {
    /// What came and was not read, in bytes: the largest TCP window.
    pub receive_bytes: u32,
    /// What was written and not acknowledged, in bytes.
    pub send_bytes: u32,
    /// The most sockets and connections at once.
    pub max_sockets: u32,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { receive_bytes: 64 << 10, send_bytes: 64 << 10, max_sockets: 4096 }
    }
}

/// IP version 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipv4 {
    /// By DHCP (RFC 2131).
    #[default]
    Dhcp,
    /// As given.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// Length of the network's prefix, at most 32 bits.
        prefix_bits: u8,
        /// The router.
        gateway: Option<Ipv4Addr>,
    },
    /// Not at all.
    Off,
}

/// IP version 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipv6 {
    /// By router advertisements (SLAAC, RFC 4862).
    #[default]
    Auto,
    /// As given.
    Static {
        /// The address.
        address: Ipv6Addr,
        /// Length of the network's prefix, at most 128 bits.
        prefix_bits: u8,
        /// The router.
        gateway: Option<Ipv6Addr>,
    },
    /// Not at all.
    Off,
}

/// The HTTP server of an app that exports a handler: `[http]` of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// The TCP port, as in [`Listen::port`].
    pub port: u16,
    /// Which instance of the app a request runs in.
    pub instances: Instances,
    /// The most instances at once, at least 1; further requests wait.
    pub max_instances: u32,
    /// The most requests that run or wait at once, at least 1; further ones are answered 503.
    pub max_requests: u32,
    /// The most connections at once, at least 1; further ones are answered 503 and closed.
    pub max_connections: u32,
    /// The largest head of a request, in bytes; a larger one is answered 431.
    pub max_head_bytes: u32,
    /// The largest body of a request, in bytes; a larger one is answered 413.
    pub max_body_bytes: u64,
    /// The most WebAssembly instructions that the app may execute for a request; then 503, and the instance is thrown away. 0: any number,
    /// in code that does not count. An app whose instructions are counted gives way to other requests while it computes.
    pub max_instructions: u64,
    /// How long the head or a piece of the body may take to come, in milliseconds; then 408.
    pub receive_timeout_ms: u32,
    /// How long a client may take nothing of an answer, in milliseconds; then the connection is cut.
    pub send_timeout_ms: u32,
    /// How long an idle connection stays open, in milliseconds.
    pub idle_timeout_ms: u32,
}

/// Which instance of the app a request runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instances {
    /// What the app's version of `wasi:http` suggests: [`Instances::Pooled`] for 0.2, [`Instances::Shared`] for 0.3.
    #[default]
    Usual,
    /// One instance for all requests, at once where the app is at 0.3.
    Shared,
    /// One of a pool, alone; it serves other requests later.
    Pooled,
    /// A new one, that is thrown away afterwards: nothing of a request is seen by another.
    Fresh,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            port: 80,
            instances: Instances::Usual,
            max_instances: 64,
            max_requests: 1024,
            max_connections: 1024,
            max_head_bytes: 16 << 10,
            max_body_bytes: 1 << 30,
            max_instructions: 0,
            receive_timeout_ms: 30_000,
            send_timeout_ms: 30_000,
            idle_timeout_ms: 75_000,
        }
    }
}

/// Longest name of a host, in bytes (RFC 1035, section 2.3.4, without the final dot).
pub const MAX_HOST_BYTES: usize = 253;

impl Protocol {
    fn split(grant: &str) -> Option<(Self, &str)> {
        let (protocol, rest) = grant.split_once(':')?;
        match protocol {
            "tcp" => Some((Self::Tcp, rest)),
            "udp" => Some((Self::Udp, rest)),
            _ => None,
        }
    }
}

impl Listen {
    /// What [`Listen::parse`] wants.
    pub const WANTED: &'static str = "tcp:PORT or udp:PORT, with a port from 1 to 65535";

    /// Reads `tcp:PORT`.
    pub fn parse(grant: &str) -> Option<Self> {
        let (protocol, port) = Protocol::split(grant)?;
        let port = port_number(port)?;
        Some(Self { protocol, port, host_port: port })
    }
}

impl<'a> Connect<'a> {
    /// What [`Connect::parse`] wants.
    pub const WANTED: &'static str = "tcp:HOST:PORT or udp:HOST:PORT, with HOST a name in lower case, *.NAME, an address or network (10.0.0.0/8, an IPv6 address in brackets) or *, and a port from 1 to 65535 or *";

    /// Reads `tcp:HOST:PORT`.
    pub fn parse(grant: &'a str) -> Option<Self> {
        let (protocol, peer) = Protocol::split(grant)?;
        let (host, port) = peer.rsplit_once(':')?;
        let port = if port == "*" { None } else { Some(port_number(port)?) };
        Some(Self { protocol, host: Host::parse(host)?, port })
    }
}

impl<'a> Host<'a> {
    /// Whether it is a single host.
    fn is_one(&self) -> bool {
        match self {
            Self::Any | Self::Below(_) => false,
            Self::Name(_) => true,
            Self::Address { address, prefix_bits } => *prefix_bits == if address.is_ipv4() { 32 } else { 128 },
        }
    }

    fn parse(host: &'a str) -> Option<Self> {
        if host == "*" {
            return Some(Self::Any);
        }
        if let Some(found) = Self::network(host) {
            return Some(found);
        }
        let is_name = |name: &str| {
            let label = |label: &str| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
            };
            // Four numbers are an address that was written wrong.
            name.len() <= MAX_HOST_BYTES
                && name.split('.').all(label)
                && name.bytes().any(|b| !b.is_ascii_digit() && b != b'.')
        };
        match host.strip_prefix("*.") {
            Some(above) => is_name(above).then_some(Self::Below(above)),
            None => is_name(host).then_some(Self::Name(host)),
        }
    }

    fn network(host: &str) -> Option<Self> {
        let (text, bits) = match host.split_once('/') {
            Some((text, bits)) => (text, Some(bits.parse::<u8>().ok()?)),
            None => (host, None),
        };
        let address = match text.strip_prefix('[') {
            Some(rest) => IpAddr::V6(rest.strip_suffix(']')?.parse().ok()?),
            None => IpAddr::V4(text.parse().ok()?),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        Some(Self::Address { address, prefix_bits: bits.unwrap_or(most) })
            .filter(|_| bits.is_none_or(|bits| bits <= most))
    }
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol, self.port)
    }
}

impl fmt::Display for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.protocol, self.host)?;
        match self.port {
            Some(port) => write!(f, "{port}"),
            None => f.write_str("*"),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Address { address: IpAddr::V4(ip), prefix_bits: 32 } => write!(f, "{ip}"),
            Self::Address { address: IpAddr::V4(ip), prefix_bits } => write!(f, "{ip}/{prefix_bits}"),
            Self::Address { address: IpAddr::V6(ip), prefix_bits: 128 } => write!(f, "[{ip}]"),
            Self::Address { address: IpAddr::V6(ip), prefix_bits } => write!(f, "[{ip}]/{prefix_bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn places_are_single_and_tcp() {
        for place in ["tcp:db.example.org:5432", "tcp:10.0.0.1:1", "tcp:[fd00::1]:1", "listen:tcp:25"] {
            assert_eq!(Place::parse(place).unwrap().to_string(), place);
        }
        for wrong in [
            "tcp:*:1",
            "tcp:*.org:1",
            "tcp:10.0.0.0/8:1",
            "tcp:host:*",
            "udp:host:1",
            "listen:udp:53",
            "listen:tcp:0",
            "listen:host:1",
            "tcp:80",
        ] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn grants_are_written_as_they_are_read() {
        for grant in ["tcp:80", "udp:65535"] {
            assert_eq!(Listen::parse(grant).unwrap().to_string(), grant);
        }
        for grant in [
            "tcp:imap.example.org:993",
            "udp:10.0.0.1:53",
            "tcp:10.0.0.0/8:*",
            "tcp:[::1]:80",
            "tcp:[fd00::]/8:1",
            "tcp:*:443",
            "udp:*.example.org:*",
        ] {
            assert_eq!(Connect::parse(grant).unwrap().to_string(), grant);
        }
        for wrong in ["80", "tcp:", "tcp:0", "tcp:65536", "sctp:80", "tcp:+80", "tcp:80:80"] {
            assert_eq!(Listen::parse(wrong), None, "{wrong}");
        }
        for wrong in [
            "tcp:993",
            "tcp::993",
            "tcp:a b:1",
            "tcp:::1:80",
            "tcp:[x]:80",
            "tcp:host:0",
            "tcp:Host:1",
            "tcp:10.0.0.0/33:1",
            "tcp:10.0.0.256:1",
            "tcp:a..b:1",
            "tcp:*.*:1",
        ] {
            assert_eq!(Connect::parse(wrong), None, "{wrong}");
        }
    }
}
