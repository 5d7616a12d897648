//! How fast TCP is: two stacks over a cable in memory, and a stack with itself, beside bare sockets of smoltcp on the same path.
//!
//! `cargo run --release -p mwasm-net --example loopback` prints megabytes a second, and the ratio to smoltcp's.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use mwasm_net::Stack;
use mwasm_plan::net::{Ipv4, Ipv6, Net};
use mwasm_ports::fake::link;
use mwasm_ports::network::{Network, TcpOptions, TcpStream};
use mwasm_ports::{Clock, WallTime};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Loopback, Medium};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Bytes of one transfer.
const BYTES: usize = 256 << 20;
/// Bytes that the app writes and reads at once.
const PIECE: usize = 16 << 10;
/// Bytes of each buffer of a connection.
const BUFFER: usize = 64 << 10;
/// How often each row is measured; the best counts.
const TRIES: usize = 3;

struct RealClock(Instant);

impl Clock for RealClock {
    fn monotonic_ns(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    fn monotonic_resolution_ns(&self) -> u64 {
        1
    }

    fn wall(&self) -> WallTime {
        WallTime::default()
    }

    fn wall_resolution_ns(&self) -> u64 {
        1
    }
}

/// smoltcp's loopback device with another MTU.
struct Narrow(Loopback, usize);

impl Device for Narrow {
    type RxToken<'a> = <Loopback as Device>::RxToken<'a>;
    type TxToken<'a> = <Loopback as Device>::TxToken<'a>;

    fn receive(&mut self, now: smoltcp::time::Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.0.receive(now)
    }

    fn transmit(&mut self, now: smoltcp::time::Instant) -> Option<Self::TxToken<'_>> {
        self.0.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = self.0.capabilities();
        capabilities.max_transmission_unit = self.1;
        capabilities
    }
}

/// Megabytes a second of bare sockets of smoltcp on its loopback device.
fn bare(mtu: usize) -> f64 {
    let mut device = Narrow(Loopback::new(Medium::Ethernet), mtu);
    let start = Instant::now();
    let now = || smoltcp::time::Instant::from_micros(start.elapsed().as_micros() as i64);
    let config = Config::new(HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 1])));
    let mut interface = Interface::new(config, &mut device, now());
    interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(IpAddress::v4(127, 0, 0, 1), 8)).unwrap());
    let mut sockets = SocketSet::new(vec![]);
    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
    let mut server = tcp::Socket::new(buffer(), buffer());
    server.listen(1234).unwrap();
    let mut client = tcp::Socket::new(buffer(), buffer());
    client.connect(interface.context(), (IpAddress::v4(127, 0, 0, 1), 1234), 65000).unwrap();
    let (server, client) = (sockets.add(server), sockets.add(client));
    let (outgoing, mut incoming) = (vec![7; PIECE], vec![0; PIECE]);
    let before = cpu_ns();
    let mut received = 0;
    while received < BYTES {
        interface.poll(now(), &mut device, &mut sockets);
        let socket = sockets.get_mut::<tcp::Socket>(client);
        while socket.can_send() {
            socket.send_slice(&outgoing).unwrap();
        }
        let socket = sockets.get_mut::<tcp::Socket>(server);
        while socket.can_recv() {
            received += socket.recv_slice(&mut incoming).unwrap();
        }
    }
    received as f64 * 1e3 / (cpu_ns() - before) as f64
}

fn fixed(address: [u8; 4]) -> Net<'static> {
    let ipv4 = Ipv4::Static { address: address.into(), prefix_bits: 24, gateway: None };
    Net { ipv4, ipv6: Ipv6::Off, ..Net::default() }
}

/// Megabytes a second from one stack to another, or to itself.
fn ours(mtu: u16, checksums: bool, oneself: bool) -> f64 {
    let start = Instant::now();
    let clock = Arc::new(RealClock(start));
    let [one, other] = link(mtu, checksums);
    let server = Stack::new(one, clock.clone(), 1, &fixed([10, 0, 0, 1]));
    let client = if oneself { server.clone() } else { Stack::new(other, clock, 2, &fixed([10, 0, 0, 2])) };
    let mut context = Context::from_waker(Waker::noop());
    let at: SocketAddr = "10.0.0.1:80".parse().unwrap();
    let listener = server.bind_tcp(at).unwrap().listen(4, &TcpOptions::default()).ok().unwrap();
    let any = "0.0.0.0:0".parse().unwrap();
    let stream = client.bind_tcp(any).unwrap().connect(at, &TcpOptions::default()).ok().unwrap();
    let served: Box<dyn TcpStream> = loop {
        client.advance();
        server.advance();
        if let Poll::Ready(served) = listener.poll_accept(&mut context) {
            break served.ok().unwrap();
        }
    };
    let (outgoing, mut incoming) = (vec![7; PIECE], vec![0; PIECE]);
    let before = cpu_ns();
    let mut received = 0;
    while received < BYTES {
        while let Poll::Ready(Ok(_)) = stream.poll_send(&outgoing, &mut context) {}
        client.advance();
        if !oneself {
            server.advance();
        }
        while let Poll::Ready(Ok(bytes)) = served.poll_receive(&mut incoming, &mut context) {
            received += bytes;
        }
    }
    let rate = received as f64 * 1e3 / (cpu_ns() - before) as f64;
    let (sent, got) = (client.statistics(), server.statistics());
    let per_byte = |bytes: u64| bytes as f64 / received as f64;
    println!(
        "    copies a byte: {:.2} app to socket and back, {:.2} socket to device and back; {} frames dropped",
        per_byte(sent.bytes_copied_app + if oneself { 0 } else { got.bytes_copied_app }),
        per_byte(sent.bytes_copied_device + if oneself { 0 } else { got.bytes_copied_device }),
        sent.frames_dropped + got.frames_dropped,
    );
    rate
}

/// The time that this program had a processor, in nanoseconds: what others do on the machine does not count.
fn cpu_ns() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_else(|| panic!("not as on Linux: {schedstat}"))
}

fn best(measure: impl Fn() -> f64) -> f64 {
    (0..TRIES).map(|_| measure()).fold(0.0, f64::max)
}

fn main() {
    let only = std::env::args().nth(1);
    let mut beside = f64::NAN;
    let mut row = |name: &str, is_beside: bool, measure: &dyn Fn() -> f64| {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        let rate = best(measure);
        beside = if is_beside { rate } else { beside };
        println!("{name:<52} {rate:>7.0} MB/s {:>5.0} %", 100.0 * rate / beside);
    };
    for mtu in [1500, 9000] {
        row(&format!("smoltcp, one interface, MTU {mtu}"), true, &|| bare(usize::from(mtu) + 14));
        row(&format!("two stacks, MTU {mtu}, checksums by the stacks"), false, &|| ours(mtu, false, false));
        row(&format!("two stacks, MTU {mtu}, checksums by the devices"), false, &|| ours(mtu, true, false));
    }
    row("smoltcp, one interface, MTU 16384", true, &|| bare(16_384 + 14));
    row("one stack with itself", false, &|| ours(1500, false, true));
}
