//! TCP segments in, TCP segments out, and what becomes of connections in between.

use core::net::{IpAddr, SocketAddr};
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::network::{NetError, TcpOptions};
use smoltcp::socket::tcp::State;

use crate::bindings::{ephemeral, with_port};
use crate::connection::{ACK_DELAY_NS, Alone, Connection, LINGER_NS, Link, Phase};
use crate::handshake::{Control, Head, Key, bare};
use crate::inner::{Core, poll_egress};
use crate::listener::Third;
use crate::packet::{Segment, shift_acknowledgement};
use crate::port::{Out, Port};
use crate::slab::Id;
use crate::time::{instant, nanoseconds};

/// How many segments a connection may send before it is another's turn.
const MAX_BURST: usize = 64;
/// smoltcp says that a socket has something to send, but it did not: it is asked again after this many nanoseconds, not at once.
const ASK_AGAIN_NS: u64 = 10_000_000;
/// How many used sockets, with their buffers, are kept for further connections.
const MAX_SPARE: usize = 16;
/// The hop limit of segments that belong to no connection.
const USUAL_HOP_LIMIT: u8 = 64;

impl Core {
    /// Takes in a segment.
    pub(crate) fn tcp_segment(&mut self, link: Link, frame: &mut [u8], segment: &Segment) {
        let (local, remote) = (segment.destination, segment.source);
        let key = Key::new(local, remote);
        if let Some(id) = self.by_key.get(&key).copied() {
            return self.give_to_connection(id, frame, segment);
        }
        let Some(head) = Head::of(frame, segment) else {
            self.statistics.frames_dropped += 1;
            return;
        };
        if link == Link::Ethernet && !self.addresses.is_own(local.ip()) {
            self.statistics.frames_dropped += 1;
            return;
        }
        let is_syn = head.control == Control::Syn && head.acknowledgement.is_none();
        if !is_syn && self.half_open.get_mut(&key).is_some() {
            match self.third_packet(&key, head) {
                // Its third packet was shown to it; if that also carries data or the end, it is still to be taken in.
                Third::Established(id) if head.length > 0 => self.give_to_connection(id, frame, segment),
                Third::Wrong => self.give_to_smoltcp(link, frame),
                Third::Established(_) | Third::Ignored => {}
            }
            return;
        }
        if self.time_waits.contains(&key) && !is_syn {
            return self.stray(link, frame, segment, head);
        }
        match self.listener_at(local).filter(|_| is_syn) {
            Some(listener) => {
                self.time_waits.remove(&key);
                self.knock(listener, link, frame, segment, head);
            }
            // Nobody is there: smoltcp resets it.
            None => self.give_to_smoltcp(link, frame),
        }
    }

    /// A segment of a connection that is closed. Only the end of the other side, sent again, is answered (RFC 9293, section 3.10.7.4).
    fn stray(&mut self, link: Link, frame: &[u8], segment: &Segment, head: Head) {
        let (local, remote) = (segment.destination, segment.source);
        if let (Control::Fin, Some(sequence)) = (head.control, head.acknowledgement) {
            let tcp = bare(local, remote, sequence, head.sequence.wrapping_add(head.length));
            let neighbour = frame.get(6..12).and_then(<[u8]>::first_chunk::<6>).copied().unwrap_or_default();
            self.send_bare(link, neighbour, local, remote, USUAL_HOP_LIMIT, &tcp);
        }
    }

