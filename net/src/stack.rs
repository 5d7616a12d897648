//! The stack as others see it: [`Network`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use mwasm_plan::net::Net;
use mwasm_ports::Clock;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::network::{NetError, NetStatus, Network, TcpBound, UdpSocket};

use crate::Statistics;

/// A TCP/IP stack over one Ethernet device.
pub struct Stack {
    _device: Arc<dyn NetDevice>,
    _clock: Arc<dyn Clock>,
}

impl Stack {
    /// A stack over `device`, set up as `net` says. `seed` must be a secret: ports and sequence numbers follow from it.
    pub fn new(device: Arc<dyn NetDevice>, clock: Arc<dyn Clock>, _seed: u64, _net: &Net<'_>) -> Arc<Self> {
        Arc::new(Self { _device: device, _clock: clock })
    }

    /// What it did so far.
    pub fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}

impl Network for Stack {
    fn advance(&self) {}

    fn deadline_ns(&self) -> Option<u64> {
        None
    }

    fn status(&self) -> NetStatus {
        NetStatus::default()
    }

    fn poll_configured(&self, _context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        Poll::Ready(Err(NetError::RemoteUnreachable))
    }

    fn bind_tcp(&self, _local: SocketAddr) -> Result<Box<dyn TcpBound>, NetError> {
        Err(NetError::NotSupported)
    }

    fn bind_udp(&self, _local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetError> {
        Err(NetError::NotSupported)
    }
}
