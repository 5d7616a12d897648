//! Why an exchange failed.

use core::fmt;
use mwasm_http::{Fault, SendError};
use mwasm_ports::network::NetError;

/// Why an exchange failed, or one of its bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The other side sent what is no HTTP, or too much of it.
    Fault(Fault),
    /// The app's own message cannot be sent.
    Send(SendError),
    /// The connection failed.
    Network(NetError),
    /// The name of the other side was not found.
    Name(NetError),
    /// The connection was not there in time.
    ConnectTimeout,
    /// Nothing of the response came in time.
    ResponseTimeout,
    /// No piece of a body came in time.
    ReceiveTimeout,
    /// The other side took nothing in time.
    SendTimeout,
    /// The policy does not grant it.
    Denied,
    /// The scheme `https` is not spoken.
    Tls,
    /// The app wrote more than there was room for.
    Overrun,
    /// The exchange is over.
    Over,
}

impl Failure {
    /// Why a connection could not be made.
    pub fn dialing(error: NetError) -> Self {
        match error {
            NetError::AccessDenied => Self::Denied,
            NetError::NameUnresolvable
            | NetError::TemporaryResolverFailure
            | NetError::PermanentResolverFailure
            | NetError::InvalidArgument => Self::Name(error),
            error => Self::Network(error),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        Self::Network(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Send(error) => error.fmt(f),
            Self::Network(error) | Self::Name(error) => error.fmt(f),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::ResponseTimeout => f.write_str("no response in time"),
            Self::ReceiveTimeout => f.write_str("no piece of the body came in time"),
            Self::SendTimeout => f.write_str("the other side took nothing in time"),
            Self::Denied => f.write_str("access denied: the policy does not grant it"),
            Self::Tls => f.write_str("https is not spoken here"),
            Self::Overrun => f.write_str("more was written than there was room for"),
            Self::Over => f.write_str("the exchange is over"),
        }
    }
}

impl core::error::Error for Failure {}