    fn give_to_connection(&mut self, id: Id, frame: &mut [u8], segment: &Segment) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.heard(self.now_ns);
        if connection.sequence_shift != 0 {
            shift_acknowledgement(frame, segment, connection.sequence_shift);
        }
        let before = connection.state();
        let (interface, out) = match connection.link {
            Link::Ethernet => (&mut self.ethernet, Out::Reply(&mut self.reply)),
            Link::Loop => (&mut self.loopback, Out::Loop(&mut self.looped)),
        };
        let mut port = Port::new(out, connection.link, self.mtu_bytes, false, &mut self.statistics);
        port.incoming = Some(frame);
        port.sequence_shift = connection.sequence_shift;
        interface.poll_ingress_single(instant(self.now_ns), &mut port, &mut connection.alone.set);
        self.statistics.bytes_copied_device += segment.bytes.len() as u64;
        // The end of the last half closes a connection; all else that closes it is a reset.
        if connection.state() == State::Closed && !matches!(before, State::Closed | State::LastAck) {
            connection.error.get_or_insert(match before {
                State::SynSent => NetError::ConnectionRefused,
                _ => NetError::ConnectionReset,
            });
        }
        if connection.discards {
            connection.throw_away_what_came();
        }
        self.enqueue(id);
    }

    /// Lets every connection send to which anything happened.
    pub(crate) fn send_queued(&mut self, device: &dyn NetDevice) -> bool {
        let mut worked = false;
        for _ in 0..self.queued.len() {
            let Some(id) = self.queued.pop_front() else { break };
            worked |= self.send_connection(id, device);
        }
        worked
    }

    fn send_connection(&mut self, id: Id, device: &dyn NetDevice) -> bool {
        let now_ns = self.now_ns;
        let Some(connection) = self.connections.get_mut(id) else { return false };
        connection.is_queued = false;
        if connection.phase == Phase::Waiting {
            return false;
        }
        connection.check_silence(now_ns);
        let before = connection.state();
        if before == State::TimeWait && connection.phase == Phase::Over {
            // smoltcp would empty its buffers after a while, and there may be something left to read.
            return self.settle(id);
        }
        // The last acknowledgement does not wait for others: there will be none.
        let later_ns = if before == State::TimeWait { now_ns + ACK_DELAY_NS } else { now_ns };
        let (interface, out) = match connection.link {
            Link::Ethernet => (&mut self.ethernet, Out::Device(device)),
            Link::Loop => (&mut self.loopback, Out::Loop(&mut self.looped)),
        };
        let finishes = self.info.transmit_checksums;
        let mut port = Port::new(out, connection.link, self.mtu_bytes, finishes, &mut self.statistics);
        port.sequence_shift = connection.sequence_shift;
        let sent = poll_egress(interface, port, &mut connection.alone.set, later_ns, MAX_BURST);
        if connection.state() == State::Closed && before != State::Closed {
            // The address that it went out from is no more.
            connection.error.get_or_insert(NetError::ConnectionBroken);
        }
        let next = interface.poll_at(instant(now_ns), &connection.alone.set);
        let mut next_ns = next.map(nanoseconds);
        if sent.lacks_neighbour() {
            if connection.neighbour_missing_since_ns.is_none() {
                connection.neighbour_missing_since_ns = Some(now_ns);
                self.stranded.push(id);
            }
            if before == State::Closed {
                next_ns = None;
            }
        } else if sent.packets > 0 {
            connection.neighbour_missing_since_ns = None;
        }
        let is_due = next_ns.is_some_and(|at_ns| at_ns <= now_ns);
        let next_ns = next_ns.into_iter().chain(connection.lingers_until_ns).min();
        match (is_due, sent.refused, sent.packets) {
            (true, true, _) if connection.link == Link::Ethernet => {
                connection.is_queued = true;
                self.blocked.push(id);
            }
            (true, true, _) | (true, _, 1..) => self.enqueue(id),
            (true, _, 0) => self.arm(id, now_ns + ASK_AGAIN_NS),
            (false, ..) => {
                if let Some(at_ns) = next_ns {
                    self.arm(id, at_ns);
                }
            }
        }
        self.settle(id);
        sent.packets > 0
    }

    /// Sees to it that a connection is looked at by `at_ns`. A timer that is earlier stays, and finds out that it is: so timers are not
    /// moved with every segment.
    fn arm(&mut self, id: Id, at_ns: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.armed_ns {
            Some(armed_ns) if armed_ns <= at_ns => return,
            Some(armed_ns) => _ = self.timers.remove(&(armed_ns, id)),
            None => {}
        }
        connection.armed_ns = Some(at_ns);
        self.timers.insert((at_ns, id));
    }

    /// Looks at every connection whose time has come, and at SYNs.
    pub(crate) fn run_timers(&mut self, device: &dyn NetDevice) {
        while let Some((at_ns, id)) = self.timers.first().copied().filter(|(at_ns, _)| *at_ns <= self.now_ns) {
            self.timers.remove(&(at_ns, id));
            if let Some(connection) = self.connections.get_mut(id) {
                connection.armed_ns = None;
                self.enqueue(id);
            }
        }
        self.answer_again(device);
    }

    /// Draws the conclusions from the state that a connection is in; returns that nothing was sent.
    fn settle(&mut self, id: Id) -> bool {
        let now_ns = self.now_ns;
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let state = connection.state();
        match (connection.phase, state) {
            (Phase::Connecting, State::SynSent | State::SynReceived) => {}
            (Phase::Connecting | Phase::Open, State::Closed | State::TimeWait) => connection.phase = Phase::Over,
            (Phase::Connecting, _) => connection.phase = Phase::Open,
            _ => {}
        }
        connection.take_ready(&mut self.woken);
        if connection.phase != Phase::Over {
            if connection.lingers_until_ns.is_some_and(|until_ns| until_ns <= now_ns) {
                connection.fail(NetError::Timeout);
                self.enqueue(id);
            }
            return false;
        }
        let is_reset_pending = state == State::Closed && connection.alone.socket().remote_endpoint().is_some();
        let is_held = connection.lingers_until_ns.is_none();
        let key = Key::new(connection.local, connection.remote);
        if is_reset_pending && connection.neighbour_missing_since_ns.is_none() {
            return false;
        }
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
            if state == State::TimeWait {
                self.time_waits.insert(key, now_ns);
            }
        }
        if !is_held {
            self.remove(id);
        }
        false
    }

    fn remove(&mut self, id: Id) {
        let Some(mut connection) = self.connections.remove(id) else { return };
        let key = Key::new(connection.local, connection.remote);
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
        }
        if let Some(armed_ns) = connection.armed_ns {
            self.timers.remove(&(armed_ns, id));
        }
        connection.alone.socket().abort();
        if self.spare.len() < MAX_SPARE {
            self.spare.push(connection.alone);
        }
    }

    /// Nobody holds a connection any more: what was sent is delivered, and then it closes.
    pub(crate) fn let_go(&mut self, id: Id) {
        let now_ns = self.now_ns;
        let Some(connection) = self.connections.get_mut(id) else { return };
        (connection.receive_waker, connection.send_waker) = (None, None);
        connection.discards = true;
        connection.lingers_until_ns = Some(now_ns + LINGER_NS);
        if connection.phase == Phase::Waiting {
            self.remove(id);
            return;
        }
        connection.throw_away_what_came();
        connection.alone.socket().close();
        connection.unanswered_since_ns.get_or_insert(now_ns);
        if self.lingering.len() > 2 * self.connections.len() {
            self.lingering.retain(|id| self.connections.get(*id).is_some());
        }
        self.lingering.push_back(id);
        self.enqueue(id);
    }

    /// Whether the other sides have acknowledged all that was sent on connections that nobody holds any more, and their ends.
    pub(crate) fn is_settled(&mut self) -> bool {
        self.lingering.iter().all(|id| {
            self.connections.get_mut(*id).is_none_or(|connection| {
                let is_acknowledged = matches!(connection.state(), State::FinWait2 | State::TimeWait | State::Closed);
                is_acknowledged || connection.phase == Phase::Over
            })
        })
    }

    /// Whether there may be another socket. If there are too many, the connection goes that nobody has held for the longest time.
    pub(crate) fn has_socket_room(&mut self) -> bool {
        while self.count_sockets() >= self.buffers.max_sockets as usize
            && let Some(id) = self.lingering.pop_front()
        {
            self.remove(id);
        }
        // Those that closed by themselves are in the list for nothing.
        while self.lingering.front().is_some_and(|id| self.connections.get(*id).is_none()) {
            self.lingering.pop_front();
        }
        self.count_sockets() < self.buffers.max_sockets as usize
    }

    /// Starts a connection.
    pub(crate) fn connect(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        options: &TcpOptions,
    ) -> Result<Id, NetError> {
        if remote.port() == 0 || local.is_ipv4() != remote.is_ipv4() {
            return Err(NetError::InvalidArgument);
        }
        let way = self.addresses.way(remote.ip())?;
        if !self.has_socket_room() {
            return Err(NetError::NewSocketLimit);
        }
        let alone: Alone = self.alone(options).ok_or(NetError::OutOfMemory)?;
        let mut connection = Connection::new(alone, Link::Ethernet, local, remote, options, self.now_ns);
        connection.phase = Phase::Waiting;
        let id = self.connections.insert(connection);
        match way {
            None => self.waiting.push(id),
            Some((link, own)) => self.start(id, link, own).inspect_err(|_| self.remove(id))?,
        }
        Ok(id)
    }

    /// Sends the first packet of a connection, now that the way is known.
    fn start(&mut self, id: Id, link: Link, own: IpAddr) -> Result<(), NetError> {
        let connection = self.connections.get_mut(id).ok_or(NetError::InvalidState)?;
        let (bound, remote) = (connection.local, connection.remote);
        let from = if bound.ip().is_unspecified() { own } else { bound.ip() };
        if from.is_loopback() && link != Link::Loop {
            return Err(NetError::RemoteUnreachable);
        }
        let is_free = |port: u16| {
            let key = Key::new(SocketAddr::new(from, port), remote);
            !self.by_key.contains_key(&key) && !self.time_waits.contains(&key)
        };
        let port = match bound.port() {
            0 => {
                let free = |port| is_free(port) && self.tcp.is_free(SocketAddr::new(from, port));
                ephemeral(&mut self.secret, free).ok_or(NetError::AddressInUse)?
            }
            port if is_free(port) => port,
            _ => return Err(NetError::AddressInUse),
        };
        let local = with_port(SocketAddr::new(from, 0), port);
        (connection.local, connection.link) = (local, link);
        (connection.phase, connection.heard_ns) = (Phase::Connecting, self.now_ns);
        let interface = match link {
            Link::Ethernet => &mut self.ethernet,
            Link::Loop => &mut self.loopback,
        };
        let socket = connection.alone.socket();
        socket.connect(interface.context(), remote, local).map_err(|_| NetError::InvalidArgument)?;
        // smoltcp's numbers are drawn from a generator that whoever sees enough of them can follow; ours are not.
        connection.sequence_shift = self.secret.random() as u32;
        self.by_key.insert(Key::new(local, remote), id);
        self.enqueue(id);
        Ok(())
    }

    /// Starts the connections that wait for the network to be set up, as far as it is.
    pub(crate) fn start_waiting(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        for id in waiting {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            let started = match self.addresses.way(connection.remote.ip()) {
                Ok(None) => {
                    self.waiting.push(id);
                    continue;
                }
                Ok(Some((link, own))) => self.start(id, link, own),
                Err(error) => Err(error),
            };
            if let (Err(error), Some(connection)) = (started, self.connections.get_mut(id)) {
                connection.fail(error);
                connection.take_ready(&mut self.woken);
            }
        }
    }
}
