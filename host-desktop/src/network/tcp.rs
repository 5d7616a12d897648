//! TCP on the kernel's sockets.

use super::Socket;
use super::error::{connecting, other};
use super::poller::{Watched, Way};
use crate::sys::{self, Errno, Fd, RawAddress, Shutdown, SocketOption};
use alloc::boxed::Box;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::task::{Context, Poll, ready};
use mwasm_ports::network::{MAX_BACKLOG, NetError, TcpBound, TcpListener, TcpOptions, TcpStream};
use spin::Mutex;

/// A socket with a local address.
pub struct Bound(Socket);

impl Bound {
    pub fn new(socket: Socket) -> Self {
        Self(socket)
    }

    /// The options that both ends of a connection start with.
    fn prepare(&self, options: &TcpOptions) -> Result<(), NetError> {
        self.0.set_option(SocketOption::NO_DELAY, 1).map_err(other)?;
        self.0.change_tcp_options(&TcpOptions::default(), options)
    }
}

impl TcpBound for Bound {
    fn local(&self) -> SocketAddr {
        self.0.local_or_bind()
    }

    fn listen(self: Box<Self>, backlog: usize, options: &TcpOptions) -> Result<Box<dyn TcpListener>, NetError> {
        self.prepare(options)?;
        sys::listen(self.0.watched.fd(), backlog.clamp(1, MAX_BACKLOG)).map_err(other)?;
        Ok(Box::new(Listener(self.0)))
    }

    fn connect(self: Box<Self>, remote: SocketAddr, options: &TcpOptions) -> Result<Box<dyn TcpStream>, NetError> {
        let address = self.0.remote(remote)?;
        self.prepare(options)?;
        let watched = &self.0.watched;
        match sys::connect(watched.fd(), &address) {
            Ok(()) | Err(sys::EINPROGRESS | sys::EINTR) => {}
            Err(errno) => return Err(connecting(errno)),
        }
        // Registered only now: a socket that is not being connected counts as one that has ended.
        watched.block(Way::Out).map_err(other)?;
        Ok(Box::new(Stream::new(self.0, remote, None)))
    }
}

/// A listening socket. What it accepts inherits its options, `TCP_NODELAY` too.
struct Listener(Socket);

impl TcpListener for Listener {
    fn local(&self) -> SocketAddr {
        self.0.local()
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Box<dyn TcpStream>, NetError>> {
        let watched = &self.0.watched;
        let (fd, peer) = match ready!(watched.attempt(Way::In, context, accept, |_| false)) {
            Ok((fd, peer)) => (fd, peer.get().unwrap_or(self.0.unspecified())),
            Err(errno) => {
                if matches!(errno, sys::EMFILE | sys::ENFILE | sys::ENOMEM | sys::ENOBUFS) {
                    // The connection still waits: without a rest the app would be told again and again.
                    watched.starve();
                }
                return Poll::Ready(Err(other(errno)));
            }
        };
        let watched = Watched::new(watched.poller().clone(), fd);
        let socket = Socket { watched, guest_port: self.0.guest_port, is_ipv6: self.0.is_ipv6 };
        Poll::Ready(Ok(Box::new(Stream::new(socket, peer, Some(Ok(()))))))
    }

    fn poll_acceptable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.watched.poll_ready(Way::In, context)
    }

    fn set_options(&self, options: &TcpOptions) -> Result<(), NetError> {
        self.0.change_tcp_options(&self.0.tcp_options()?, options)
    }
}

/// The next connection that is whole: `accept(2)` also tells of those that failed while they waited.
fn accept(listener: &Fd) -> Result<(Fd, RawAddress), Errno> {
    loop {
        match sys::accept(listener) {
            Err(
                sys::ECONNABORTED
                | sys::EPROTO
                | sys::ENETDOWN
                | sys::EHOSTDOWN
                | sys::ENETUNREACH
                | sys::EHOSTUNREACH
                | sys::ENOPROTOOPT,
            ) => {}
            result => return result,
        }
    }
}

/// A connection.
struct Stream {
    socket: Socket,
    remote: SocketAddr,
    /// How connecting ended.
    connected: Mutex<Option<Result<(), NetError>>>,
    /// Whether the app wants nothing more of the other side.
    deaf: AtomicBool,
}

impl Stream {
    fn new(socket: Socket, remote: SocketAddr, connected: Option<Result<(), NetError>>) -> Self {
        Self { socket, remote, connected: Mutex::new(connected), deaf: AtomicBool::new(false) }
    }
}

impl TcpStream for Stream {
    fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn poll_connected(&self, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let mut connected = self.connected.lock();
        if let Some(result) = *connected {
            return Poll::Ready(result);
        }
        ready!(self.socket.watched.poll_ready(Way::Out, context));
        let result = match self.socket.option(SocketOption::ERROR) {
            Ok(0) => Ok(()),
            Ok(number) => Err(connecting(Errno(number))),
            Err(errno) => Err(other(errno)),
        };
        *connected = Some(result);
        Poll::Ready(result)
    }

    fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        if self.deaf.load(Relaxed) {
            return Poll::Ready(Ok(0));
        }
        let room = into.len();
        let receive = |fd: &Fd| sys::receive(fd, into);
        self.socket.watched.attempt(Way::In, context, receive, |count| *count < room).map_err(other)
    }

    fn poll_send(&self, bytes: &[u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        let send = |fd: &Fd| sys::send(fd, bytes);
        self.socket.watched.attempt(Way::Out, context, send, |count| *count < bytes.len()).map_err(other)
    }

    fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.deaf.load(Relaxed) {
            return Poll::Ready(());
        }
        self.socket.watched.poll_ready(Way::In, context)
    }

    fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.socket.watched.poll_ready(Way::Out, context)
    }

    fn shutdown_send(&self) -> Result<(), NetError> {
        sys::shutdown(self.socket.watched.fd(), Shutdown::Send).map_err(other)
    }

    /// What still comes fills the kernel's buffer, and then waits with the other side.
    fn shutdown_receive(&self) -> Result<(), NetError> {
        self.deaf.store(true, Relaxed);
        sys::shutdown(self.socket.watched.fd(), Shutdown::Receive).map_err(other)
    }

    /// To connect to no address takes the connection apart at once, with a reset (`connect(2)`).
    fn abort(&self) {
        // It only fails if there is no connection.
        let _ = sys::connect(self.socket.watched.fd(), &RawAddress::none());
    }

    fn options(&self) -> Result<TcpOptions, NetError> {
        self.socket.tcp_options()
    }

    fn set_options(&self, options: &TcpOptions) -> Result<(), NetError> {
        self.socket.change_tcp_options(&self.socket.tcp_options()?, options)
    }
}
