//! The network of a Linux process: the kernel's sockets, or our own stack over a TAP device.
//!
//! ```text
//!   app -> wasi:sockets, wasi:http -> Network -+-> Linux (here): tcp, udp -> poller -> epoll -> the kernel's TCP/IP
//!                                              +-> Stack (crate mwasm-net) -> Tap (tap) -> /dev/net/tun -> the kernel's bridge or router
//! ```
//!
//! *Sockets.* All are non-blocking. An operation is tried first, and only if the kernel says `EAGAIN` the socket is waited for: one
//! `epoll(7)` instance tells of changes of all of them, each registered once, on its first wait ([`poller`]). A request on a connection
//! that stays open so costs a `recv`, a `send`, and a share of the `epoll_wait` that told of a batch of them.
//!
//! *Waiting.* The reactor waits in [`Idle::park`], and [`Network::advance`] follows. [`Linux`] is both: a park that waits for sockets
//! alone sleeps in `epoll_pwait2`, and keeps the events that ended it for `advance`. That is why a network brings an [`Idle`] of its own,
//! and why an image without a network carries none of this.
//!
//! *Ports.* A port that the app listens on may have another one of the machine to stand for it ([`PortMap`]): apps listen on port 80, and
//! the machine lends 8080. The app only sees its own.

mod card;
mod error;
mod files;
mod options;
mod poller;
mod tap;
mod tcp;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
mod udp;

use crate::ports::Process;
use crate::sys::{self, Errno, RawAddress, SocketKind, SocketOption};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
pub use card::Card;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use error::other;
use mwasm_plan::Plan;
use mwasm_plan::net::{Policy, Protocol};
use mwasm_ports::network::{NetError, NetStatus, Network, TcpBound, UdpSocket};
use mwasm_ports::{Idle, Ports, Ready};
use poller::{Poller, Watched};
pub use tap::Tap;

/// The kernel's sockets.
pub struct Linux {
    poller: Arc<Poller>,
    ports: PortMap,
}

impl Linux {
    /// Sockets with these ports of the machine for the app's.
    pub fn new(ports: PortMap) -> Result<Self, NetError> {
        Ok(Self { poller: Arc::new(Poller::new().map_err(other)?), ports })
    }

    /// Opens the kernel's sockets, with the ports that the plan's policy maps.
    pub fn open(ports: &mut Ports, plan: &Plan<'static>) -> Result<(), &'static str> {
        let network = Self::new(PortMap::of(&plan.policy));
        let network =
            network.map_err(|_| "Linux gives no epoll instance: the process or the machine has too many files open")?;
        let network = Arc::new(network);
        ports.idle = network.clone();
        ports.network = Some(network);
        Ok(())
    }

    /// A socket bound to `local`. A free port of any address is only chosen when it is first needed: a client never asks.
    fn socket(&self, protocol: Protocol, local: SocketAddr) -> Result<Socket, NetError> {
        let kind = match protocol {
            Protocol::Tcp => SocketKind::Stream,
            Protocol::Udp => SocketKind::Datagram,
        };
        let fd = sys::socket(local, kind).map_err(error::making)?;
        if local.is_ipv6() {
            sys::set_option(&fd, SocketOption::IPV6_ONLY, 1).map_err(other)?;
        }
        let guest_port = self.ports.host_port(protocol, local.port()).map(|_| local.port());
        if local.port() != 0 || !local.ip().is_unspecified() {
            // Two sockets for datagrams would share the port, not follow each other.
            if matches!(protocol, Protocol::Tcp) {
                sys::set_option(&fd, SocketOption::REUSE_ADDRESS, 1).map_err(other)?;
            }
            let mut address = local;
            address.set_port(self.ports.host_port(protocol, local.port()).unwrap_or(local.port()));
            sys::bind(&fd, &address.into()).map_err(other)?;
        }
        Ok(Socket { watched: Watched::new(self.poller.clone(), fd), guest_port, is_ipv6: local.is_ipv6() })
    }
}

impl Network for Linux {
    fn advance(&self) {
        self.poller.advance();
    }

