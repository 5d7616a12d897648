//! Arbitrary bytes as what a hostile neighbour sends: frames of its own making, and segments that fit the connections it has.
//!
//! Checksums are made right, since a check of them would keep everything else from being tried.

use mwasm_net::Stack;
use mwasm_plan::net::{Ipv4, Net};
use mwasm_ports::fake::{LinkEnd, Machine, link};
use mwasm_ports::net_device::{NetDevice, TransmitChecksum};
use mwasm_ports::network::{Network, TcpOptions, TcpStream};
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

const OWN: [u8; 4] = [10, 0, 0, 1];
const OTHER: [u8; 4] = [10, 0, 0, 2];
const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The most sockets of the stack.
const MAX_SOCKETS: u32 = 16;

/// Lets a stack take in what `bytes` say, and checks that it stays within its bounds.
pub fn run(bytes: &[u8]) {
    let Some((&setting, mut rest)) = bytes.split_first() else { return };
    let machine = Machine::new(1);
    let [end, neighbour] = link(1500, true);
    let mut net = Net::default();
    if setting & 1 == 0 {
        net.ipv4 = Ipv4::Static { address: OWN.into(), prefix_bits: 24, gateway: Some(OTHER.into()) };
    }
    net.buffers.max_sockets = MAX_SOCKETS;
    let stack = Stack::new(end, machine.clone(), 1, &net);
    let mut context = Context::from_waker(Waker::noop());
    let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let listeners: Vec<_> = ["0.0.0.0:80", "[::]:80"]
        .iter()
        .filter_map(|text| stack.bind_tcp(at(text)).ok()?.listen(2, &TcpOptions::default()).ok())
        .collect();
    let datagrams: Vec<_> = ["0.0.0.0:53", "[::]:53"].iter().filter_map(|text| stack.bind_udp(at(text)).ok()).collect();
    let mut streams: Vec<Box<dyn TcpStream>> = Vec::new();
    let outgoing =
        stack.bind_tcp(at("0.0.0.0:0")).and_then(|bound| bound.connect(at("10.0.0.2:7"), &TcpOptions::default()));
    streams.extend(outgoing.ok());
    let mut seen = Seen::default();
    while let Some(([kind, length], after)) = rest.split_first_chunk::<2>() {
        let (body, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        put(&neighbour, &frame(*kind, body, &seen));
        machine.state().now_ns += 1 << (kind >> 3);
        stack.advance();
        while let Some(frame) = neighbour.take() {
            seen.look(&frame);
        }
        for listener in &listeners {
            if let Poll::Ready(Ok(stream)) = listener.poll_accept(&mut context) {
                streams.push(stream);
            }
        }
        let mut buffer = [0; 600];
        for stream in &streams {
            let _ = stream.poll_receive(&mut buffer, &mut context);
            let _ = stream.poll_send(&buffer, &mut context);
        }
        for socket in &datagrams {
            if let Poll::Ready(Ok((bytes, from))) = socket.poll_receive(&mut buffer, &mut context) {
                let _ = socket.poll_send(&buffer[..bytes], from, &mut context);
            }
        }
        if kind & 4 != 0 && !streams.is_empty() {
            streams.remove(0);
        }
        assert!(stack.statistics().connections <= u64::from(MAX_SOCKETS));
        assert!(stack.deadline_ns().is_none_or(|deadline_ns| deadline_ns < u64::MAX));
    }
}

/// What the stack sent last over TCP: what its next number is, what it waits for, and its port.
#[derive(Default)]
struct Seen {
    sequence: u32,
    acknowledgement: u32,
    port: u16,
}

impl Seen {
    fn look(&mut self, frame: &[u8]) {
        let Some(tcp) = frame.get(34..54).filter(|_| frame[12..14] == [8, 0] && frame[23] == 6) else { return };
        let word = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
        let control = u32::from(tcp[13] & 3 != 0);
        let payload = frame.len() as u32 - 34 - u32::from(tcp[12] >> 4) * 4;
        self.sequence = word(4).wrapping_add(payload + control);
        self.acknowledgement = word(8);
        self.port = u16::from_be_bytes([tcp[0], tcp[1]]);
    }
}

/// Puts a frame on the cable whose TCP or UDP checksum the other side is not to look at.
fn put(neighbour: &LinkEnd, frame: &[u8]) {
    let _ = neighbour.transmit(frame.len(), &mut |buffer| {
        buffer.copy_from_slice(frame);
        Some(TransmitChecksum { start: 0, offset: 0 })
    });
}

/// The checksum that makes `bytes` and `more` right.
fn checksum(bytes: &[u8], more: u32) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |byte| u32::from(*byte)));
    let mut sum = words.sum::<u32>() + more;
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!(sum as u16)).to_be_bytes()
}

