//! Where connections arrive: from a SYN to a connection in a backlog.
//!
//! ```text
//!   SYN -> half-open entry -> answer          (again after 1, 2, 4 s)
//!   third packet -> buffers, a socket of smoltcp -> backlog -> poll_accept
//! ```
//!
//! smoltcp knows no backlog: one of its listening sockets takes one SYN. So the handshake is done here, and a socket of smoltcp is then
//! led through the same handshake in memory: it is shown the SYN, its answer is thrown away but for its first sequence number, and it is
//! shown the third packet. Our first sequence number and smoltcp's differ by a constant, which the adapter adds and subtracts.
//!
//! When a backlog is full, SYNs are dropped, not refused, so that clients try again (as Linux does); so are third packets, and their
//! connection is made when [`poll_accept`](mwasm_ports::network::TcpListener::poll_accept) has made room.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Waker;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::network::TcpOptions;
use smoltcp::wire::{TcpControl, TcpSeqNumber};

use crate::connection::{Alone, BUFFER_BYTES, Connection, Link, Phase, window_shift};
use crate::handshake::{Control, HalfOpen, Head, Key, bare};
use crate::inner::Core;
use crate::packet::{IPV6_HEADER_BYTES, Packet, Segment, TCP_HEADER_BYTES};
use crate::port::{LOOP_MTU_BYTES, Out, Port};
use crate::reply;
use crate::slab::Id;
use crate::time::instant;

/// The sequence numbers of RFC 6528 grow by one in so many nanoseconds.
const SEQUENCE_TICK_NS: u64 = 4000;
const IPV4_HEADER_BYTES: usize = 20;

/// A listening socket.
pub(crate) struct Listener {
    pub(crate) local: SocketAddr,
    pub(crate) backlog: usize,
    pub(crate) options: TcpOptions,
    /// Connections that wait to be accepted, the oldest first.
    pub(crate) ready: VecDeque<Id>,
    pub(crate) waker: Option<Waker>,
}

impl Listener {
    fn is_full(&self) -> bool {
        self.ready.len() >= self.backlog
    }
}

impl Core {
    /// The listener for a connection to `local`.
    pub(crate) fn listener_at(&self, local: SocketAddr) -> Option<Id> {
        let fits = |listener: &Listener| {
            let (bound, wanted) = (listener.local.ip(), local.ip());
            listener.local.port() == local.port()
                && (bound == wanted || (bound.is_unspecified() && bound.is_ipv4() == wanted.is_ipv4()))
        };
        self.listeners.iter().find(|(_, listener)| fits(listener)).map(|(id, _)| id)
    }

    /// Somebody wants to connect. The answer to a frame goes back to whoever sent that.
    pub(crate) fn knock(&mut self, listener: Id, link: Link, frame: &[u8], segment: &Segment, syn: Head) {
        if self.listeners.get(listener).is_none_or(Listener::is_full) {
            self.statistics.connections_dropped += 1;
            return;
        }
        let (local, remote) = (segment.destination, segment.source);
        let key = Key::new(local, remote);
        let known = self.half_open.get_mut(&key).filter(|entry| entry.syn.sequence == syn.sequence).copied();
        let mut entry = known.unwrap_or_else(|| {
            let ticks = self.now_ns / SEQUENCE_TICK_NS;
            let sequence = (self.secret.hash(&key.words()) as u32).wrapping_add(ticks as u32);
            HalfOpen::new(listener, link, (local, remote), syn, sequence)
        });
        if let Some(mac) = frame.get(6..12).and_then(<[u8]>::first_chunk::<6>).filter(|_| link == Link::Ethernet) {
            entry.neighbour = *mac;
        }
        self.half_open.insert(entry, self.now_ns);
        self.answer(&entry);
    }

