//! Error numbers of Linux (`errno(3)`, `asm-generic/errno.h`), as far as they mean something here.

/// An error number of Linux, such as 32 for `EPIPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// `EPERM`: it takes a privilege.
pub const EPERM: Errno = Errno(1);
/// `ENOENT`: no such file.
pub const ENOENT: Errno = Errno(2);
/// `EINTR`: a signal came first.
pub const EINTR: Errno = Errno(4);
/// `EIO`: the device does not work, such as an interface that is down.
pub const EIO: Errno = Errno(5);
/// `ENXIO`: no such device.
pub const ENXIO: Errno = Errno(6);
/// `EAGAIN`: nothing there now.
pub const EAGAIN: Errno = Errno(11);
/// `ENOMEM`: no memory.
pub const ENOMEM: Errno = Errno(12);
/// `EACCES`: it takes a privilege.
pub const EACCES: Errno = Errno(13);
/// `EBUSY`: somebody else has it.
pub const EBUSY: Errno = Errno(16);
/// `ENODEV`: no such device.
pub const ENODEV: Errno = Errno(19);
/// `EINVAL`: an argument makes no sense, or not now.
pub const EINVAL: Errno = Errno(22);
/// `ENFILE`: the machine has too many files open.
pub const ENFILE: Errno = Errno(23);
/// `EMFILE`: the process has too many files open.
pub const EMFILE: Errno = Errno(24);
/// `EPIPE`: nobody reads any more.
pub const EPIPE: Errno = Errno(32);
/// `ENOSYS`: this kernel has no such call.
pub const ENOSYS: Errno = Errno(38);
/// `EPROTO`: a protocol error.
pub const EPROTO: Errno = Errno(71);
/// `EMSGSIZE`: the message is too long.
pub const EMSGSIZE: Errno = Errno(90);
/// `ENOPROTOOPT`: no such option.
pub const ENOPROTOOPT: Errno = Errno(92);
/// `EPROTONOSUPPORT`: this kernel has no such protocol.
pub const EPROTONOSUPPORT: Errno = Errno(93);
/// `EOPNOTSUPP`: not on a socket of this kind.
pub const EOPNOTSUPP: Errno = Errno(95);
/// `EAFNOSUPPORT`: this kernel has no such family of addresses.
pub const EAFNOSUPPORT: Errno = Errno(97);
/// `EADDRINUSE`: another socket has the address.
pub const EADDRINUSE: Errno = Errno(98);
/// `EADDRNOTAVAIL`: the address is not one of the machine's, or no port is free.
pub const EADDRNOTAVAIL: Errno = Errno(99);
/// `ENETDOWN`: the interface is down.
pub const ENETDOWN: Errno = Errno(100);
/// `ENETUNREACH`: no route.
pub const ENETUNREACH: Errno = Errno(101);
/// `ECONNABORTED`: the connection ended.
pub const ECONNABORTED: Errno = Errno(103);
/// `ECONNRESET`: the other side reset the connection.
pub const ECONNRESET: Errno = Errno(104);
/// `ENOBUFS`: no memory for buffers.
pub const ENOBUFS: Errno = Errno(105);
/// `EISCONN`: connected already.
pub const EISCONN: Errno = Errno(106);
/// `ENOTCONN`: not connected.
pub const ENOTCONN: Errno = Errno(107);
/// `ETIMEDOUT`: no answer in time.
pub const ETIMEDOUT: Errno = Errno(110);
/// `ECONNREFUSED`: nobody listens there.
pub const ECONNREFUSED: Errno = Errno(111);
/// `EHOSTDOWN`: the host does not answer.
pub const EHOSTDOWN: Errno = Errno(112);
/// `EHOSTUNREACH`: no route to the host.
pub const EHOSTUNREACH: Errno = Errno(113);
/// `EALREADY`: it is being connected already.
pub const EALREADY: Errno = Errno(114);
/// `EINPROGRESS`: it is being connected.
pub const EINPROGRESS: Errno = Errno(115);
