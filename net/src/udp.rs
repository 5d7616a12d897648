//! Datagrams.
//!
//! What comes is queued here, in a buffer of its own size, so that a socket that is idle takes no memory. What goes is sent at once
//! through one socket of smoltcp that all share, the [`Courier`]; only datagrams whose neighbour is not yet known wait, and not long.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll, Waker};
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::network::{MAX_DATAGRAM_BYTES, NetError, UdpOptions};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket, UdpMetadata};

use crate::connection::{Link, NEIGHBOUR_NS};
use crate::inner::{Core, poll_egress};
use crate::packet::{IPV6_HEADER_BYTES, Segment, UDP_HEADER_BYTES};
use crate::port::{Out, Port};
use crate::slab::Id;

/// What waits to be received at most, in bytes, if the app does not say; as on Linux.
const RECEIVE_BYTES: usize = 212_992;
/// What a waiting datagram counts beside its bytes.
const DATAGRAM_OVERHEAD_BYTES: usize = 64;
/// The most datagrams that wait for neighbours; more than that, and the oldest goes.
const MAX_UNSENT: usize = 64;
/// How long after a try the next one is, in nanoseconds.
const TRY_AGAIN_NS: u64 = 1_000_000_000;
const IPV4_HEADER_BYTES: usize = 20;

/// A socket for datagrams.
pub(crate) struct Datagrams {
    pub(crate) local: SocketAddr,
    pub(crate) options: UdpOptions,
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
    queued_bytes: usize,
    pub(crate) waker: Option<Waker>,
}

impl Datagrams {
    pub(crate) fn new(local: SocketAddr) -> Self {
        Self { local, options: UdpOptions::default(), queue: VecDeque::new(), queued_bytes: 0, waker: None }
    }

    pub(crate) fn is_receivable(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn receive(&mut self, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let (from, datagram) = self.queue.pop_front()?;
        self.queued_bytes -= datagram.len() + DATAGRAM_OVERHEAD_BYTES;
        let bytes = datagram.len().min(into.len());
        into[..bytes].copy_from_slice(&datagram[..bytes]);
        Some((bytes, from))
    }

    /// Queues a datagram, if there is room.
    fn take(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let most =
            self.options.receive_buffer_bytes.map_or(RECEIVE_BYTES, |bytes| bytes.try_into().unwrap_or(RECEIVE_BYTES));
        let bytes = datagram.len() + DATAGRAM_OVERHEAD_BYTES;
        // One datagram fits whatever its size.
        let fits = self.queue.is_empty() || self.queued_bytes + bytes <= most.min(RECEIVE_BYTES);
        if fits {
            self.queued_bytes += bytes;
            self.queue.push_back((from, datagram.to_vec()));
        }
        fits
    }
}

/// A datagram on its way.
struct Letter {
    from: SocketAddr,
    to: SocketAddr,
    hop_limit: u8,
    bytes: Vec<u8>,
    until_ns: u64,
}

/// The socket of smoltcp that sends everybody's datagrams, one at a time.
pub(crate) struct Courier {
    set: SocketSet<'static>,
    handle: SocketHandle,
    unsent: VecDeque<Letter>,
    again_ns: u64,
    /// Whoever found no room in the device's queue.
    pub(crate) blocked: Vec<Waker>,
}

impl Courier {
    pub(crate) fn new(mtu_bytes: usize) -> Self {
        let buffer = |bytes| PacketBuffer::new(alloc::vec![PacketMetadata::EMPTY], alloc::vec![0; bytes]);
        let mut set = SocketSet::new(Vec::new());
        let handle = set.add(Socket::new(buffer(0), buffer(mtu_bytes)));
        Self { set, handle, unsent: VecDeque::new(), again_ns: 0, blocked: Vec::new() }
    }

    /// Loads a datagram. What was loaded before is forgotten, and also that its neighbour was missing: smoltcp remembers that with the
    /// socket's place in the set.
    fn load(&mut self, from: SocketAddr, to: SocketAddr, hop_limit: u8, bytes: &[u8]) {
        let smoltcp::socket::Socket::Udp(mut socket) = self.set.remove(self.handle) else { return };
        socket.close();
        socket.set_hop_limit(Some(hop_limit.max(1)));
        let mut metadata = UdpMetadata::from(smoltcp::wire::IpEndpoint::from(to));
        metadata.local_address = Some(from.ip().into());
        // Both only fail for ports and addresses that are 0, and for datagrams that are too long; those were refused before.
        let _ = socket.bind(from);
        let _ = socket.send_slice(bytes, metadata);
        self.handle = self.set.add(socket);
    }

    fn keep(&mut self, letter: Letter, now_ns: u64) {
        if self.unsent.len() >= MAX_UNSENT {
            self.unsent.pop_front();
        }
        if self.unsent.is_empty() {
            self.again_ns = now_ns + TRY_AGAIN_NS;
        }
        self.unsent.push_back(letter);
    }

    /// Wakes `waker` when the device has room again.
    pub(crate) fn block(&mut self, waker: &Waker) {
        if !self.blocked.iter().any(|one| one.will_wake(waker)) {
            self.blocked.push(waker.clone());
        }
    }

    /// A neighbour may have become known.
    pub(crate) fn try_again(&mut self, now_ns: u64) {
        self.again_ns = now_ns;
    }

