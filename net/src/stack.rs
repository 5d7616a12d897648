//! The stack as others see it: [`Network`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use mwasm_plan::net::Net;
use mwasm_ports::Clock;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::network::{NetError, NetStatus, Network, TcpBound, UdpSocket};
use spin::{Mutex, MutexGuard};

use crate::Statistics;
use crate::inner::Core;
use crate::sockets::{Bound, Udp};
use crate::udp::Datagrams;

/// A TCP/IP stack over one Ethernet device.
pub struct Stack(Arc<Shared>);

/// What the stack and its sockets share.
pub(crate) struct Shared {
    pub(crate) device: Arc<dyn NetDevice>,
    clock: Arc<dyn Clock>,
    core: Mutex<Core>,
}

impl Shared {
    /// The state, at the time that it is.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        let now_ns = self.clock.monotonic_ns();
        let mut core = self.core.lock();
        core.now_ns = core.now_ns.max(now_ns);
        core
    }
}

impl Stack {
    /// A stack over `device`, set up as `net` says. `seed` must be a secret: ports and sequence numbers follow from it.
    pub fn new(device: Arc<dyn NetDevice>, clock: Arc<dyn Clock>, seed: u64, net: &Net<'_>) -> Arc<Self> {
        let core = Core::new(&*device, clock.monotonic_ns(), seed, net);
        Arc::new(Self(Arc::new(Shared { device, clock, core: Mutex::new(core) })))
    }

    /// What it did so far.
    pub fn statistics(&self) -> Statistics {
        let core = self.0.lock();
        Statistics {
            connections: core.connections.len() as u64,
            half_open: core.half_open.len() as u64,
            time_waits: core.time_waits.len() as u64,
            ..core.statistics
        }
    }
}

impl Network for Stack {
    fn advance(&self) {
        let mut core = self.0.lock();
        core.advance(&*self.0.device);
        let woken = core::mem::take(&mut core.woken);
        // Whoever is woken may call the stack at once.
        drop(core);
        woken.into_iter().for_each(Waker::wake);
    }

    fn deadline_ns(&self) -> Option<u64> {
        self.0.lock().deadline_ns()
    }

    fn status(&self) -> NetStatus {
        self.0.lock().addresses.status()
    }

    fn poll_configured(&self, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let mut core = self.0.lock();
        if core.addresses.is_configured() {
            return Poll::Ready(Ok(()));
        }
        match core.addresses.may_wait() {
            Ok(()) => {
                core.addresses.keep_waiting(context.waker());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_settled(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut core = self.0.lock();
        if core.is_settled() {
            return Poll::Ready(());
        }
        core.settling = Some(context.waker().clone());
        Poll::Pending
    }

    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpBound>, NetError> {
        let mut core = self.0.lock();
        core.check_bindable(local.ip())?;
        if !core.has_socket_room() {
            return Err(NetError::NewSocketLimit);
        }
        // Any free port is chosen when it is known whether the socket listens or connects: one that connects may share its port.
        let is_taken = local.port() != 0;
        let core = &mut *core;
        if is_taken {
            core.tcp.bind(local, &mut core.secret)?;
        }
        core.bound += 1;
        Ok(Box::new(Bound { stack: self.0.clone(), local, is_taken }))
    }

    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetError> {
        let mut core = self.0.lock();
        core.check_bindable(local.ip())?;
        if !core.has_socket_room() {
            return Err(NetError::NewSocketLimit);
        }
        let core = &mut *core;
        let local = core.udp.bind(SocketAddr::new(local.ip(), local.port()), &mut core.secret)?;
        let id = core.datagrams.insert(Datagrams::new(local));
        core.datagrams_at.insert(local, id);
        Ok(Box::new(Udp { stack: self.0.clone(), id, local }))
    }
}
