//! `wasi:sockets/network.error-code`.

use crate::sockets::Refusal;
use mwasm_ports::network::NetError;
use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum ErrorCode {
    #[component(name = "unknown")]
    Unknown,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "not-supported")]
    NotSupported,
    #[component(name = "invalid-argument")]
    InvalidArgument,
    #[component(name = "out-of-memory")]
    OutOfMemory,
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "concurrency-conflict")]
    ConcurrencyConflict,
    #[component(name = "not-in-progress")]
    NotInProgress,
    #[component(name = "would-block")]
    WouldBlock,
    #[component(name = "invalid-state")]
    InvalidState,
    #[component(name = "new-socket-limit")]
    NewSocketLimit,
    #[component(name = "address-not-bindable")]
    AddressNotBindable,
    #[component(name = "address-in-use")]
    AddressInUse,
    #[component(name = "remote-unreachable")]
    RemoteUnreachable,
    #[component(name = "connection-refused")]
    ConnectionRefused,
    #[component(name = "connection-reset")]
    ConnectionReset,
    #[component(name = "connection-aborted")]
    ConnectionAborted,
    #[component(name = "datagram-too-large")]
    DatagramTooLarge,
    #[component(name = "name-unresolvable")]
    NameUnresolvable,
    #[component(name = "temporary-resolver-failure")]
    TemporaryResolverFailure,
    #[component(name = "permanent-resolver-failure")]
    PermanentResolverFailure,
}

impl From<NetError> for ErrorCode {
    fn from(error: NetError) -> Self {
        match error {
            NetError::AccessDenied => Self::AccessDenied,
            NetError::NotSupported => Self::NotSupported,
            NetError::InvalidArgument => Self::InvalidArgument,
            NetError::InvalidState => Self::InvalidState,
            NetError::OutOfMemory => Self::OutOfMemory,
            NetError::Timeout => Self::Timeout,
            NetError::AddressNotBindable => Self::AddressNotBindable,
            NetError::AddressInUse => Self::AddressInUse,
            NetError::RemoteUnreachable => Self::RemoteUnreachable,
            NetError::ConnectionRefused => Self::ConnectionRefused,
            // This version has no case for a connection that broke.
            NetError::ConnectionBroken | NetError::ConnectionAborted => Self::ConnectionAborted,
            NetError::ConnectionReset => Self::ConnectionReset,
            NetError::DatagramTooLarge => Self::DatagramTooLarge,
            NetError::NewSocketLimit => Self::NewSocketLimit,
            NetError::NameUnresolvable => Self::NameUnresolvable,
            NetError::TemporaryResolverFailure => Self::TemporaryResolverFailure,
            NetError::PermanentResolverFailure => Self::PermanentResolverFailure,
            NetError::Unknown => Self::Unknown,
        }
    }
}

impl From<Refusal> for ErrorCode {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Network(error) => error.into(),
            Refusal::NotInProgress => Self::NotInProgress,
            Refusal::InProgress => Self::ConcurrencyConflict,
            Refusal::WouldBlock => Self::WouldBlock,
        }
    }
}
