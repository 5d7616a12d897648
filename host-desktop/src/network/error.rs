//! From error numbers of Linux to the errors of `wasi:sockets`. Some mean something else for some calls.

use crate::sys::{self, Errno};
use mwasm_ports::network::NetError;

/// The error of any call.
pub fn other(errno: Errno) -> NetError {
    match errno {
        sys::EPERM | sys::EACCES => NetError::AccessDenied,
        sys::EINVAL | sys::EAFNOSUPPORT => NetError::InvalidArgument,
        sys::EOPNOTSUPP | sys::ENOPROTOOPT | sys::EPROTONOSUPPORT | sys::ENOSYS => NetError::NotSupported,
        sys::ENOMEM | sys::ENOBUFS => NetError::OutOfMemory,
        sys::EMFILE | sys::ENFILE => NetError::NewSocketLimit,
        sys::EISCONN | sys::ENOTCONN | sys::EALREADY | sys::EINPROGRESS => NetError::InvalidState,
        sys::EADDRINUSE => NetError::AddressInUse,
        sys::EADDRNOTAVAIL => NetError::AddressNotBindable,
        sys::ENETDOWN | sys::ENETUNREACH | sys::EHOSTDOWN | sys::EHOSTUNREACH => NetError::RemoteUnreachable,
        sys::ECONNREFUSED => NetError::ConnectionRefused,
        sys::ECONNRESET => NetError::ConnectionReset,
        sys::ECONNABORTED => NetError::ConnectionAborted,
        sys::EPIPE => NetError::ConnectionBroken,
        sys::ETIMEDOUT => NetError::Timeout,
        sys::EMSGSIZE => NetError::DatagramTooLarge,
        _ => NetError::Unknown,
    }
}

/// The error of `socket(2)`: a family that is unknown is one that this machine does not have.
pub fn making(errno: Errno) -> NetError {
    if errno == sys::EAFNOSUPPORT { NetError::NotSupported } else { other(errno) }
}

/// The error of `connect(2)`: an address that is not available is the local one, of which no port is free.
pub fn connecting(errno: Errno) -> NetError {
    if errno == sys::EADDRNOTAVAIL { NetError::AddressInUse } else { other(errno) }
}
