//! How a machine gets its addresses: DHCP, SLAAC, cables that are unplugged; and what it answers to pings and datagrams.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use mwasm_plan::net::{Ipv4, Ipv6, Net};
use mwasm_ports::fake::{LinkEnd, link};
use mwasm_ports::faulty::DeviceFaults;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::network::{NetError, Network};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::*;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
const ROUTER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
const STACK_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const LEASE_S: u32 = 600;

/// A DHCP server on the other end of a cable, which also answers ARP.
#[derive(Default)]
struct Dhcp {
    silent: bool,
    refuses: bool,
    /// The last byte of the address that it gives.
    gives: u8,
    /// What it was asked: when, and what for.
    asked: Vec<(u64, DhcpMessageType)>,
    hostname: Vec<u8>,
    arp: bool,
}

fn frame(to: EthernetAddress, ethertype: EthernetProtocol, payload: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = vec![0; 14 + payload];
    let header = EthernetRepr { src_addr: ROUTER_MAC, dst_addr: to, ethertype };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    fill(&mut frame[14..]);
    frame
}

/// An IPv4 packet from the router.
fn ip_packet(from: Ipv4Addr, to: Ipv4Addr, next: IpProtocol, payload: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let ip = IpRepr::new(from.into(), to.into(), next, payload, 64);
    frame(STACK_MAC, EthernetProtocol::Ipv4, ip.buffer_len(), |bytes| {
        ip.emit(&mut *bytes, &ChecksumCapabilities::default());
        fill(&mut bytes[ip.header_len()..]);
    })
}

impl Dhcp {
    fn frame(&mut self, bytes: &[u8], now: u64, end: &LinkEnd) {
        let ethernet = EthernetFrame::new_checked(bytes).unwrap();
        match ethernet.ethertype() {
            EthernetProtocol::Arp => {
                let packet = ArpPacket::new_checked(ethernet.payload()).unwrap();
                let Ok(ArpRepr::EthernetIpv4 {
                    source_hardware_addr, source_protocol_addr, target_protocol_addr, ..
                }) = ArpRepr::parse(&packet)
                else {
                    return;
                };
                self.arp = true;
                if target_protocol_addr != ROUTER || self.silent {
                    return;
                }
                let reply = ArpRepr::EthernetIpv4 {
                    operation: ArpOperation::Reply,
                    source_hardware_addr: ROUTER_MAC,
                    source_protocol_addr: ROUTER,
                    target_hardware_addr: source_hardware_addr,
                    target_protocol_addr: source_protocol_addr,
                };
                end.inject(&frame(STACK_MAC, EthernetProtocol::Arp, reply.buffer_len(), |bytes| {
                    reply.emit(&mut ArpPacket::new_unchecked(bytes));
                }));
            }
            EthernetProtocol::Ipv4 => {
                let ip = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
                assert!(ip.verify_checksum());
                if ip.next_header() == IpProtocol::Udp {
                    let udp = UdpPacket::new_checked(ip.payload()).unwrap();
                    assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
                    if udp.dst_port() == 67 {
                        self.message(udp.payload(), now, end);
                    }
                }
            }
            _ => {}
        }
    }

    fn message(&mut self, bytes: &[u8], now: u64, end: &LinkEnd) {
        let packet = DhcpPacket::new_checked(bytes).unwrap();
        let request = DhcpRepr::parse(&packet).unwrap();
        self.hostname = packet.options().find(|option| option.kind == 12).unwrap().data.to_vec();
        self.asked.push((now, request.message_type));
        if self.silent {
            return;
        }
        let message_type = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            _ if self.refuses => DhcpMessageType::Nak,
            _ => DhcpMessageType::Ack,
        };
        let reply = DhcpRepr {
            message_type,
            your_ip: Ipv4Addr::new(10, 0, 0, self.gives),
            server_ip: ROUTER,
            router: Some(ROUTER),
            subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            client_identifier: None,
            server_identifier: Some(ROUTER),
            parameter_request_list: None,
            dns_servers: Some([ROUTER, Ipv4Addr::new(9, 9, 9, 9)].into_iter().collect()),
            lease_duration: Some(LEASE_S),
            requested_ip: None,
            max_size: None,
            additional_options: &[],
            ..request
        };
        let udp = UdpRepr { src_port: 67, dst_port: 68 };
        let (from, to) = (ROUTER, Ipv4Addr::BROADCAST);
        let bytes = reply.buffer_len();
        end.inject(&ip_packet(from, to, IpProtocol::Udp, 8 + bytes, |payload| {
            let mut packet = UdpPacket::new_unchecked(payload);
            let fill = |data: &mut [u8]| reply.emit(&mut DhcpPacket::new_unchecked(data)).unwrap();
            udp.emit(&mut packet, &from.into(), &to.into(), bytes, fill, &ChecksumCapabilities::default());
        }));
    }
}

