//! Sockets: `socket(2)` and what is called on one. All of them are non-blocking and not for other programs.

use super::address::{AF_INET, AF_INET6};
use super::{Errno, Fd, RawAddress, call, number};
use core::net::SocketAddr;

/// `SOCK_NONBLOCK | SOCK_CLOEXEC`.
const SOCK_FLAGS: usize = super::O_NONBLOCK | super::O_CLOEXEC;

/// What a socket carries.
#[derive(Clone, Copy, Debug)]
pub enum SocketKind {
    /// `SOCK_STREAM`: TCP.
    Stream = 1,
    /// `SOCK_DGRAM`: UDP.
    Datagram = 2,
}

/// `socket(2)` of the family of `address`.
pub fn socket(address: SocketAddr, kind: SocketKind) -> Result<Fd, Errno> {
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    // SAFETY: no pointer is passed.
    unsafe { call(number::SOCKET, [usize::from(family), kind as usize | SOCK_FLAGS, 0, 0, 0, 0]) }.map(Fd::new)
}

/// `bind(2)`.
pub fn bind(fd: &Fd, address: &RawAddress) -> Result<(), Errno> {
    let arguments = [fd.raw() as usize, address.as_ptr(), address.length() as usize, 0, 0, 0];
    // SAFETY: the kernel reads the address.
    unsafe { call(number::BIND, arguments) }.map(drop)
}

/// `listen(2)`.
pub fn listen(fd: &Fd, backlog: usize) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    unsafe { call(number::LISTEN, [fd.raw() as usize, backlog, 0, 0, 0, 0]) }.map(drop)
}

/// `accept4(2)`: a connection and its other side.
pub fn accept(fd: &Fd) -> Result<(Fd, RawAddress), Errno> {
    let mut peer = RawAddress::room();
    let arguments = [fd.raw() as usize, peer.as_mut_ptr(), &raw mut *peer.length_mut() as usize, SOCK_FLAGS, 0, 0];
    // SAFETY: the kernel writes an address, no longer than the length says, and its length.
    let accepted = unsafe { call(number::ACCEPT4, arguments) }?;
    Ok((Fd::new(accepted), peer))
}

/// `connect(2)`.
pub fn connect(fd: &Fd, address: &RawAddress) -> Result<(), Errno> {
    let arguments = [fd.raw() as usize, address.as_ptr(), address.length() as usize, 0, 0, 0];
    // SAFETY: the kernel reads the address.
    unsafe { call(number::CONNECT, arguments) }.map(drop)
}

/// `getsockname(2)`: the address on this side.
pub fn local_address(fd: &Fd) -> Result<RawAddress, Errno> {
    let mut address = RawAddress::room();
    let arguments = [fd.raw() as usize, address.as_mut_ptr(), &raw mut *address.length_mut() as usize, 0, 0, 0];
    // SAFETY: the kernel writes an address, no longer than the length says, and its length.
    unsafe { call(number::GETSOCKNAME, arguments) }?;
    Ok(address)
}

/// `MSG_NOSIGNAL`: an error is enough.
const MSG_NOSIGNAL: usize = 0x4000;

/// `send(2)`.
pub fn send(fd: &Fd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `bytes`.
    unsafe { call(number::SENDTO, [fd.raw() as usize, bytes.as_ptr() as usize, bytes.len(), MSG_NOSIGNAL, 0, 0]) }
}

/// `sendto(2)`.
pub fn send_to(fd: &Fd, bytes: &[u8], to: &RawAddress) -> Result<usize, Errno> {
    let (start, length) = (bytes.as_ptr() as usize, bytes.len());
    let arguments = [fd.raw() as usize, start, length, MSG_NOSIGNAL, to.as_ptr(), to.length() as usize];
    // SAFETY: the kernel reads `bytes` and the address.
    unsafe { call(number::SENDTO, arguments) }
}

