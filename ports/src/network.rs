//! The network as an app sees it: TCP and UDP sockets.
//!
//! Two things implement [`Network`]: our own TCP/IP stack over a [`NetDevice`](crate::net_device::NetDevice) (crate mwasm-net), and the
//! sockets of an operating system (the desktop host). What is above does not know which.
//!
//! ```text
//!   wasi:sockets, wasi:http (host-core) -> policy -> Network -+-> stack (net/) -> NetDevice -> wire
//!                                                             +-> sockets of Linux
//! ```
//!
//! No call waits. Functions called `poll_*` follow [`core::future::Future::poll`]: when they return [`Poll::Pending`] they have kept the
//! waker, and wake it when it is worth another try. A socket keeps one waker for each direction, the last one. Wakers are only
//! called from [`Network::advance`], which the reactor calls before and after it parks, and whenever the app gave way.
//!
//! Dropping a socket closes it: what was sent is delivered first, as `close(2)` does. Types say what can be done in a state: an
//! address is bound ([`Network::bind_tcp`]), and the [`TcpBound`] becomes a [`TcpListener`] or a [`TcpStream`].

use crate::links::Links;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};

/// The most bytes of an UDP datagram's payload.
pub const MAX_DATAGRAM_BYTES: usize = 65_507;
/// The longest backlog of a listener, in connections.
pub const MAX_BACKLOG: usize = 4096;

/// Why something on the network failed. Names are those of `wasi:sockets`' error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetError {
    /// The policy does not grant it.
    AccessDenied,
    /// This network has no such thing.
    NotSupported,
    /// An argument makes no sense, such as an address of the other family.
    InvalidArgument,
    /// Not in this state of the socket.
    InvalidState,
    /// No memory for it.
    OutOfMemory,
    /// No answer in time.
    Timeout,
    /// The address is none of this machine's.
    AddressNotBindable,
    /// Another socket has the address.
    AddressInUse,
    /// No way there.
    RemoteUnreachable,
    /// Nobody listens there.
    ConnectionRefused,
    /// The connection broke (keep-alive, or the network went away).
    ConnectionBroken,
    /// The other side reset the connection.
    ConnectionReset,
    /// The connection ended on this side before it was accepted.
    ConnectionAborted,
    /// The datagram does not fit.
    DatagramTooLarge,
    /// Too many sockets.
    NewSocketLimit,
    /// The name does not exist, or has no address.
    NameUnresolvable,
    /// The name servers do not answer now.
    TemporaryResolverFailure,
    /// The name servers refuse to answer.
    PermanentResolverFailure,
    /// The device failed, or the machine said something that is not known here.
    Unknown,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessDenied => "access denied: the policy does not grant it",
            Self::NotSupported => "not supported",
            Self::InvalidArgument => "invalid argument",
            Self::InvalidState => "invalid state",
            Self::OutOfMemory => "out of memory",
            Self::Timeout => "timed out",
            Self::AddressNotBindable => "the address is none of this machine's",
            Self::AddressInUse => "the address is in use",
            Self::RemoteUnreachable => "the remote address is unreachable",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionBroken => "the connection broke",
            Self::ConnectionReset => "connection reset by the other side",
            Self::ConnectionAborted => "connection aborted",
            Self::DatagramTooLarge => "the datagram is too large",
            Self::NewSocketLimit => "too many sockets",
            Self::NameUnresolvable => "the name does not exist or has no address",
            Self::TemporaryResolverFailure => "the name servers do not answer",
            Self::PermanentResolverFailure => "the name servers refuse to answer",
            Self::Unknown => "the network failed",
        })
    }
}

impl core::error::Error for NetError {}

/// What the machine's network is set up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetStatus {
    /// Its addresses, each with the length of its prefix in bits.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Name servers, best first.
    pub nameservers: Vec<SocketAddr>,
}

