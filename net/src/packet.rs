//! What a frame is, as far as the stack must know to give it to the right socket.
//!
//! All that comes is hostile. Nothing is trusted before its length and its checksum were checked, and whatever has no business here is
//! dropped: packets of loopback addresses from the wire (RFC 1122, section 3.2.1.3), senders that are no single machine, fragments
//! (every path of ours is discovered to carry whole packets, and reassembly is where stacks break), IPv6 extension headers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Range;
use mwasm_ports::net_device::{ETHERNET_HEADER_BYTES, MacAddress};

use crate::checksum::Sum;

pub(crate) const PROTOCOL_TCP: u8 = 6;
pub(crate) const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_ICMPV6: u8 = 58;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const IPV4_HEADER_BYTES: usize = 20;
pub(crate) const IPV6_HEADER_BYTES: usize = 40;
pub(crate) const TCP_HEADER_BYTES: usize = 20;
pub(crate) const UDP_HEADER_BYTES: usize = 8;
/// Where the sequence number is in a TCP header.
const TCP_SEQUENCE: usize = 4;
/// Where the acknowledgement number is in a TCP header.
const TCP_ACKNOWLEDGEMENT: usize = 8;
/// Where the checksum is in a TCP header.
const TCP_CHECKSUM: Range<usize> = 16..18;
/// Where the checksum is in a UDP header.
const UDP_CHECKSUM: Range<usize> = 6..8;

/// A packet of TCP or UDP inside a frame or buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it came from.
    pub(crate) source: SocketAddr,
    /// Where it goes.
    pub(crate) destination: SocketAddr,
    /// Where the TCP or UDP header and the payload are.
    pub(crate) bytes: Range<usize>,
}

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// A TCP segment.
    Tcp(Segment),
    /// A UDP datagram.
    Udp(Segment),
    /// It says where a neighbour is (ARP, or neighbour solicitations and advertisements).
    Neighbour,
    /// A router advertisement, an ICMPv6 message. The ports are 0.
    Router(Segment),
    /// Something for smoltcp to answer, such as an ICMP echo.
    Other,
    /// Nothing of ours.
    Unwanted,
}

impl Packet {
    /// Looks at an Ethernet frame for the device with address `mac`. `checked`: somebody vouches for the TCP or UDP checksum.
    pub(crate) fn of_frame(frame: &[u8], mac: MacAddress, checked: bool) -> Self {
        let Some((header, payload)) = frame.split_at_checked(ETHERNET_HEADER_BYTES) else { return Self::Unwanted };
        let is_for_many = header[0] & 1 != 0;
        // The sender must be one machine, or its answer would go to many.
        if header[6] & 1 != 0 || !(is_for_many || header[..6] == mac) {
            return Self::Unwanted;
        }
        let found = match [header[12], header[13]] {
            ETHERTYPE_ARP => Some(Self::Neighbour),
            ETHERTYPE_IPV4 => Ip::v4(payload).filter(Ip::may_come_from_the_wire).and_then(|ip| ip.classify(payload)),
            ETHERTYPE_IPV6 => Ip::v6(payload).filter(Ip::may_come_from_the_wire).and_then(|ip| ip.classify(payload)),
            _ => None,
        };
        let found = found.unwrap_or(Self::Unwanted).shifted(ETHERNET_HEADER_BYTES);
        let vouched = checked && !matches!(found, Self::Router(_));
        if vouched || found.checksum_is_right(frame) { found } else { Self::Unwanted }
    }

    /// Looks at an IP packet that one of this machine's sockets sent to another.
    pub(crate) fn of_looped(packet: &[u8]) -> Self {
        let ip = if packet.first().is_some_and(|first| first >> 4 == 4) { Ip::v4(packet) } else { Ip::v6(packet) };
        ip.and_then(|ip| ip.classify(packet)).unwrap_or(Self::Unwanted)
    }

    fn shifted(self, by: usize) -> Self {
        let shift = |bytes: Range<usize>| bytes.start + by..bytes.end + by;
        match self {
            Self::Tcp(segment) => Self::Tcp(Segment { bytes: shift(segment.bytes), ..segment }),
            Self::Udp(segment) => Self::Udp(Segment { bytes: shift(segment.bytes), ..segment }),
            Self::Router(segment) => Self::Router(Segment { bytes: shift(segment.bytes), ..segment }),
            other => other,
        }
    }