    /// Answers a SYN: the frame is in the buffer for replies afterwards, or the packet in the loop.
    fn answer(&mut self, entry: &HalfOpen) {
        let Some(listener) = self.listeners.get(entry.listener) else { return };
        let options = listener.options;
        let (receive_bytes, _) = self.buffer_bytes(&options);
        let ip_bytes = if entry.local.is_ipv4() { IPV4_HEADER_BYTES } else { IPV6_HEADER_BYTES };
        let mtu_bytes = if entry.link == Link::Loop { LOOP_MTU_BYTES } else { self.mtu_bytes };
        let mut tcp = bare(entry.local, entry.remote, entry.sequence, entry.syn.sequence.wrapping_add(1));
        tcp.control = TcpControl::Syn;
        tcp.window_len = u16::try_from(receive_bytes).unwrap_or(u16::MAX);
        tcp.max_seg_size = u16::try_from(mtu_bytes - ip_bytes - TCP_HEADER_BYTES).ok();
        tcp.window_scale = entry.syn.window_scale.map(|_| window_shift(receive_bytes));
        tcp.sack_permitted = entry.syn.selective;
        self.send_bare(entry.link, entry.neighbour, entry.local, entry.remote, options.hop_limit, &tcp);
    }

    /// Sends a segment that belongs to no socket of smoltcp.
    pub(crate) fn send_bare(
        &mut self,
        link: Link,
        neighbour: [u8; 6],
        local: SocketAddr,
        remote: SocketAddr,
        hop_limit: u8,
        tcp: &smoltcp::wire::TcpRepr<'_>,
    ) {
        match link {
            Link::Ethernet => {
                reply::frame((self.info.mac, neighbour), local, remote, hop_limit.max(1), tcp, &mut self.reply);
            }
            Link::Loop if self.looped.has_room() => {
                let mut packet = Vec::new();
                reply::packet(local.ip(), remote.ip(), hop_limit.max(1), tcp, &mut packet);
                self.looped.push(packet);
            }
            Link::Loop => {}
        }
    }

    /// Answers SYNs again whose answer may have been lost.
    pub(crate) fn answer_again(&mut self, device: &dyn NetDevice) {
        while let Some(entry) = self.half_open.next_due(self.now_ns) {
            self.answer(&entry);
            self.send_reply(device);
        }
    }

    /// A packet for a half-open connection came. Returns the connection that it has become, if it has.
    pub(crate) fn third_packet(&mut self, key: &Key, head: Head) -> Third {
        let Some(entry) = self.half_open.get_mut(key) else { return Third::Ignored };
        let in_order = head.sequence == entry.syn.sequence.wrapping_add(1);
        match (head.control, head.acknowledgement) {
            (Control::Reset, _) if in_order => {
                self.half_open.remove(key);
                Third::Ignored
            }
            (Control::None | Control::Fin, Some(acknowledgement)) => {
                if acknowledgement != entry.sequence.wrapping_add(1) {
                    return Third::Wrong;
                }
                if !in_order {
                    return Third::Ignored;
                }
                entry.waits = Some(head);
                self.establish(key).map_or(Third::Ignored, Third::Established)
            }
            _ => Third::Ignored,
        }
    }

    /// Makes a connection of a half-open one whose third packet came, if there is room.
    pub(crate) fn establish(&mut self, key: &Key) -> Option<Id> {
        let entry = *self.half_open.get_mut(key)?;
        let third = entry.waits?;
        let listener = self.listeners.get(entry.listener).filter(|listener| !listener.is_full());
        let options = listener.map(|listener| listener.options)?;
        let alone = self.has_socket_room().then(|| self.alone(&options)).flatten();
        let Some(alone) = alone else {
            self.statistics.connections_dropped += 1;
            return None;
        };
        let mut connection = Connection::new(alone, entry.link, entry.local, entry.remote, &options, self.now_ns);
        connection.sequence_shift = self.lead_through_handshake(&mut connection.alone, &entry, third)?;
        connection.phase = Phase::Open;
        self.half_open.remove(key);
        let id = self.connections.insert(connection);
        self.by_key.insert(*key, id);
        if let Some(listener) = self.listeners.get_mut(entry.listener) {
            listener.ready.push_back(id);
            self.woken.extend(listener.waker.take());
        }
        self.enqueue(id);
        Some(id)
    }