/// Sockets.
pub trait Network: Send + Sync {
    /// Takes in what has come, sends what waits, and wakes whoever that concerns.
    fn advance(&self);
    /// As [`Network::advance`], where the machine is about to park: what came may be left to [`Idle::park`](crate::Idle::park), which then
    /// returns at once.
    fn advance_before_park(&self) {
        self.advance();
    }
    /// When [`Network::advance`] must be called at the latest, on the monotonic clock in nanoseconds.
    fn deadline_ns(&self) -> Option<u64>;
    /// What the machine's network is set up to now.
    fn status(&self) -> NetStatus;
    /// Ready once the network is set up (by DHCP, say), or was not in time ([`NetError::RemoteUnreachable`]).
    fn poll_configured(&self, context: &mut Context<'_>) -> Poll<Result<(), NetError>>;
    /// Ready once the other sides have acknowledged all that was sent on sockets that were dropped: a machine that goes away before loses
    /// it. An operating system goes on without the process, and is always ready.
    fn poll_settled(&self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
    /// The addresses that the machine itself knows for a name (`/etc/hosts`).
    fn hosts(&self, _name: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    /// The ports, where this network is those and no sockets.
    fn links(&self) -> Option<&dyn Links> {
        None
    }
    /// Reserves a local address for TCP. Port 0 is any free one.
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpBound>, NetError>;
    /// A socket for datagrams at a local address. Port 0 is any free one.
    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetError>;
}

/// A local address for TCP.
pub trait TcpBound: Send + Sync {
    /// The address; its port is 0 if it is only chosen when connecting.
    fn local(&self) -> SocketAddr;
    /// Listens; at most `backlog` (1 to [`MAX_BACKLOG`]) connections wait to be accepted. `options` go to what is accepted.
    fn listen(self: Box<Self>, backlog: usize, options: &TcpOptions) -> Result<Box<dyn TcpListener>, NetError>;
    /// Starts to connect.
    fn connect(self: Box<Self>, remote: SocketAddr, options: &TcpOptions) -> Result<Box<dyn TcpStream>, NetError>;
}

/// Where connections arrive.
pub trait TcpListener: Send + Sync {
    /// Its address.
    fn local(&self) -> SocketAddr;
    /// The oldest connection that waits.
    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Box<dyn TcpStream>, NetError>>;
    /// Whether [`TcpListener::poll_accept`] would be ready.
    fn poll_acceptable(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Changes what is given to connections that arrive from now on, where the network can.
    fn set_options(&self, options: &TcpOptions) -> Result<(), NetError>;
}

/// A TCP connection. Small writes are sent at once (`TCP_NODELAY`).
pub trait TcpStream: Send + Sync {
    /// The address on this side.
    fn local(&self) -> SocketAddr;
    /// The address on the other side.
    fn remote(&self) -> SocketAddr;
    /// Ready once it is connected, or has failed to be.
    fn poll_connected(&self, context: &mut Context<'_>) -> Poll<Result<(), NetError>>;
    /// Takes bytes that came to the front of `into` (not empty); 0 is the end of the other side's.
    fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>>;
    /// Hands over bytes from the front of `bytes` (not empty); returns how many were taken, at least 1.
    fn poll_send(&self, bytes: &[u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>>;
    /// Whether [`TcpStream::poll_receive`] would be ready.
    fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Whether [`TcpStream::poll_send`] would be ready.
    fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Ends this side's sending: what was handed over is delivered, then the end.
    fn shutdown_send(&self) -> Result<(), NetError>;
    /// Throws away what still comes.
    fn shutdown_receive(&self) -> Result<(), NetError>;
    /// Ends the connection at once: the other side sees a reset, and what waits is thrown away.
    fn abort(&self);
    /// The options in use.
    fn options(&self) -> Result<TcpOptions, NetError>;
    /// Changes the options, where the network can.
    fn set_options(&self, options: &TcpOptions) -> Result<(), NetError>;
}

/// What can be set for a TCP socket. Values that a network cannot keep exactly are rounded, as the specification of `wasi:sockets`
/// allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Whether an idle connection is probed.
    pub keep_alive: bool,
    /// How long a connection is idle before the first probe, in nanoseconds.
    pub keep_alive_idle_ns: u64,
    /// From one probe to the next, in nanoseconds.
    pub keep_alive_interval_ns: u64,
    /// How many probes stay unanswered before the connection breaks.
    pub keep_alive_count: u32,
    /// The IP header's hop limit (time to live) of what is sent, at least 1.
    pub hop_limit: u8,
    /// How much of what came waits at most, in bytes; `None`: what the network thinks best.
    pub receive_buffer_bytes: Option<u64>,
    /// How much of what goes waits at most, in bytes; `None`: what the network thinks best.
    pub send_buffer_bytes: Option<u64>,
}

impl Default for TcpOptions {
    /// What Linux gives.
    fn default() -> Self {
        Self {
            keep_alive: false,
            keep_alive_idle_ns: 7_200_000_000_000,
            keep_alive_interval_ns: 75_000_000_000,
            keep_alive_count: 9,
            hop_limit: 64,
            receive_buffer_bytes: None,
            send_buffer_bytes: None,
        }
    }
}

/// A socket for datagrams.
pub trait UdpSocket: Send + Sync {
    /// Its address.
    fn local(&self) -> SocketAddr;
    /// Takes the oldest datagram that came: its length (what does not fit in `into` is cut off) and sender.
    fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<(usize, SocketAddr), NetError>>;
    /// Sends a datagram whole.
    fn poll_send(&self, bytes: &[u8], to: SocketAddr, context: &mut Context<'_>) -> Poll<Result<(), NetError>>;
    /// Whether [`UdpSocket::poll_receive`] would be ready.
    fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Whether [`UdpSocket::poll_send`] would be ready.
    fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()>;
    /// The options in use.
    fn options(&self) -> Result<UdpOptions, NetError>;
    /// Changes the options, where the network can.
    fn set_options(&self, options: &UdpOptions) -> Result<(), NetError>;
}

/// What can be set for a socket for datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// The IP header's hop limit (time to live) of what is sent, at least 1.
    pub hop_limit: u8,
    /// How much of what came waits at most, in bytes; `None`: what the network thinks best.
    pub receive_buffer_bytes: Option<u64>,
    /// How much of what goes waits at most, in bytes; `None`: what the network thinks best.
    pub send_buffer_bytes: Option<u64>,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self { hop_limit: 64, receive_buffer_bytes: None, send_buffer_bytes: None }
    }
}
