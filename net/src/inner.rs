//! The inside of the stack: all of its state, and the loop that moves packets.
//!
//! [`Core::advance`] does, in this order and until nothing is left or [`ROUNDS`] are over: take frames from the device, take packets that
//! stay in the machine, run what timers are due, and let every connection to which anything happened send. It touches nothing else:
//! its work follows the packets, not the sockets.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Waker;
use mwasm_plan::net::{Buffers, Net};
use mwasm_ports::net_device::{NetDevice, NetDeviceInfo, ReceivedChecksum};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::wire::{EthernetAddress, HardwareAddress};

use crate::Statistics;
use crate::addresses::Addresses;
use crate::bindings::Bindings;
use crate::connection::{Alone, Connection, Link};
use crate::handshake::{HalfOpens, Key, TimeWaits};
use crate::listener::Listener;
use crate::packet::Packet;
use crate::port::{Loop, Out, Port, Sent};
use crate::secret::Secret;
use crate::slab::{Id, Slab};
use crate::time::{instant, true_instant, true_nanoseconds};
use crate::udp::{Courier, Datagrams};

/// How often the loop goes around before the app gets its turn again.
const ROUNDS: usize = 8;
/// Packets from one place in one round.
const BATCH: usize = 64;
/// smoltcp's devices have an MTU; one below this (RFC 8200, section 5) or above would break its arithmetic.
const MTU_BYTES: core::ops::RangeInclusive<usize> = 1280..=mwasm_ports::net_device::MAX_MTU_BYTES as usize;

/// All state of a stack.
pub(crate) struct Core {
    pub(crate) now_ns: u64,
    pub(crate) info: NetDeviceInfo,
    pub(crate) mtu_bytes: usize,
    pub(crate) buffers: Buffers,
    pub(crate) ethernet: Interface,
    /// What stays in the machine goes through an interface of its own, which has neither neighbours nor routes.
    pub(crate) loopback: Interface,
    pub(crate) looped: Loop,
    pub(crate) addresses: Addresses,
    pub(crate) secret: Secret,
    pub(crate) statistics: Statistics,
    pub(crate) connections: Slab<Connection>,
    pub(crate) by_key: BTreeMap<Key, Id>,
    pub(crate) listeners: Slab<Listener>,
    pub(crate) half_open: HalfOpens,
    pub(crate) time_waits: TimeWaits,
    /// Connections that nobody holds any more, the oldest first.
    pub(crate) lingering: VecDeque<Id>,
    /// Sockets of connections that are over, with their buffers, for further ones.
    pub(crate) spare: Vec<Alone>,
    pub(crate) tcp: Bindings,
    pub(crate) udp: Bindings,
    pub(crate) datagrams: Slab<Datagrams>,
    pub(crate) datagrams_at: BTreeMap<SocketAddr, Id>,
    pub(crate) courier: Courier,
    /// Sockets that are bound and not yet anything else.
    pub(crate) bound: usize,
    /// Connections to which something happened.
    pub(crate) queued: VecDeque<Id>,
    /// Connections that found no room in the device's queue.
    pub(crate) blocked: Vec<Id>,
    /// Connections that wait for a neighbour to say where it is.
    pub(crate) stranded: Vec<Id>,
    pub(crate) timers: BTreeSet<(u64, Id)>,
    /// Connections that wait until the machine has an address.
    pub(crate) waiting: Vec<Id>,
    /// Whoever waits until connections that nobody holds are acknowledged.
    pub(crate) settling: Option<Waker>,
    /// Whoever is to be woken once the stack is unlocked.
    pub(crate) woken: Vec<Waker>,
    /// What answers the frame that is being looked at.
    pub(crate) reply: Vec<u8>,
    pub(crate) nobody: SocketSet<'static>,
    was_up: bool,
    has_more: bool,
}

