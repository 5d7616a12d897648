//! One TCP connection, from its first packet to its last.
//!
//! smoltcp's sockets live in sets, and smoltcp looks at every socket of a set for each packet and at each poll. So here every
//! connection has a set of its own: the stack finds the connection of a packet itself, and a connection costs nothing while nothing
//! happens to it.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use mwasm_ports::network::{NetError, TcpOptions};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, RecvError, Socket, SocketBuffer, State};

use crate::time::duration;

/// How long nobody may answer what was sent before a connection breaks, in nanoseconds (RFC 9293, section 3.8.3, wants 100 s at least).
pub(crate) const SILENCE_NS: u64 = 120_000_000_000;
/// How long a connection may take to be opened, in nanoseconds.
pub(crate) const CONNECT_NS: u64 = 60_000_000_000;
/// How long a neighbour may not answer before it counts as unreachable, in nanoseconds.
pub(crate) const NEIGHBOUR_NS: u64 = 3_000_000_000;
/// How long a connection that nobody holds any more may take to deliver the rest and close, in nanoseconds.
pub(crate) const LINGER_NS: u64 = 60_000_000_000;
/// How long what came may wait for its acknowledgement, in nanoseconds, if nothing else is to be sent and less than a second segment
/// comes (RFC 9293, section 3.8.6.3, wants 0.5 s at most).
pub(crate) const ACK_DELAY_NS: u64 = 10_000_000;
/// Bounds of a buffer, in bytes.
pub(crate) const BUFFER_BYTES: core::ops::RangeInclusive<usize> = 2048..=16 << 20;

/// Where a connection's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Over the wire.
    Ethernet,
    /// To another socket of this machine.
    Loop,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits until the machine's network is set up.
    Waiting,
    /// The other side has not answered yet.
    Connecting,
    /// It is open, at least one way.
    Open,
    /// It is over: nothing is sent or expected any more. What came can still be read.
    Over,
}

/// A socket of smoltcp alone in its set. Its buffers are most of the memory of a connection.
pub(crate) struct Alone {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
}

impl Alone {
    /// `None`: there is no memory for the buffers.
    pub(crate) fn new(receive_bytes: usize, send_bytes: usize) -> Option<Self> {
        let buffer = |bytes| mwasm_ports::zeroed(bytes).map(SocketBuffer::new);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(Socket::new(buffer(receive_bytes)?, buffer(send_bytes)?));
        Some(Self { set, handle })
    }

    pub(crate) fn socket(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Bytes of the buffers for receiving and sending.
    pub(crate) fn buffer_bytes(&self) -> (usize, usize) {
        let socket = self.set.get::<Socket<'_>>(self.handle);
        (socket.recv_capacity(), socket.send_capacity())
    }
}

/// The shift of the windows that a socket with such a buffer offers (RFC 7323, section 2), as smoltcp computes it.
pub(crate) fn window_shift(receive_bytes: usize) -> u8 {
    let bits = usize::BITS - receive_bytes.leading_zeros();
    bits.saturating_sub(16) as u8
}

/// A TCP connection.
pub(crate) struct Connection {
    pub(crate) alone: Alone,
    pub(crate) link: Link,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Is added to the sequence numbers of what is sent, and subtracted from what is acknowledged.
    pub(crate) sequence_shift: u32,
    pub(crate) phase: Phase,
    pub(crate) error: Option<NetError>,
    pub(crate) options: TcpOptions,
    /// Whether somebody holds it; if not, it is closed at this time at the latest.
    pub(crate) lingers_until_ns: Option<u64>,
    /// Whether what comes is thrown away.
    pub(crate) discards: bool,
    /// Whether keep-alive probes are under way.
    probes: bool,
    /// When something came last, or when the connection began.
    pub(crate) heard_ns: u64,
    /// When the oldest of what is not acknowledged was handed over, or the other side was last heard after that.
    pub(crate) unanswered_since_ns: Option<u64>,
    pub(crate) neighbour_missing_since_ns: Option<u64>,
    /// Whether it is in the list of those that have something to do.
    pub(crate) is_queued: bool,
    /// When it is in the list of timers.
    pub(crate) armed_ns: Option<u64>,
    pub(crate) receive_waker: Option<Waker>,
    pub(crate) send_waker: Option<Waker>,
}

impl Connection {
    pub(crate) fn new(
        alone: Alone,
        link: Link,
        local: SocketAddr,
        remote: SocketAddr,
        options: &TcpOptions,
        now_ns: u64,
    ) -> Self {
        let mut new = Self {
            alone,
            link,
            local,
            remote,
            sequence_shift: 0,
            phase: Phase::Connecting,
            error: None,
            options: *options,
            lingers_until_ns: None,
            discards: false,
            probes: false,
            heard_ns: now_ns,
            unanswered_since_ns: None,
            neighbour_missing_since_ns: None,
            is_queued: false,
            armed_ns: None,
            receive_waker: None,
            send_waker: None,
        };
        let socket = new.alone.socket();
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(duration(ACK_DELAY_NS)));
        socket.set_congestion_control(CongestionControl::Reno);
        new.set_options(options);
        new
    }

    pub(crate) fn set_options(&mut self, options: &TcpOptions) {
        self.options = *options;
        self.probes = false;
        let idle = options.keep_alive.then(|| duration(options.keep_alive_idle_ns));
        let hop_limit = options.hop_limit.max(1);
        let socket = self.alone.socket();
        socket.set_hop_limit(Some(hop_limit));
        // Setting it winds the timer up, and smoltcp would then probe at once.
        if socket.keep_alive() != idle {
            socket.set_keep_alive(idle);
        }
    }