    pub(crate) fn deadline_ns(&self) -> Option<u64> {
        (!self.unsent.is_empty()).then_some(self.again_ns)
    }
}

impl Core {
    /// Takes in a datagram from the wire.
    pub(crate) fn datagram(&mut self, frame: &[u8], segment: &Segment) {
        if !self.addresses.is_own(segment.destination.ip()) {
            self.statistics.frames_dropped += 1;
            return;
        }
        let datagram = &frame[segment.bytes.start + UDP_HEADER_BYTES..segment.bytes.end];
        if !self.deliver(segment.source, segment.destination, datagram) {
            // Nobody is there: smoltcp says that the port is unreachable.
            self.give_to_smoltcp(Link::Ethernet, frame);
        }
    }

    /// Gives a datagram to the socket that it is for; `false`: there is none.
    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> bool {
        let unspecified = match to {
            SocketAddr::V4(to) => SocketAddr::from(([0; 4], to.port())),
            SocketAddr::V6(to) => SocketAddr::from(([0_u16; 8], to.port())),
        };
        let exact = SocketAddr::new(to.ip(), to.port());
        let id = self.datagrams_at.get(&exact).or_else(|| self.datagrams_at.get(&unspecified));
        let Some(socket) = id.and_then(|id| self.datagrams.get_mut(*id)) else { return false };
        if socket.take(from, datagram) {
            self.statistics.bytes_copied_device += datagram.len() as u64;
            self.woken.extend(socket.waker.take());
        } else {
            self.statistics.datagrams_dropped += 1;
        }
        true
    }

    /// Sends a datagram, or says that it cannot be sent now.
    pub(crate) fn send_datagram(
        &mut self,
        id: Id,
        bytes: &[u8],
        to: SocketAddr,
        device: &dyn NetDevice,
        context: &Context<'_>,
    ) -> Poll<Result<(), NetError>> {
        let Some(socket) = self.datagrams.get(id) else { return Poll::Ready(Err(NetError::InvalidState)) };
        let (local, hop_limit) = (socket.local, socket.options.hop_limit);
        if to.port() == 0 || to.is_ipv4() != local.is_ipv4() {
            return Poll::Ready(Err(NetError::InvalidArgument));
        }
        let (link, own) = match self.addresses.way(to.ip()) {
            Ok(Some(way)) => way,
            Ok(None) => {
                self.addresses.keep_waiting(context.waker());
                return Poll::Pending;
            }
            Err(error) => return Poll::Ready(Err(error)),
        };
        let from = if local.ip().is_unspecified() { SocketAddr::new(own, local.port()) } else { local };
        if from.ip().is_loopback() && link != Link::Loop {
            return Poll::Ready(Err(NetError::RemoteUnreachable));
        }
        let ip_bytes = if to.is_ipv4() { IPV4_HEADER_BYTES } else { IPV6_HEADER_BYTES };
        let most = match link {
            Link::Ethernet => self.mtu_bytes - ip_bytes - UDP_HEADER_BYTES,
            Link::Loop => MAX_DATAGRAM_BYTES,
        };
        if bytes.len() > most {
            return Poll::Ready(Err(NetError::DatagramTooLarge));
        }
        if link == Link::Loop {
            self.statistics.packets_looped += 1;
            self.deliver(from, to, bytes);
            return Poll::Ready(Ok(()));
        }
        if !device.has_room() {
            self.courier.block(context.waker());
            return Poll::Pending;
        }
        self.statistics.bytes_copied_app += bytes.len() as u64;
        if !self.post(from, to, hop_limit, bytes, device) {
            let until_ns = self.now_ns + NEIGHBOUR_NS;
            self.courier.keep(Letter { from, to, hop_limit, bytes: bytes.to_vec(), until_ns }, self.now_ns);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends a datagram; `false`: its neighbour is not known yet, and was asked for.
    fn post(&mut self, from: SocketAddr, to: SocketAddr, hop_limit: u8, bytes: &[u8], device: &dyn NetDevice) -> bool {
        self.courier.load(from, to, hop_limit, bytes);
        let finishes = self.info.transmit_checksums;
        let port = Port::new(Out::Device(device), Link::Ethernet, self.mtu_bytes, finishes, &mut self.statistics);
        let sent = poll_egress(&mut self.ethernet, port, &mut self.courier.set, self.now_ns, 1);
        sent.packets > 0
    }

    /// Tries again to send what waits for neighbours.
    pub(crate) fn send_unsent(&mut self, device: &dyn NetDevice) -> bool {
        if self.courier.unsent.is_empty() || self.courier.again_ns > self.now_ns {
            return false;
        }
        self.courier.again_ns = self.now_ns + TRY_AGAIN_NS;
        let mut worked = false;
        for _ in 0..self.courier.unsent.len() {
            let Some(letter) = self.courier.unsent.pop_front() else { break };
            if device.has_room() && self.post(letter.from, letter.to, letter.hop_limit, &letter.bytes, device) {
                worked = true;
            } else if letter.until_ns > self.now_ns {
                self.courier.unsent.push_back(letter);
            } else {
                self.statistics.datagrams_dropped += 1;
            }
        }
        worked
    }

    /// The socket's address as it would be if `local` were bound: only addresses of this machine can be.
    pub(crate) fn check_bindable(&self, local: IpAddr) -> Result<(), NetError> {
        let bindable = local.is_unspecified() || self.addresses.is_own(local);
        bindable.then_some(()).ok_or(NetError::AddressNotBindable)
    }
}