impl Core {
    pub(crate) fn new(device: &dyn NetDevice, now_ns: u64, seed: u64, net: &Net<'_>) -> Self {
        let info = device.info();
        let mut secret = Secret::new(seed);
        let mtu_bytes = usize::from(info.mtu_bytes).clamp(*MTU_BYTES.start(), *MTU_BYTES.end());
        let mut statistics = Statistics::default();
        let mut interface = |link, address| {
            let mut config = Config::new(address);
            config.random_seed = secret.random();
            let mut nowhere = Vec::new();
            let out = Out::Reply(&mut nowhere);
            let mut port = Port::new(out, link, mtu_bytes, false, &mut statistics);
            Interface::new(config, &mut port, instant(now_ns))
        };
        // A device whose address is no single machine's gets one that is: smoltcp would not take it.
        let mac = if info.mac[0] & 1 == 0 { info.mac } else { [info.mac[0] & 0xfe | 2, 0, 0, 0, 0, 1] };
        let info = NetDeviceInfo { mac, ..info };
        let mut ethernet = interface(Link::Ethernet, HardwareAddress::Ethernet(EthernetAddress(mac)));
        let mut loopback = interface(Link::Loop, HardwareAddress::Ip);
        loopback.set_any_ip(true);
        let mut addresses = Addresses::new(net, mac, now_ns);
        addresses.apply(&mut ethernet);
        Self {
            now_ns,
            info,
            mtu_bytes,
            buffers: net.buffers,
            ethernet,
            loopback,
            looped: Loop::default(),
            addresses,
            secret,
            statistics,
            connections: Slab::default(),
            by_key: BTreeMap::new(),
            listeners: Slab::default(),
            half_open: HalfOpens::default(),
            time_waits: TimeWaits::default(),
            lingering: VecDeque::new(),
            spare: Vec::new(),
            tcp: Bindings::default(),
            udp: Bindings::default(),
            datagrams: Slab::default(),
            datagrams_at: BTreeMap::new(),
            courier: Courier::new(mtu_bytes),
            bound: 0,
            queued: VecDeque::new(),
            blocked: Vec::new(),
            stranded: Vec::new(),
            timers: BTreeSet::new(),
            waiting: Vec::new(),
            settling: None,
            woken: Vec::new(),
            reply: Vec::new(),
            nobody: SocketSet::new(Vec::new()),
            was_up: device.is_up(),
            has_more: false,
        }
    }

    /// Takes in what has come, and sends what waits.
    pub(crate) fn advance(&mut self, device: &dyn NetDevice) {
        self.look_at_cable(device);
        if device.has_room() {
            self.queued.extend(self.blocked.drain(..));
            self.woken.append(&mut self.courier.blocked);
        }
        self.time_waits.expire(self.now_ns);
        self.has_more = true;
        for _ in 0..ROUNDS {
            let frames = self.take_frames(device);
            let packets = self.take_looped();
            self.run_timers(device);
            self.run_addresses(device);
            let sent = self.send_queued(device) | self.send_unsent(device);
            if !(frames | packets | sent) {
                self.has_more = false;
                break;
            }
        }
        device.flush();
        if self.settling.is_some() && self.is_settled() {
            self.woken.extend(self.settling.take());
        }
    }

    pub(crate) fn deadline_ns(&mut self) -> Option<u64> {
        if self.has_more || !self.queued.is_empty() || !self.looped.is_empty() {
            return Some(self.now_ns);
        }
        let timers = self.timers.first().map(|(at_ns, _)| *at_ns);
        let dhcp = self.dhcp_deadline_ns();
        let addresses = self.addresses.deadline_ns(self.now_ns);
        let datagrams = self.courier.deadline_ns();
        [timers, dhcp, addresses, self.half_open.deadline_ns(), datagrams].into_iter().flatten().min()
    }

    /// When the DHCP client has something to do.
    fn dhcp_deadline_ns(&mut self) -> Option<u64> {
        let not_before_ns = self.addresses.dhcp_not_before_ns();
        let at = self.ethernet.poll_at(true_instant(self.now_ns), self.addresses.dhcp_set()?)?;
        Some(true_nanoseconds(at).max(not_before_ns))
    }

    /// How many sockets there are, as the limit counts them.
    pub(crate) fn count_sockets(&self) -> usize {
        self.connections.len() + self.listeners.len() + self.datagrams.len() + self.bound
    }

    fn look_at_cable(&mut self, device: &dyn NetDevice) {
        let is_up = device.is_up();
        if is_up && !self.was_up {
            self.addresses.replugged(self.now_ns);
        }
        self.was_up = is_up;
    }

    fn take_frames(&mut self, device: &dyn NetDevice) -> bool {
        for taken in 0..BATCH {
            if !device.has_frame() {
                return taken > 0;
            }
            let received = device.receive(&mut |frame, checksum| {
                self.statistics.frames_received += 1;
                self.frame(frame, checksum == ReceivedChecksum::Good);
            });
            self.send_reply(device);
            if received != Ok(true) {
                return taken > 0;
            }
        }
        true
    }

    fn frame(&mut self, frame: &mut [u8], checked: bool) {
        match Packet::of_frame(frame, self.info.mac, checked) {
            Packet::Tcp(segment) => self.tcp_segment(Link::Ethernet, frame, &segment),
            Packet::Udp(segment) if segment.source.port() == 67 && segment.destination.port() == 68 => {
                self.give_to_dhcp(frame);
            }
            Packet::Udp(segment) => self.datagram(frame, &segment),
            Packet::Neighbour => {
                self.give_to_smoltcp(Link::Ethernet, frame);
                self.neighbours_changed();
            }
            Packet::Router(segment) => {
                let message = &frame[segment.bytes.clone()];
                let slaac = self.addresses.slaac.as_mut().zip(match segment.source.ip() {
                    core::net::IpAddr::V6(from) => Some(from),
                    core::net::IpAddr::V4(_) => None,
                });
                if slaac.is_some_and(|(slaac, from)| slaac.advertise(from, message, self.now_ns)) {
                    self.addresses_changed();
                }
            }
            Packet::Other => self.give_to_smoltcp(Link::Ethernet, frame),
            Packet::Unwanted => self.statistics.frames_dropped += 1,
        }
    }