/// A frame of one of the kinds that a stack looks into.
fn frame(kind: u8, body: &[u8], seen: &Seen) -> Vec<u8> {
    let (protocol, payload) = match kind % 8 {
        0 => return body.to_vec(),
        1 => {
            let mut arp = [&[0, 1, 8, 0, 6, 4, 0][..], body].concat();
            arp.resize(28, 0);
            return ethernet([8, 6], &arp);
        }
        2 => return ethernet([0x86, 0xdd], &six(58, body)),
        3 => return ethernet([0x86, 0xdd], &six(body.first().copied().unwrap_or(6), body)),
        4 => (1, body.to_vec()),
        5 => (17, body.to_vec()),
        _ => (6, segment(body, seen)),
    };
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    ip.extend(OTHER);
    ip.extend(OWN);
    ip[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    let sum = checksum(&ip, 0);
    ip[10..12].copy_from_slice(&sum);
    ip.extend(payload);
    if protocol == 1 && ip.len() > 24 {
        ip[22..24].fill(0);
        let sum = checksum(&ip[20..], 0);
        ip[22..24].copy_from_slice(&sum);
    }
    ethernet([8, 0], &ip)
}

/// A TCP segment with numbers near those that the stack expects.
fn segment(body: &[u8], seen: &Seen) -> Vec<u8> {
    let byte = |at: usize| body.get(at).copied().unwrap_or(0);
    let near = |number: u32, by: u8| number.wrapping_add((by as i8) as u32);
    let own_port = if byte(0) & 1 == 0 { 80 } else { seen.port };
    let other_port = if own_port == 80 { 1000 + u16::from(byte(0) >> 6) } else { 7 };
    let mut tcp = Vec::new();
    tcp.extend(other_port.to_be_bytes());
    tcp.extend(own_port.to_be_bytes());
    tcp.extend(near(seen.acknowledgement, byte(1)).to_be_bytes());
    tcp.extend(near(seen.sequence, byte(2)).to_be_bytes());
    tcp.extend([byte(3) << 4 | 0x50, byte(4), byte(5), byte(6), 0, 0, 0, 0]);
    tcp.extend(body.get(7..).unwrap_or(&[]));
    tcp
}

/// An IPv6 packet from the neighbour's address on the link to the stack's, or to all.
fn six(protocol: u8, body: &[u8]) -> Vec<u8> {
    let address = |last: u8| [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, last];
    let mut payload = body.to_vec();
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend((payload.len() as u16).to_be_bytes());
    ip.extend([protocol, 255]);
    ip.extend(address(2));
    ip.extend(address(1));
    if protocol == 58 && payload.len() > 4 {
        payload[2..4].fill(0);
        let pseudo = !u16::from_be_bytes(checksum(&ip[8..40], 58 + payload.len() as u32));
        let sum = checksum(&payload, u32::from(pseudo));
        payload[2..4].copy_from_slice(&sum);
    }
    ip.extend(payload);
    ip
}

fn ethernet(ethertype: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&OWN_MAC[..], &OTHER_MAC, &ethertype, payload].concat()
}
