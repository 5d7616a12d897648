//! UDP on the kernel's sockets.

use super::Socket;
use super::error::other;
use super::poller::Way;
use crate::sys::{self, Fd};
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use mwasm_ports::network::{NetError, UdpOptions, UdpSocket};

/// A socket for datagrams. The kernel gives it a port with the first datagram that it sends, if it has none yet.
pub struct Udp(Socket);

impl Udp {
    pub fn new(socket: Socket) -> Self {
        Self(socket)
    }
}

impl UdpSocket for Udp {
    fn local(&self) -> SocketAddr {
        self.0.local_or_bind()
    }

    fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<(usize, SocketAddr), NetError>> {
        let receive = |fd: &Fd| sys::receive_from(fd, into);
        let (length, from) = ready!(self.0.watched.attempt(Way::In, context, receive, |_| false)).map_err(other)?;
        Poll::Ready(from.get().map(|from| (length, from)).ok_or(NetError::Unknown))
    }

    fn poll_send(&self, bytes: &[u8], to: SocketAddr, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let to = self.0.remote(to)?;
        let send = |fd: &Fd| sys::send_to(fd, bytes, &to).map(drop);
        self.0.watched.attempt(Way::Out, context, send, |()| false).map_err(other)
    }

    fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.watched.poll_ready(Way::In, context)
    }

    fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.watched.poll_ready(Way::Out, context)
    }

    fn options(&self) -> Result<UdpOptions, NetError> {
        self.0.udp_options()
    }

    fn set_options(&self, options: &UdpOptions) -> Result<(), NetError> {
        self.0.set_udp_options(options)
    }
}