/// `recv(2)`.
pub fn receive(fd: &Fd, into: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes to `into`.
    unsafe { call(number::RECVFROM, [fd.raw() as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) }
}

/// `recvfrom(2)`.
pub fn receive_from(fd: &Fd, into: &mut [u8]) -> Result<(usize, RawAddress), Errno> {
    let mut from = RawAddress::room();
    let (start, length) = (into.as_mut_ptr() as usize, into.len());
    let arguments = [fd.raw() as usize, start, length, 0, from.as_mut_ptr(), &raw mut *from.length_mut() as usize];
    // SAFETY: the kernel writes to `into`, and an address no longer than the length says, and its length.
    let count = unsafe { call(number::RECVFROM, arguments) }?;
    Ok((count, from))
}

/// A direction of a connection, for `shutdown(2)`.
#[derive(Clone, Copy, Debug)]
pub enum Shutdown {
    /// `SHUT_RD`.
    Receive = 0,
    /// `SHUT_WR`.
    Send = 1,
}

/// `shutdown(2)`.
pub fn shutdown(fd: &Fd, what: Shutdown) -> Result<(), Errno> {
    // SAFETY: no pointer is passed.
    unsafe { call(number::SHUTDOWN, [fd.raw() as usize, what as usize, 0, 0, 0, 0]) }.map(drop)
}

/// An option whose value is an `int`: level and name.
#[derive(Clone, Copy, Debug)]
pub struct SocketOption(usize, usize);

const SOL_SOCKET: usize = 1;
const IPPROTO_IP: usize = 0;
const IPPROTO_TCP: usize = 6;
const IPPROTO_IPV6: usize = 41;

impl SocketOption {
    /// `SO_REUSEADDR`: an address may be bound that old connections still have.
    pub const REUSE_ADDRESS: Self = Self(SOL_SOCKET, 2);
    /// `SO_ERROR`: what happened since it was asked last.
    pub const ERROR: Self = Self(SOL_SOCKET, 4);
    /// `SO_SNDBUF`, in bytes; the kernel doubles what it is given.
    pub const SEND_BUFFER: Self = Self(SOL_SOCKET, 7);
    /// `SO_RCVBUF`, in bytes; the kernel doubles what it is given.
    pub const RECEIVE_BUFFER: Self = Self(SOL_SOCKET, 8);
    /// `SO_KEEPALIVE`.
    pub const KEEP_ALIVE: Self = Self(SOL_SOCKET, 9);
    /// `IP_TTL`.
    pub const TIME_TO_LIVE: Self = Self(IPPROTO_IP, 2);
    /// `TCP_NODELAY`: small writes are sent at once.
    pub const NO_DELAY: Self = Self(IPPROTO_TCP, 1);
    /// `TCP_KEEPIDLE`, in seconds.
    pub const KEEP_ALIVE_IDLE: Self = Self(IPPROTO_TCP, 4);
    /// `TCP_KEEPINTVL`, in seconds.
    pub const KEEP_ALIVE_INTERVAL: Self = Self(IPPROTO_TCP, 5);
    /// `TCP_KEEPCNT`.
    pub const KEEP_ALIVE_COUNT: Self = Self(IPPROTO_TCP, 6);
    /// `IPV6_UNICAST_HOPS`.
    pub const HOP_LIMIT: Self = Self(IPPROTO_IPV6, 16);
    /// `IPV6_V6ONLY`: not IPv4, too.
    pub const IPV6_ONLY: Self = Self(IPPROTO_IPV6, 26);
}

/// `setsockopt(2)`.
pub fn set_option(fd: &Fd, option: SocketOption, value: i32) -> Result<(), Errno> {
    let arguments = [fd.raw() as usize, option.0, option.1, &raw const value as usize, size_of::<i32>(), 0];
    // SAFETY: the kernel reads an `int`.
    unsafe { call(number::SETSOCKOPT, arguments) }.map(drop)
}

/// `getsockopt(2)`.
pub fn option(fd: &Fd, option: SocketOption) -> Result<i32, Errno> {
    let (mut value, mut length) = (0i32, size_of::<i32>() as u32);
    let arguments = [fd.raw() as usize, option.0, option.1, &raw mut value as usize, &raw mut length as usize, 0];
    // SAFETY: the kernel writes no more than the length says, and the length.
    unsafe { call(number::GETSOCKOPT, arguments) }?;
    Ok(value)
}