    /// Everything was sent when it was given; what came ends the park.
    fn advance_before_park(&self) {}

    fn deadline_ns(&self) -> Option<u64> {
        self.poller.deadline_ns()
    }

    /// The machine has addresses for itself and for others; the app is only told of name servers.
    fn status(&self) -> NetStatus {
        NetStatus { addresses: Vec::new(), nameservers: files::nameservers() }
    }

    fn poll_configured(&self, _context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        Poll::Ready(Ok(()))
    }

    fn hosts(&self, name: &str) -> Vec<IpAddr> {
        files::hosts(name)
    }

    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpBound>, NetError> {
        Ok(Box::new(tcp::Bound::new(self.socket(Protocol::Tcp, local)?)))
    }

    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetError> {
        Ok(Box::new(udp::Udp::new(self.socket(Protocol::Udp, local)?)))
    }
}

impl Idle for Linux {
    /// Sleeps for sockets alone if nobody waits for the console, as in a server: then the events are collected at once.
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready {
        let console = interest.contains(Ready::CONSOLE_IN) || interest.contains(Ready::CONSOLE_OUT);
        if !console && let Some(happened) = self.poller.wait(Process.left(deadline_ns)) {
            return happened;
        }
        Process.park_with(deadline_ns, interest, self.poller.raw_fd(), sys::POLLIN)
    }
}

/// Ports of the machine that stand for ports of the app.
#[derive(Clone, Debug, Default)]
pub struct PortMap(Vec<(Protocol, u16, u16)>);

impl PortMap {
    /// The ports that a policy maps.
    pub fn of(policy: &Policy<'_>) -> Self {
        let mapped = policy.listen.iter().filter(|listen| listen.port != listen.host_port);
        Self(mapped.map(|listen| (listen.protocol, listen.port, listen.host_port)).collect())
    }

    /// The machine's port for a port of the app, if it is another one.
    fn host_port(&self, protocol: Protocol, port: u16) -> Option<u16> {
        let (_, _, host_port) = self.0.iter().find(|(of, guest, _)| *of == protocol && *guest == port)?;
        Some(*host_port)
    }
}

/// A socket of either kind, and what the app is told of it.
struct Socket {
    watched: Watched,
    /// The app's port, if the machine has another one for it.
    guest_port: Option<u16>,
    is_ipv6: bool,
}

impl Socket {
    /// The address on this side, with the app's port. The unspecified one if the kernel says nothing.
    fn local(&self) -> SocketAddr {
        let address = sys::local_address(self.watched.fd()).ok().and_then(|raw| raw.get());
        let mut address = address.unwrap_or(self.unspecified());
        if let Some(port) = self.guest_port {
            address.set_port(port);
        }
        address
    }

    /// As [`Socket::local`], of a socket that may not have a port yet: chooses one.
    fn local_or_bind(&self) -> SocketAddr {
        let address = self.local();
        if address.port() != 0 || sys::bind(self.watched.fd(), &self.unspecified().into()).is_err() {
            return address;
        }
        self.local()
    }

    /// Any address and port.
    fn unspecified(&self) -> SocketAddr {
        let any: IpAddr = if self.is_ipv6 {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            core::net::Ipv4Addr::UNSPECIFIED.into()
        };
        SocketAddr::new(any, 0)
    }

    /// The kernel's form of an address of the same family.
    fn remote(&self, address: SocketAddr) -> Result<RawAddress, NetError> {
        if address.is_ipv6() == self.is_ipv6 { Ok(address.into()) } else { Err(NetError::InvalidArgument) }
    }

    fn option(&self, option: SocketOption) -> Result<i32, Errno> {
        sys::option(self.watched.fd(), option)
    }

    fn set_option(&self, option: SocketOption, value: i32) -> Result<(), Errno> {
        sys::set_option(self.watched.fd(), option, value)
    }
}
