//! Sockets for datagrams.
//!
//! A socket is unbound or bound; once it is, [`Datagrams`] are its two directions. The policy looks at each datagram: one that goes must
//! be to a peer that is granted, or that has sent to a port that the app may listen on; one that comes to any other port must be from a
//! peer that is granted, and is thrown away if it is not.

use super::address::Family;
use super::{Refusal, network, poll_configured};
use crate::policy::{Policy, Senders};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll, ready};
use mwasm_plan::net::{Buffers, Protocol};
use mwasm_ports::network::{MAX_DATAGRAM_BYTES, NetError, Network, UdpOptions, UdpSocket as Port};
use spin::Mutex;

/// A datagram and where it comes from.
pub type Incoming = (Vec<u8>, SocketAddr);

/// A socket for datagrams.
pub struct UdpSocket {
    network: Arc<dyn Network>,
    policy: Arc<Policy>,
    family: Family,
    buffers: Buffers,
    options: UdpOptions,
    state: State,
}

enum State {
    Unbound,
    BindStarted(Arc<Datagrams>),
    Bound(Arc<Datagrams>),
}

impl UdpSocket {
    /// A new socket of the app.
    pub fn of(state: &crate::State, family: Family) -> Result<Self, NetError> {
        let (network, policy, buffers) = (network(state)?, state.policy.clone(), state.net.buffers);
        Ok(Self { network, policy, family, buffers, options: UdpOptions::default(), state: State::Unbound })
    }

    /// Its family, for ever.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Starts to bind it to a local address.
    pub fn start_bind(&mut self, local: SocketAddr) -> Result<(), Refusal> {
        match self.state {
            State::Unbound => {}
            State::BindStarted(_) => return Err(Refusal::InProgress),
            State::Bound(_) => return Err(NetError::InvalidState.into()),
        }
        self.family.check_local(local)?;
        self.policy.bind(Protocol::Udp, local)?;
        let port = self.network.bind_udp(local)?;
        if self.options != UdpOptions::default() {
            port.set_options(&self.options)?;
        }
        self.state = State::BindStarted(Arc::new(Datagrams {
            senders: self.policy.may_listen(Protocol::Udp, local).then(Mutex::default),
            port,
            network: self.network.clone(),
            policy: self.policy.clone(),
            family: self.family,
            peer: Mutex::default(),
            scratch: Mutex::default(),
        }));
        Ok(())
    }

    /// Finishes what [`UdpSocket::start_bind`] started.
    pub fn finish_bind(&mut self) -> Result<(), Refusal> {
        let State::BindStarted(datagrams) = &self.state else { return Err(Refusal::NotInProgress) };
        self.state = State::Bound(datagrams.clone());
        Ok(())
    }

    /// Its datagrams; it is bound to any free port of any local address if it is not bound.
    pub fn bind_any(&mut self) -> Result<Arc<Datagrams>, Refusal> {
        if let State::Unbound = self.state {
            self.start_bind(self.family.any())?;
            self.finish_bind()?;
        }
        Ok(self.datagrams()?)
    }

    /// Its datagrams, once it is bound.
    pub fn datagrams(&self) -> Result<Arc<Datagrams>, NetError> {
        match &self.state {
            State::Bound(datagrams) => Ok(datagrams.clone()),
            State::Unbound | State::BindStarted(_) => Err(NetError::InvalidState),
        }
    }

    fn port(&self) -> Option<&Datagrams> {
        match &self.state {
            State::Unbound => None,
            State::BindStarted(datagrams) | State::Bound(datagrams) => Some(datagrams),
        }
    }

    /// The options in use. What is left to the network is shown as what the plan gives.
    pub fn options(&self) -> Result<UdpOptions, NetError> {
        let mut options = self.port().map_or(Ok(self.options), |datagrams| datagrams.port.options())?;
        options.receive_buffer_bytes.get_or_insert(self.buffers.receive_bytes.into());
        options.send_buffer_bytes.get_or_insert(self.buffers.send_bytes.into());
        Ok(options)
    }

    /// Changes the options.
    pub fn set_options(&mut self, change: impl FnOnce(&mut UdpOptions)) -> Result<(), NetError> {
        let mut options = self.options;
        change(&mut options);
        self.port().map_or(Ok(()), |datagrams| datagrams.port.set_options(&options))?;
        self.options = options;
        Ok(())
    }
}