    fn take_looped(&mut self) -> bool {
        for taken in 0..BATCH {
            let Some(mut packet) = self.looped.pop() else { return taken > 0 };
            if let Packet::Tcp(segment) = Packet::of_looped(&packet) {
                self.tcp_segment(Link::Loop, &mut packet, &segment);
            }
            self.looped.recycle(packet);
        }
        true
    }

    /// Lets smoltcp answer a frame that is for no socket.
    pub(crate) fn give_to_smoltcp(&mut self, link: Link, frame: &[u8]) {
        let out = match link {
            Link::Ethernet => Out::Reply(&mut self.reply),
            Link::Loop => Out::Loop(&mut self.looped),
        };
        let interface = match link {
            Link::Ethernet => &mut self.ethernet,
            Link::Loop => &mut self.loopback,
        };
        let mut port = Port::new(out, link, self.mtu_bytes, false, &mut self.statistics);
        port.incoming = Some(frame);
        interface.poll_ingress_single(instant(self.now_ns), &mut port, &mut self.nobody);
    }

    fn give_to_dhcp(&mut self, frame: &[u8]) {
        let Some(set) = self.addresses.dhcp_set() else { return };
        let mut port =
            Port::new(Out::Reply(&mut self.reply), Link::Ethernet, self.mtu_bytes, false, &mut self.statistics);
        port.incoming = Some(frame);
        self.ethernet.poll_ingress_single(true_instant(self.now_ns), &mut port, set);
    }

    /// Sends what answers the frame that was looked at last, now that the device has it back.
    pub(crate) fn send_reply(&mut self, device: &dyn NetDevice) {
        if !self.reply.is_empty() {
            self.send_frame(device);
        }
    }

    /// Sends the frame in the buffer for replies.
    fn send_frame(&mut self, device: &dyn NetDevice) {
        let reply = &self.reply;
        let sent = device.transmit(reply.len(), &mut |frame| {
            if let Some(frame) = frame.get_mut(..reply.len()) {
                frame.copy_from_slice(reply);
            }
            None
        });
        match sent {
            Ok(()) => self.statistics.frames_sent += 1,
            Err(_) => self.statistics.frames_dropped += 1,
        }
        self.reply.clear();
    }

    fn run_addresses(&mut self, device: &dyn NetDevice) {
        if self.dhcp_deadline_ns().is_some_and(|at_ns| at_ns <= self.now_ns)
            && let Some(set) = self.addresses.dhcp_set()
        {
            let out = Out::Device(device);
            let finishes = self.info.transmit_checksums;
            let mut port = Port::new(out, Link::Ethernet, self.mtu_bytes, finishes, &mut self.statistics);
            self.ethernet.poll_egress(true_instant(self.now_ns), &mut port, set);
            self.addresses.dhcp_sent(self.now_ns);
        }
        if self.addresses.slaac.as_mut().is_some_and(|slaac| slaac.take_solicitation(self.now_ns)) {
            crate::reply::router_solicitation(self.info.mac, &mut self.reply);
            self.send_frame(device);
        }
        if self.addresses.update(self.now_ns) {
            self.addresses_changed();
        }
        if self.addresses.is_configured() || self.addresses.may_wait().is_err() {
            self.woken.append(&mut self.addresses.waiting);
            self.start_waiting();
        }
    }

    fn addresses_changed(&mut self) {
        self.addresses.apply(&mut self.ethernet);
        // Connections from an address that is no more end when they next send: let them do so now.
        let ids: Vec<Id> = self.connections.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.enqueue(id);
        }
    }

    fn neighbours_changed(&mut self) {
        let stranded = core::mem::take(&mut self.stranded);
        for id in stranded {
            if self.connections.get(id).is_some_and(|connection| connection.neighbour_missing_since_ns.is_some()) {
                self.enqueue(id);
                self.stranded.push(id);
            }
        }
        self.courier.try_again(self.now_ns);
    }

    /// Marks a connection as one that may have something to send or to say.
    pub(crate) fn enqueue(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(id)
            && !core::mem::replace(&mut connection.is_queued, true)
        {
            self.queued.push_back(id);
        }
    }
}

/// What smoltcp does with one connection's set.
pub(crate) fn poll_egress(
    interface: &mut Interface,
    mut port: Port<'_>,
    set: &mut SocketSet<'static>,
    now_ns: u64,
    most: usize,
) -> Sent {
    let now = instant(now_ns);
    for _ in 0..most {
        let before = port.sent.packets;
        interface.poll_egress(now, &mut port, set);
        if port.sent.packets == before {
            break;
        }
    }
    port.sent
}