/// A stack that asks a DHCP server for its address.
fn with_dhcp() -> (World, Arc<mwasm_net::Stack>, Arc<Mutex<Dhcp>>, Arc<LinkEnd>) {
    let world = World::new(1);
    let [end, server_end] = link(1500, false);
    let net = Net { ipv6: Ipv6::Off, hostname: "unikernel", ..Net::default() };
    let stack = world.stack(end, &net);
    let dhcp = Arc::new(Mutex::new(Dhcp { gives: 5, ..Dhcp::default() }));
    let (server, cable) = (dhcp.clone(), server_end.clone());
    world.peer(move |now| {
        let mut worked = false;
        while let Some(bytes) = cable.take() {
            server.lock().unwrap().frame(&bytes, now, &cable);
            worked = true;
        }
        worked
    });
    (world, stack, dhcp, server_end)
}

async fn configured(stack: &Arc<mwasm_net::Stack>) -> std::result::Result<(), NetError> {
    poll_fn(|context| stack.poll_configured(context)).await
}

fn has(stack: &Arc<mwasm_net::Stack>, address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    stack.status().addresses.iter().any(|(own, _)| *own == address)
}

#[test]
fn dhcp_gives_an_address_and_renews_it() {
    let (world, stack, dhcp, _) = with_dhcp();
    world.run(async {
        configured(&stack).await.unwrap();
        assert!(has(&stack, "10.0.0.5") && world.now() < SECOND);
        let servers: Vec<SocketAddr> = ["10.0.0.254:53", "9.9.9.9:53"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(stack.status().nameservers, servers);
        assert_eq!(dhcp.lock().unwrap().hostname, b"unikernel");
        for _ in 0..20 {
            world.sleep(u64::from(LEASE_S) / 2 * SECOND).await;
            assert!(has(&stack, "10.0.0.5"));
        }
        let asked = dhcp.lock().unwrap().asked.len();
        assert!((20..=24).contains(&asked), "one request for each half of a lease, not {asked}");
    });
}

#[test]
fn an_address_is_kept_until_its_lease_ends_and_then_another_is_found() {
    let (world, stack, dhcp, _) = with_dhcp();
    world.run(async {
        configured(&stack).await.unwrap();
        dhcp.lock().unwrap().silent = true;
        world.sleep(u64::from(LEASE_S - 10) * SECOND).await;
        assert!(has(&stack, "10.0.0.5"));
        world.sleep(20 * SECOND).await;
        assert!(!has(&stack, "10.0.0.5"));
        assert_eq!(configured(&stack).await, Err(NetError::RemoteUnreachable));
        world.sleep(3600 * SECOND).await;
        (dhcp.lock().unwrap().silent, dhcp.lock().unwrap().gives) = (false, 6);
        world.sleep(10 * SECOND).await;
        assert!(has(&stack, "10.0.0.6"));
    });
}

#[test]
fn a_server_that_takes_the_address_back_is_obeyed() {
    let (world, stack, dhcp, _) = with_dhcp();
    world.run(async {
        configured(&stack).await.unwrap();
        (dhcp.lock().unwrap().refuses, dhcp.lock().unwrap().gives) = (true, 7);
        world.sleep(u64::from(LEASE_S) / 2 * SECOND + SECOND).await;
        assert!(!has(&stack, "10.0.0.5"));
        dhcp.lock().unwrap().refuses = false;
        world.sleep(10 * SECOND).await;
        assert!(has(&stack, "10.0.0.7"));
    });
}

#[test]
fn without_a_server_the_app_learns_that_in_time() {
    let (world, stack, dhcp, _) = with_dhcp();
    dhcp.lock().unwrap().silent = true;
    world.run(async {
        let stream = start(&stack, "10.0.0.254:80".parse().unwrap()).unwrap();
        assert_eq!(connected(&*stream).await, Err(NetError::RemoteUnreachable));
        assert_eq!(world.now() / SECOND, 10);
        assert_eq!(configured(&stack).await, Err(NetError::RemoteUnreachable));
    });
}

#[test]
fn connecting_waits_for_the_address() {
    let (world, stack, dhcp, end) = with_dhcp();
    dhcp.lock().unwrap().silent = true;
    world.run(async {
        let stream = start(&stack, "10.0.0.254:80".parse().unwrap()).unwrap();
        world.sleep(4 * SECOND).await;
        assert!(!dhcp.lock().unwrap().arp, "nothing was sent yet");
        dhcp.lock().unwrap().silent = false;
        world.sleep(4 * SECOND).await;
        assert!(dhcp.lock().unwrap().arp && stream.local().ip() == IpAddr::from([10, 0, 0, 5]));
    });
    drop(end);
}

#[test]
fn a_cable_that_is_plugged_in_elsewhere_finds_another_address() {
    let (world, stack, dhcp, end) = with_dhcp();
    world.run(async {
        configured(&stack).await.unwrap();
        end.plug(false);
        world.sleep(5 * SECOND).await;
        assert!(has(&stack, "10.0.0.5"), "a cable may be loose for a moment");
        dhcp.lock().unwrap().gives = 8;
        end.plug(true);
        world.sleep(5 * SECOND).await;
        assert!(has(&stack, "10.0.0.8") && !has(&stack, "10.0.0.5"));
        end.plug(false);
        world.sleep(5 * SECOND).await;
        dhcp.lock().unwrap().silent = true;
        end.plug(true);
        world.sleep(50 * SECOND).await;
        assert!(has(&stack, "10.0.0.8"));
        world.sleep(20 * SECOND).await;
        assert!(!has(&stack, "10.0.0.8"), "nobody has said for a minute that it still holds");
    });
}

/// A router advertisement for `fd00::/64`.
fn advertisement() -> Vec<u8> {
    let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xff);
    let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: smoltcp::time::Duration::from_secs(1800),
        reachable_time: smoltcp::time::Duration::ZERO,
        retrans_time: smoltcp::time::Duration::ZERO,
        lladdr: None,
        mtu: None,
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len: 64,
            flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
            valid_lifetime: smoltcp::time::Duration::from_secs(86_400),
            preferred_lifetime: smoltcp::time::Duration::from_secs(86_400),
            prefix: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0),
        }),
    });
    let payload_len = message.buffer_len();
    let ip = Ipv6Repr { src_addr: from, dst_addr: to, next_header: IpProtocol::Icmpv6, payload_len, hop_limit: 255 };
    let all_nodes = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
    frame(all_nodes, EthernetProtocol::Ipv6, 40 + payload_len, |bytes| {
        ip.emit(&mut Ipv6Packet::new_unchecked(&mut bytes[..40]));
        let mut packet = Icmpv6Packet::new_unchecked(&mut bytes[40..]);
        message.emit(&from, &to, &mut packet, &ChecksumCapabilities::default());
    })
}

