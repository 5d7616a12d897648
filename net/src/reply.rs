//! Frames that the stack writes itself, because no socket of smoltcp is behind them.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use mwasm_ports::net_device::{ETHERNET_HEADER_BYTES, MacAddress};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress, Icmpv6Packet, Icmpv6Repr,
    IpProtocol, IpRepr, Ipv6Packet, Ipv6Repr, NdiscRepr, TcpPacket, TcpRepr,
};

use crate::port::finish;
use crate::slaac::link_local;

/// All routers of a link, and the Ethernet address that stands for them (RFC 4291, section 2.7.1; RFC 2464, section 7).
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_ROUTERS_MAC: MacAddress = [0x33, 0x33, 0, 0, 0, 2];

/// Writes an IP packet with one TCP segment to `out`; its TCP checksum is 0.
pub(crate) fn packet(local: IpAddr, remote: IpAddr, hop_limit: u8, tcp: &TcpRepr<'_>, out: &mut Vec<u8>) {
    let ip = IpRepr::new(local.into(), remote.into(), IpProtocol::Tcp, tcp.buffer_len(), hop_limit);
    let at = out.len();
    out.resize(at + ip.buffer_len(), 0);
    let mut checksums = ChecksumCapabilities::ignored();
    checksums.ipv4 = smoltcp::phy::Checksum::Tx;
    if let Some(packet) = out.get_mut(at..) {
        ip.emit(&mut *packet, &checksums);
        let mut segment = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
        tcp.emit(&mut segment, &local.into(), &remote.into(), &checksums);
    }
}

/// Writes a frame with one TCP segment to `out`, for the neighbour at `to`.
pub(crate) fn frame(
    (mac, to): (MacAddress, MacAddress),
    local: SocketAddr,
    remote: SocketAddr,
    hop_limit: u8,
    tcp: &TcpRepr<'_>,
    out: &mut Vec<u8>,
) {
    let ethertype = if local.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
    start(mac, to, ethertype, out);
    packet(local.ip(), remote.ip(), hop_limit, tcp, out);
    finish(out, false, 0);
}

fn start(mac: MacAddress, to: MacAddress, ethertype: EthernetProtocol, out: &mut Vec<u8>) {
    out.clear();
    out.resize(ETHERNET_HEADER_BYTES, 0);
    let header = EthernetRepr { src_addr: EthernetAddress(mac), dst_addr: EthernetAddress(to), ethertype };
    header.emit(&mut EthernetFrame::new_unchecked(out));
}

/// Writes a frame to `out` that asks routers to say what network this is (RFC 4861, section 4.1).
pub(crate) fn router_solicitation(mac: MacAddress, out: &mut Vec<u8>) {
    let (from, to) = (link_local(mac), ALL_ROUTERS);
    let lladdr = Some(HardwareAddress::Ethernet(EthernetAddress(mac)).into());
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr });
    let payload_len = message.buffer_len();
    let ip = Ipv6Repr { src_addr: from, dst_addr: to, next_header: IpProtocol::Icmpv6, payload_len, hop_limit: 255 };
    start(mac, ALL_ROUTERS_MAC, EthernetProtocol::Ipv6, out);
    out.resize(ETHERNET_HEADER_BYTES + ip.buffer_len() + payload_len, 0);
    if let Some((header, payload)) =
        out.get_mut(ETHERNET_HEADER_BYTES..).and_then(|packet| packet.split_at_mut_checked(ip.buffer_len()))
    {
        ip.emit(&mut Ipv6Packet::new_unchecked(header));
        message.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(payload), &ChecksumCapabilities::default());
    }
}