    fn checksum_is_right(&self, frame: &[u8]) -> bool {
        let (segment, protocol) = match self {
            Self::Tcp(segment) => (segment, PROTOCOL_TCP),
            Self::Udp(segment) => (segment, PROTOCOL_UDP),
            Self::Router(segment) => (segment, PROTOCOL_ICMPV6),
            _ => return true,
        };
        let bytes = &frame[segment.bytes.clone()];
        let has_none = protocol == PROTOCOL_UDP && bytes[UDP_CHECKSUM] == [0, 0];
        // Only UDP over IPv4 may go without (RFC 768; RFC 8200, section 8.1).
        (has_none && segment.source.is_ipv4()) || segment.pseudo_header(protocol).add(bytes).is_intact()
    }
}

impl Segment {
    /// The sum of the pseudo header.
    pub(crate) fn pseudo_header(&self, protocol: u8) -> Sum {
        Sum::default().add_pseudo_header(self.source.ip(), self.destination.ip(), protocol, self.bytes.len())
    }
}

/// The header of an IP packet.
struct Ip {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    hop_limit: u8,
    payload: Range<usize>,
}

impl Ip {
    fn v4(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<IPV4_HEADER_BYTES>()?;
        let header_bytes = usize::from(header[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let is_whole = u16::from_be_bytes([header[6], header[7]]) & 0x3fff == 0;
        let lengths_fit = header_bytes >= IPV4_HEADER_BYTES && total >= header_bytes && total <= packet.len();
        if header[0] >> 4 != 4 || !lengths_fit || !is_whole {
            return None;
        }
        let intact = Sum::default().add(&packet[..header_bytes]).is_intact();
        intact.then(|| Self {
            source: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
            destination: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
            protocol: header[9],
            hop_limit: header[8],
            payload: header_bytes..total,
        })
    }

    fn v6(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<IPV6_HEADER_BYTES>()?;
        let end = IPV6_HEADER_BYTES + usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[0] >> 4 != 6 || end > packet.len() {
            return None;
        }
        let address = |at: usize| {
            let octets = header[at..].first_chunk::<16>().copied();
            octets.map(|octets| IpAddr::V6(Ipv6Addr::from_octets(octets)))
        };
        Some(Self {
            source: address(8)?,
            destination: address(24)?,
            protocol: header[6],
            hop_limit: header[7],
            payload: IPV6_HEADER_BYTES..end,
        })
    }

    fn may_come_from_the_wire(&self) -> bool {
        let is_one_machine = match self.source {
            IpAddr::V4(source) => {
                !source.is_broadcast() && source.octets()[0] & 0xf0 != 0xf0 && source.octets()[0] != 0
            }
            // Mapped addresses are for programs, never for packets (RFC 4291, section 2.5.5.2).
            IpAddr::V6(source) => source.to_ipv4_mapped().is_none(),
        };
        let goes_somewhere = match self.destination {
            IpAddr::V4(_) => true,
            IpAddr::V6(destination) => destination.to_ipv4_mapped().is_none(),
        };
        let has_both = !self.source.is_unspecified() && !self.destination.is_unspecified();
        let is_local = self.source.is_loopback() || self.destination.is_loopback();
        is_one_machine && goes_somewhere && has_both && !is_local && !self.source.is_multicast()
    }

    fn classify(&self, packet: &[u8]) -> Option<Packet> {
        let payload = &packet[self.payload.clone()];
        match self.protocol {
            PROTOCOL_TCP if payload.len() >= TCP_HEADER_BYTES => Some(Packet::Tcp(self.segment(payload)?)),
            PROTOCOL_UDP if payload.len() >= UDP_HEADER_BYTES => {
                let bytes = usize::from(u16::from_be_bytes([payload[4], payload[5]]));
                let mut segment = self.segment(payload)?;
                segment.bytes.end = segment.bytes.start + bytes;
                (UDP_HEADER_BYTES..=payload.len()).contains(&bytes).then_some(Packet::Udp(segment))
            }
            PROTOCOL_TCP | PROTOCOL_UDP => None,
            // Routers and neighbours are on the link: what they say was forwarded by nobody (RFC 4861, section 6.1.2).
            PROTOCOL_ICMPV6 if self.source.is_ipv6() => match payload.first()? {
                134 if self.hop_limit == 255 => Some(Packet::Router(Segment {
                    source: SocketAddr::new(self.source, 0),
                    destination: SocketAddr::new(self.destination, 0),
                    bytes: self.payload.clone(),
                })),
                135 | 136 if self.hop_limit == 255 => Some(Packet::Neighbour),
                128 => Some(Packet::Other),
                _ => None,
            },
            // Of ICMP, only echo requests to this machine alone are answered (RFC 1122, section 3.2.2.6).
            PROTOCOL_ICMP if payload.first() == Some(&8) && !self.destination.is_multicast() => Some(Packet::Other),
            _ => None,
        }
    }

    fn segment(&self, payload: &[u8]) -> Option<Segment> {
        let [a, b, c, d] = *payload.first_chunk::<4>()?;
        let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let segment = Segment {
            source: SocketAddr::new(self.source, from),
            destination: SocketAddr::new(self.destination, to),
            bytes: self.payload.clone(),
        };
        (from != 0 && to != 0).then_some(segment)
    }
}

/// Where the checksum of a frame that goes out must be put, and what it is computed over.
pub(crate) struct Unfinished {
    pub(crate) segment: Segment,
    pub(crate) protocol: u8,
    pub(crate) checksum: Range<usize>,
}

impl Unfinished {
    /// Finds it in a frame (or, if `ip_at` is 0, packet) of our own making; `None` if that holds neither TCP nor UDP.
    pub(crate) fn of(frame: &[u8], ip_at: usize) -> Option<Self> {
        let packet = frame.get(ip_at..)?;
        let ip = match packet.first()? >> 4 {
            _ if ip_at > 0 && frame[12..14] == ETHERTYPE_ARP => return None,
            4 => Ip::v4(packet)?,
            _ => Ip::v6(packet)?,
        };
        let (segment, protocol, field) = match ip.classify(packet)?.shifted(ip_at) {
            Packet::Tcp(segment) => (segment, PROTOCOL_TCP, TCP_CHECKSUM),
            Packet::Udp(segment) => (segment, PROTOCOL_UDP, UDP_CHECKSUM),
            _ => return None,
        };
        let start = segment.bytes.start;
        Some(Self { segment, protocol, checksum: start + field.start..start + field.end })
    }

    /// Adds to the sequence number, if it is a TCP segment.
    pub(crate) fn shift_sequence(&self, frame: &mut [u8], by: u32) {
        let at = self.segment.bytes.start + TCP_SEQUENCE;
        if self.protocol == PROTOCOL_TCP {
            add(frame, at, by);
        }
    }
}

/// Subtracts from the acknowledgement number of a segment that came.
pub(crate) fn shift_acknowledgement(frame: &mut [u8], segment: &Segment, by: u32) {
    add(frame, segment.bytes.start + TCP_ACKNOWLEDGEMENT, by.wrapping_neg());
}

fn add(frame: &mut [u8], at: usize, by: u32) {
    if let Some(field) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *field = u32::from_be_bytes(*field).wrapping_add(by).to_be_bytes();
    }
}

/// Whether a frame of our own making asks where a neighbour is.
pub(crate) fn asks_for_neighbour(frame: &[u8]) -> bool {
    let is_solicitation = |frame: &[u8]| {
        let at = ETHERNET_HEADER_BYTES;
        frame.get(at + 6) == Some(&PROTOCOL_ICMPV6) && frame.get(at + IPV6_HEADER_BYTES) == Some(&135)
    };
    match frame.get(12..14) {
        Some(ethertype) if ethertype == ETHERTYPE_ARP => true,
        Some(ethertype) if ethertype == ETHERTYPE_IPV6 => is_solicitation(frame),
        _ => false,
    }
}