/// The datagrams of a bound socket.
pub struct Datagrams {
    port: Box<dyn Port>,
    network: Arc<dyn Network>,
    policy: Arc<Policy>,
    family: Family,
    peer: Mutex<Peer>,
    /// Who may be answered; `None`: the app may not listen here.
    senders: Option<Mutex<Senders>>,
    /// Where a datagram is put whose length is not known yet.
    scratch: Mutex<Vec<u8>>,
}

/// The only other side, if there is just one; and how often that was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    address: Option<SocketAddr>,
    changes: u64,
}

impl Peer {
    /// The address of the only other side.
    pub fn address(self) -> Option<SocketAddr> {
        self.address
    }
}

impl Datagrams {
    /// The local address.
    pub fn local(&self) -> SocketAddr {
        self.port.local()
    }

    /// The only other side, if there is just one.
    pub fn peer(&self) -> Peer {
        *self.peer.lock()
    }

    /// Sets the only other side.
    pub fn set_peer(&self, address: Option<SocketAddr>) -> Result<Peer, NetError> {
        if let Some(address) = address {
            self.family.check_peer(address)?;
            self.check_policy(address)?;
        }
        let peer = &mut *self.peer.lock();
        *peer = Peer { address, changes: peer.changes + 1 };
        Ok(*peer)
    }

    fn check_policy(&self, to: SocketAddr) -> Result<(), NetError> {
        if self.senders.as_ref().is_some_and(|senders| senders.lock().contains(&to)) {
            return Ok(());
        }
        self.policy.connect(Protocol::Udp, to)
    }

    /// Where a datagram goes that is sent to `to`, or to the only other side.
    pub fn destination(&self, to: Option<SocketAddr>) -> Result<SocketAddr, NetError> {
        let to = match (self.peer().address, to) {
            (Some(peer), None) => peer,
            (Some(peer), Some(to)) if peer != to => return Err(NetError::InvalidArgument),
            (_, Some(to)) => to,
            (None, None) => return Err(NetError::InvalidArgument),
        };
        self.family.check_peer(to)?;
        self.check_policy(to)?;
        Ok(to)
    }

    /// Sends a datagram whole, to a [`Datagrams::destination`].
    pub fn poll_send(&self, bytes: &[u8], to: SocketAddr, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        if bytes.len() > MAX_DATAGRAM_BYTES {
            return Poll::Ready(Err(NetError::DatagramTooLarge));
        }
        ready!(poll_configured(&*self.network, to.ip(), context))?;
        self.port.poll_send(bytes, to, context)
    }

    /// Whether a datagram could be sent.
    pub fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()> {
        let to = self.peer().address.map(|peer| peer.ip());
        // A failure is told when something is sent.
        let _ = ready!(poll_configured(&*self.network, to.unwrap_or(self.port.local().ip()), context));
        self.port.poll_sendable(context)
    }

    /// Takes the oldest datagram that the policy lets through, and that is of the only other side, if there is just one.
    pub fn poll_receive(&self, context: &mut Context<'_>) -> Poll<Result<Incoming, NetError>> {
        let scratch = &mut *self.scratch.lock();
        if scratch.is_empty() {
            *scratch = vec![0; MAX_DATAGRAM_BYTES];
        }
        loop {
            let (length, from) = ready!(self.port.poll_receive(scratch, context))?;
            if self.takes(from) {
                return Poll::Ready(Ok((scratch.get(..length).unwrap_or_default().to_vec(), from)));
            }
        }
    }

    /// Whether [`Datagrams::poll_receive`] may be ready: what has come may be nothing that is let through.
    pub fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.port.poll_receivable(context)
    }

    fn takes(&self, from: SocketAddr) -> bool {
        match &self.senders {
            Some(senders) => senders.lock().remember(from),
            None if !self.policy.may_connect(Protocol::Udp, from) => return false,
            None => {}
        }
        self.peer().address.is_none_or(|peer| same(peer, from))
    }
}

/// Whether two addresses are the same machine and port; scopes aside, which only one side may know.
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    let ip = |address: SocketAddr| -> IpAddr { address.ip().to_canonical() };
    ip(one) == ip(other) && one.port() == other.port()
}
