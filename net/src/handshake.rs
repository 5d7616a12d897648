//! Connections that are not yet, and those that are no more: no buffers, a few bytes each.
//!
//! A SYN is answered from a small table, and becomes a connection with buffers only when its sender has shown that it is there, by the
//! third packet of the handshake. So a flood of SYNs costs 100 bytes each, of which there are at most [`MAX_HALF_OPEN`]; when the
//! table is full, the oldest entry goes, so that others are served as long as their answer comes before that many other SYNs do.
//!
//! At the other end of its life, a connection that waits for stray packets (TIME-WAIT) is again an entry of a table.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::net::{IpAddr, SocketAddr};
use smoltcp::wire::{TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use crate::connection::Link;
use crate::packet::Segment;
use crate::slab::Id;

/// The most SYNs that wait for the third packet of their handshake.
pub(crate) const MAX_HALF_OPEN: usize = 1024;
/// How long such a SYN is remembered, in nanoseconds.
pub(crate) const HALF_OPEN_NS: u64 = 15_000_000_000;
/// When the answer to a SYN is sent again, counted from the one before, in nanoseconds; doubles each time.
const ANSWER_AGAIN_NS: u64 = 1_000_000_000;
/// The most closed connections whose stray packets are waited for; more than that, and the oldest goes.
pub(crate) const MAX_TIME_WAIT: usize = 4096;
/// How long stray packets of a closed connection are waited for, in nanoseconds. Twice the time that a segment may live would be
/// 240 s; like other systems, this one takes less, since sequence numbers grow with time.
pub(crate) const TIME_WAIT_NS: u64 = 10_000_000_000;

/// A connection, by its addresses, in the order that is quickest to compare. IPv4 addresses are mapped ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    ports: u32,
    remote: u128,
    local: u128,
}

impl Key {
    pub(crate) fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let ports = u32::from(remote.port()) << 16 | u32::from(local.port());
        Self { ports, remote: bits(remote.ip()), local: bits(local.ip()) }
    }

    /// The words that a connection's first sequence number is made of.
    pub(crate) fn words(&self) -> [u64; 5] {
        let halves = |bits: u128| [(bits >> 64) as u64, bits as u64];
        let ([a, b], [c, d]) = (halves(self.remote), halves(self.local));
        [a, b, c, d, u64::from(self.ports)]
    }
}

/// What the stack reads of a segment itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) control: Control,
    pub(crate) sequence: u32,
    /// The acknowledgement number, if it has one.
    pub(crate) acknowledgement: Option<u32>,
    pub(crate) window: u16,
    /// Sequence numbers that it takes.
    pub(crate) length: u32,
    pub(crate) max_segment: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) selective: bool,
}

/// The flag of a segment that says the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    None,
    Syn,
    Fin,
    Reset,
}

impl Head {
    /// Reads the head of `segment`; `None` if it makes no sense.
    pub(crate) fn of(frame: &[u8], segment: &Segment) -> Option<Self> {
        let packet = TcpPacket::new_checked(frame.get(segment.bytes.clone())?).ok()?;
        let (source, destination) = (segment.source.ip().into(), segment.destination.ip().into());
        let ignored = smoltcp::phy::ChecksumCapabilities::ignored();
        let repr = TcpRepr::parse(&packet, &source, &destination, &ignored).ok()?;
        Some(Self {
            control: match repr.control {
                TcpControl::None | TcpControl::Psh => Control::None,
                TcpControl::Syn => Control::Syn,
                TcpControl::Fin => Control::Fin,
                TcpControl::Rst => Control::Reset,
            },
            sequence: repr.seq_number.0 as u32,
            acknowledgement: repr.ack_number.map(|number| number.0 as u32),
            window: repr.window_len,
            length: repr.segment_len() as u32,
            max_segment: repr.max_seg_size,
            window_scale: repr.window_scale,
            selective: repr.sack_permitted,
        })
    }
}

/// A segment of ours that carries no data.
pub(crate) fn bare(local: SocketAddr, remote: SocketAddr, sequence: u32, acknowledgement: u32) -> TcpRepr<'static> {
    TcpRepr {
        src_port: local.port(),
        dst_port: remote.port(),
        control: TcpControl::None,
        seq_number: TcpSeqNumber(sequence as i32),
        ack_number: Some(TcpSeqNumber(acknowledgement as i32)),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    }
}

/// A SYN that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) listener: Id,
    pub(crate) link: Link,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Who sent it, or the router before that.
    pub(crate) neighbour: [u8; 6],
    pub(crate) syn: Head,
    /// Our first sequence number.
    pub(crate) sequence: u32,
    came_ns: u64,
    again_ns: u64,
    again_after_ns: u64,
    /// The third packet came, but the backlog was full.
    pub(crate) waits: Option<Head>,
}