    pub(crate) fn state(&mut self) -> State {
        self.alone.socket().state()
    }

    /// Something came from the other side.
    pub(crate) fn heard(&mut self, now_ns: u64) {
        self.heard_ns = now_ns;
        self.neighbour_missing_since_ns = None;
        if self.probes {
            self.set_options(&self.options.clone());
        }
    }

    /// Looks whether the other side has been silent for too long, and starts keep-alive probes.
    pub(crate) fn check_silence(&mut self, now_ns: u64) {
        let options = self.options;
        let heard_ns = self.heard_ns;
        let silent_ns = now_ns.saturating_sub(heard_ns);
        if self.phase == Phase::Connecting {
            let unreachable = self.neighbour_missing_since_ns.is_some_and(|since| now_ns >= since + NEIGHBOUR_NS);
            match (unreachable, silent_ns >= CONNECT_NS) {
                (true, _) => self.fail(NetError::RemoteUnreachable),
                (_, true) => self.fail(NetError::Timeout),
                _ => {}
            }
            return;
        }
        let waits = self.alone.socket().send_queue() > 0 || self.alone.socket().state() == State::FinWait1;
        let since_ns = *self.unanswered_since_ns.get_or_insert(now_ns);
        if !waits {
            self.unanswered_since_ns = None;
        } else if now_ns.saturating_sub(since_ns.max(heard_ns)) >= SILENCE_NS {
            return self.fail(NetError::ConnectionBroken);
        }
        if options.keep_alive && silent_ns >= options.keep_alive_idle_ns {
            let probes_ns = options.keep_alive_interval_ns.saturating_mul(u64::from(options.keep_alive_count));
            if silent_ns >= options.keep_alive_idle_ns.saturating_add(probes_ns) {
                return self.fail(NetError::ConnectionBroken);
            }
            self.probes = true;
            let interval = duration(options.keep_alive_interval_ns);
            self.alone.socket().set_keep_alive(Some(interval));
        }
    }

    /// Ends it for a reason that the app learns. The other side sees a reset.
    pub(crate) fn fail(&mut self, error: NetError) {
        self.error.get_or_insert(error);
        self.phase = Phase::Over;
        self.alone.socket().abort();
    }

    pub(crate) fn throw_away_what_came(&mut self) {
        let socket = self.alone.socket();
        while socket.can_recv() && socket.recv(|bytes| (bytes.len(), ())).is_ok() {}
    }

    pub(crate) fn poll_connected(&mut self) -> Poll<Result<(), NetError>> {
        match (self.phase, self.error) {
            (Phase::Waiting | Phase::Connecting, _) => Poll::Pending,
            (Phase::Over, Some(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn poll_receive(&mut self, into: &mut [u8]) -> Poll<Result<usize, NetError>> {
        if self.discards {
            return Poll::Ready(Ok(0));
        }
        if matches!(self.phase, Phase::Waiting | Phase::Connecting) {
            return Poll::Pending;
        }
        match self.alone.socket().recv_slice(into) {
            Ok(0) => Poll::Pending,
            Ok(bytes) => Poll::Ready(Ok(bytes)),
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(self.error.unwrap_or(NetError::ConnectionBroken))),
        }
    }

    pub(crate) fn poll_send(&mut self, bytes: &[u8], now_ns: u64) -> Poll<Result<usize, NetError>> {
        if matches!(self.phase, Phase::Waiting | Phase::Connecting) {
            return Poll::Pending;
        }
        match self.alone.socket().send_slice(bytes) {
            Ok(0) => Poll::Pending,
            Ok(taken) => {
                self.unanswered_since_ns.get_or_insert(now_ns);
                Poll::Ready(Ok(taken))
            }
            Err(_) => Poll::Ready(Err(self.error.unwrap_or(NetError::ConnectionBroken))),
        }
    }

    pub(crate) fn is_receivable(&mut self) -> bool {
        match self.phase {
            Phase::Waiting | Phase::Connecting => false,
            Phase::Open | Phase::Over => {
                self.discards || self.alone.socket().can_recv() || !self.alone.socket().may_recv()
            }
        }
    }

    pub(crate) fn is_sendable(&mut self) -> bool {
        let socket = self.alone.socket();
        match self.phase {
            Phase::Waiting | Phase::Connecting => false,
            Phase::Open | Phase::Over => socket.can_send() || !socket.may_send(),
        }
    }

    /// Takes the wakers of those for whom it is worth another try. Senders are only woken when a quarter of the buffer is free, so
    /// that they do not come for each segment.
    pub(crate) fn take_ready(&mut self, woken: &mut Vec<Waker>) {
        if self.receive_waker.is_some() && self.is_receivable() {
            woken.extend(self.receive_waker.take());
        }
        if self.send_waker.is_some() && self.is_sendable() {
            let socket = self.alone.socket();
            let free = socket.send_capacity() - socket.send_queue();
            if !socket.may_send() || free >= socket.send_capacity() / 4 {
                woken.extend(self.send_waker.take());
            }
        }
    }
}

/// Keeps the waker of `context`, as [`Network`](mwasm_ports::network) says: the last one counts.
pub(crate) fn keep(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}
