//! Sockets as WebAssembly's interfaces have them, whatever their version: what `wasi:sockets` 0.2 and 0.3, `wasi:http` and `mwasm:net`
//! share.
//!
//! ```text
//!   wasi:sockets 0.2 (start, finish, pollables) --+
//!   wasi:sockets 0.3 (async, streams) ------------+--> TcpSocket, UdpSocket --> Policy --> Network (port)
//!   wasi:http, mwasm:net --> Dialer --------------+        Connection -----------------------^
//! ```
//!
//! * [`address`]: addresses as the guest has them, and which of them make sense.
//! * [`tcp`]: what a TCP socket is at any time, as one enum; [`connection`]: both directions of one that is connected.
//! * [`udp`]: sockets for datagrams.
//! * [`names`]: names to addresses; [`dial`]: from a name to a connection.
//!
//! The policy is asked before the port is, always, and here only: the interfaces cannot get around it.

pub mod address;
pub mod connection;
pub mod dial;
pub mod names;
pub mod tcp;
pub mod udp;

#[cfg(test)]
mod tests;

use crate::State;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::task::{Context, Poll};
use mwasm_ports::network::{NetError, Network};

/// Why a socket refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The network, or the policy, says no.
    Network(NetError),
    /// What is to be finished was not started.
    NotInProgress,
    /// Another operation is under way.
    InProgress,
    /// Not yet.
    WouldBlock,
}

impl From<NetError> for Refusal {
    fn from(error: NetError) -> Self {
        Self::Network(error)
    }
}

/// The machine's network, if the app may use any.
pub(crate) fn network(state: &State) -> Result<Arc<dyn Network>, NetError> {
    state.ports.network.clone().ok_or(NetError::AccessDenied)
}

/// Ready once a peer at `remote` can be reached, as far as the machine's own set-up goes: loopback always is, others need an address of
/// ours, which comes from DHCP, say.
fn poll_configured(network: &dyn Network, remote: IpAddr, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
    if remote.is_loopback() { Poll::Ready(Ok(())) } else { network.poll_configured(context) }
}