/// SYNs that were answered.
#[derive(Default)]
pub(crate) struct HalfOpens {
    entries: BTreeMap<Key, HalfOpen>,
    /// By when the answer must be sent again.
    timers: BTreeSet<(u64, Key)>,
    /// By when they came.
    ages: BTreeSet<(u64, Key)>,
}

impl HalfOpens {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get_mut(&mut self, key: &Key) -> Option<&mut HalfOpen> {
        self.entries.get_mut(key)
    }

    /// Remembers a SYN. If there are too many, the oldest is forgotten.
    pub(crate) fn insert(&mut self, entry: HalfOpen, now_ns: u64) {
        let key = Key::new(entry.local, entry.remote);
        self.remove(&key);
        while self.entries.len() >= MAX_HALF_OPEN
            && let Some((_, oldest)) = self.ages.first().copied()
        {
            self.remove(&oldest);
        }
        let again_ns = now_ns + ANSWER_AGAIN_NS;
        let entry = HalfOpen { came_ns: now_ns, again_ns, again_after_ns: ANSWER_AGAIN_NS, ..entry };
        self.entries.insert(key, entry);
        self.timers.insert((again_ns, key));
        self.ages.insert((now_ns, key));
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Option<HalfOpen> {
        let entry = self.entries.remove(key)?;
        self.timers.remove(&(entry.again_ns, *key));
        self.ages.remove(&(entry.came_ns, *key));
        Some(entry)
    }

    /// Forgets those of a listener that is no more.
    pub(crate) fn remove_of(&mut self, listener: Id) {
        let keys: alloc::vec::Vec<Key> =
            self.entries.iter().filter(|(_, entry)| entry.listener == listener).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    /// One whose third packet came while the backlog of `listener` was full.
    pub(crate) fn first_that_waits(&self, listener: Id) -> Option<Key> {
        let waits = |entry: &HalfOpen| entry.listener == listener && entry.waits.is_some();
        self.entries.iter().find(|(_, entry)| waits(entry)).map(|(key, _)| *key)
    }

    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        self.timers.first().map(|(at_ns, _)| *at_ns)
    }

    /// One whose answer must be sent again; those that are too old are forgotten.
    pub(crate) fn next_due(&mut self, now_ns: u64) -> Option<HalfOpen> {
        loop {
            let (_, key) = *self.timers.first().filter(|(at_ns, _)| *at_ns <= now_ns)?;
            let mut entry = self.remove(&key)?;
            if now_ns.saturating_sub(entry.came_ns) >= HALF_OPEN_NS {
                continue;
            }
            entry.again_after_ns *= 2;
            entry.again_ns = now_ns + entry.again_after_ns;
            self.timers.insert((entry.again_ns, key));
            self.ages.insert((entry.came_ns, key));
            self.entries.insert(key, entry);
            if entry.waits.is_none() {
                return Some(entry);
            }
        }
    }
}

impl HalfOpen {
    pub(crate) fn new(
        listener: Id,
        link: Link,
        (local, remote): (SocketAddr, SocketAddr),
        syn: Head,
        sequence: u32,
    ) -> Self {
        let (neighbour, waits) = ([0; 6], None);
        let (came_ns, again_ns, again_after_ns) = (0, 0, 0);
        Self { listener, link, local, remote, neighbour, syn, sequence, came_ns, again_ns, again_after_ns, waits }
    }
}

/// Closed connections whose stray packets are waited for.
#[derive(Default)]
pub(crate) struct TimeWaits {
    entries: BTreeMap<Key, u64>,
    ends: VecDeque<(u64, Key)>,
}

impl TimeWaits {
    pub(crate) fn insert(&mut self, key: Key, now_ns: u64) {
        let ends_ns = now_ns + TIME_WAIT_NS;
        self.entries.insert(key, ends_ns);
        self.ends.push_back((ends_ns, key));
        while self.ends.len() > MAX_TIME_WAIT {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((ends_ns, key)) = self.ends.pop_front()
            && self.entries.get(&key) == Some(&ends_ns)
        {
            self.entries.remove(&key);
        }
    }

    /// Forgets what is over. Nobody waits for that, so it needs no timer: it is done whenever something else is.
    pub(crate) fn expire(&mut self, now_ns: u64) {
        while self.ends.front().is_some_and(|(ends_ns, _)| *ends_ns <= now_ns) {
            self.pop();
        }
    }

    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