#[test]
fn a_router_makes_an_address_and_two_stacks_talk_by_it() {
    let net = Net { ipv4: Ipv4::Off, ..Net::default() };
    let pair = Pair::with(DeviceFaults::default(), 1, &net, &net);
    pair.run(async {
        pair.world.sleep(SECOND).await;
        pair.client_end.inject(&advertisement());
        pair.server_end.inject(&advertisement());
        configured(&pair.server).await.unwrap();
        configured(&pair.client).await.unwrap();
        let at: SocketAddr = "[fd00::ff:fe00:1]:80".parse().unwrap();
        assert!(has(&pair.server, "fd00::ff:fe00:1") && has(&pair.server, "fe80::ff:fe00:1"));
        let listener = listen(&pair.server, "[::]:80".parse().unwrap(), 4);
        let stream = start(&pair.client, at).unwrap();
        connected(&*stream).await.unwrap();
        let served = accept(&*listener).await;
        write_all(&*stream, b"by six").await.unwrap();
        drop(stream);
        assert_eq!(read_to_end(&*served).await.unwrap(), b"by six");
        assert_eq!(served.local(), at);
    });
}

#[test]
fn a_machine_with_six_waits_a_little_for_four() {
    let world = World::new(1);
    let [end, router] = link(1500, false);
    let stack = world.stack(end, &Net::default());
    world.run(async {
        world.sleep(SECOND / 10).await;
        router.inject(&advertisement());
        configured(&stack).await.unwrap();
        assert!(world.now() == 2 * SECOND && has(&stack, "fd00::ff:fe00:1"));
    });
}

#[test]
fn without_a_router_a_stack_stops_asking() {
    let net = Net { ipv4: Ipv4::Off, ..Net::default() };
    let world = World::new(1);
    let [end, other] = link(1500, false);
    let stack = world.stack(end, &net);
    world.run(async {
        world.sleep(60 * SECOND).await;
        let mut asked = 0;
        while let Some(frame) = other.take() {
            let packet = Ipv6Packet::new_checked(&frame[14..]).unwrap();
            let message = Icmpv6Packet::new_checked(packet.payload()).unwrap();
            assert!(message.verify_checksum(&packet.src_addr(), &packet.dst_addr()));
            assert_eq!(message.msg_type(), Icmpv6Message::RouterSolicit);
            asked += 1;
        }
        assert_eq!((asked, stack.deadline_ns()), (3, None));
        assert_eq!(configured(&stack).await, Err(NetError::RemoteUnreachable));
    });
}