    /// Shows a new socket of smoltcp the SYN and the third packet; returns what its sequence numbers lack to be ours.
    fn lead_through_handshake(&mut self, alone: &mut Alone, entry: &HalfOpen, third: Head) -> Option<u32> {
        let (local, remote) = (entry.local, entry.remote);
        alone.socket().listen(local).ok()?;
        let mut syn = bare(remote, local, entry.syn.sequence, 0);
        syn.control = TcpControl::Syn;
        syn.ack_number = None;
        syn.window_len = entry.syn.window;
        syn.window_scale = entry.syn.window_scale;
        syn.max_seg_size = entry.syn.max_segment;
        syn.sack_permitted = entry.syn.selective;
        self.show(alone, local, remote, &syn);
        let mut answer = Vec::new();
        let mut port = Port::new(Out::Reply(&mut answer), Link::Loop, self.mtu_bytes, false, &mut self.statistics);
        self.loopback.poll_egress(instant(self.now_ns), &mut port, &mut alone.set);
        let Packet::Tcp(segment) = Packet::of_looped(&answer) else { return None };
        let theirs = Head::of(&answer, &segment)?.sequence;
        let mut last = bare(remote, local, third.sequence, theirs.wrapping_add(1));
        last.seq_number = TcpSeqNumber(entry.syn.sequence.wrapping_add(1) as i32);
        last.window_len = third.window;
        self.show(alone, local, remote, &last);
        (alone.socket().state() == smoltcp::socket::tcp::State::Established)
            .then(|| entry.sequence.wrapping_sub(theirs))
    }

    /// Gives a segment from `remote` to a socket that is in no table yet.
    fn show(&mut self, alone: &mut Alone, local: SocketAddr, remote: SocketAddr, tcp: &smoltcp::wire::TcpRepr<'_>) {
        let (mut packet, mut nothing) = (Vec::new(), Vec::new());
        reply::packet(remote.ip(), local.ip(), 64, tcp, &mut packet);
        let mut port = Port::new(Out::Reply(&mut nothing), Link::Loop, self.mtu_bytes, false, &mut self.statistics);
        port.incoming = Some(&packet);
        self.loopback.poll_ingress_single(instant(self.now_ns), &mut port, &mut alone.set);
    }

    /// The buffers of a connection with `options`, in bytes: for receiving and for sending.
    pub(crate) fn buffer_bytes(&self, options: &TcpOptions) -> (usize, usize) {
        let bytes = |wanted: Option<u64>, usual: u32| {
            let bytes = wanted.map_or(usual as usize, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
            bytes.clamp(*BUFFER_BYTES.start(), *BUFFER_BYTES.end())
        };
        let receive = bytes(options.receive_buffer_bytes, self.buffers.receive_bytes);
        (receive, bytes(options.send_buffer_bytes, self.buffers.send_bytes))
    }

    /// A socket of smoltcp with buffers for `options`: one that was used before, or a new one.
    pub(crate) fn alone(&mut self, options: &TcpOptions) -> Option<Alone> {
        let wanted = self.buffer_bytes(options);
        match self.spare.iter().rposition(|spare| spare.buffer_bytes() == wanted) {
            Some(at) => Some(self.spare.swap_remove(at)),
            None => Alone::new(wanted.0, wanted.1),
        }
    }
}

/// What became of a packet for a half-open connection.
pub(crate) enum Third {
    /// It is a connection now; the packet is for that.
    Established(Id),
    /// It acknowledges what was never sent.
    Wrong,
    /// Nothing.
    Ignored,
}