#[test]
fn pings_are_answered() {
    let world = World::new(1);
    let [end, other] = link(1500, false);
    let _stack = world.stack(end, &fixed("10.0.0.1"));
    world.run(async {
        let request = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 9, data: b"are you there?" };
        let arp = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: ROUTER_MAC,
            source_protocol_addr: ROUTER,
            target_hardware_addr: EthernetAddress::BROADCAST,
            target_protocol_addr: Ipv4Addr::new(10, 0, 0, 1),
        };
        other.inject(&frame(EthernetAddress::BROADCAST, EthernetProtocol::Arp, arp.buffer_len(), |bytes| {
            arp.emit(&mut ArpPacket::new_unchecked(bytes));
        }));
        let to = Ipv4Addr::new(10, 0, 0, 1);
        other.inject(&ip_packet(ROUTER, to, IpProtocol::Icmp, request.buffer_len(), |bytes| {
            request.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
        }));
        world.sleep(SECOND / 10).await;
        assert!(other.take().is_some_and(|frame| frame[12..14] == [8, 6]), "the answer to ARP comes first");
        let reply = other.take().unwrap();
        let ip = Ipv4Packet::new_checked(&reply[14..]).unwrap();
        let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
        let reply = Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default()).unwrap();
        assert_eq!(reply, Icmpv4Repr::EchoReply { ident: 7, seq_no: 9, data: b"are you there?" });
    });
}

#[test]
fn datagrams_go_both_ways_and_their_queues_are_bounded() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let at: SocketAddr = "10.0.0.1:53".parse().unwrap();
    let server = pair.server.bind_udp(at).unwrap();
    let client = pair.client.bind_udp("0.0.0.0:0".parse().unwrap()).unwrap();
    pair.run(async {
        send(&*client, b"question", at).await.unwrap();
        let (question, from) = receive(&*server).await;
        assert_eq!((question.as_slice(), from.ip()), (&b"question"[..], CLIENT.parse().unwrap()));
        send(&*server, b"answer", from).await.unwrap();
        assert_eq!(receive(&*client).await, (b"answer".to_vec(), at));
        assert_eq!(send(&*client, &[0; 1473], at).await, Err(NetError::DatagramTooLarge));
        assert_eq!(send(&*client, &[0; 1472], at).await, Ok(()));
        assert_eq!(receive(&*server).await.0.len(), 1472);
        assert_eq!(send(&*client, b"x", "[::1]:53".parse().unwrap()).await, Err(NetError::InvalidArgument));
        for _ in 0..1000 {
            send(&*client, &[7; 1000], at).await.unwrap();
            pair.server.advance();
        }
        pair.world.sleep(SECOND).await;
        let statistics = pair.server.statistics();
        assert!(statistics.datagrams_dropped > 700, "{statistics:?}");
        // Many to neighbours that are not there block nobody, and are given up.
        for host in 100..250 {
            send(&*client, b"anybody?", SocketAddr::from(([10, 0, 0, host], 9))).await.unwrap();
        }
        pair.world.sleep(20 * SECOND).await;
        assert_eq!(pair.client.deadline_ns(), None);
        assert_eq!(pair.client.statistics().datagrams_dropped, 64);
    });
}

#[test]
fn datagrams_to_oneself_stay_in_the_machine() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let server = pair.server.bind_udp("127.0.0.1:9".parse().unwrap()).unwrap();
    let client = pair.server.bind_udp("0.0.0.0:0".parse().unwrap()).unwrap();
    assert_eq!(pair.server.bind_udp("127.0.0.1:9".parse().unwrap()).err(), Some(NetError::AddressInUse));
    pair.run(async {
        send(&*client, &[1; 60_000], server.local()).await.unwrap();
        let (bytes, from) = receive(&*server).await;
        assert_eq!(
            (bytes.len(), from.ip(), from.port()),
            (60_000, "127.0.0.1".parse().unwrap(), client.local().port())
        );
    });
    assert_eq!(pair.server.statistics().frames_sent, 0);
}

#[test]
fn a_device_that_breaks_ends_no_one() {
    let pair = Pair::new(DeviceFaults::default(), 1);
    let listener = pair.listen(80, 4);
    pair.run(async {
        let stream = pair.start(80);
        connected(&*stream).await.unwrap();
        let _served = accept(&*listener).await;
        pair.faulty[1].set(DeviceFaults { breaks_after_frames: Some(0), ..DeviceFaults::default() });
        pair.server_end.inject(b"x");
        pair.client.advance();
        assert!(pair.client_end.is_up());
    });
}
