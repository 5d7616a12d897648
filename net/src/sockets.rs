//! The sockets as apps hold them: a number, and the stack that it is of.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use mwasm_ports::network::{
    MAX_BACKLOG, NetError, TcpBound, TcpListener, TcpOptions, TcpStream, UdpOptions, UdpSocket,
};

use crate::bindings::with_port;
use crate::connection::{Connection, Phase, keep};
use crate::inner::Core;
use crate::listener::Listener;
use crate::slab::Id;
use crate::stack::Shared;

/// A local address for TCP.
pub(crate) struct Bound {
    pub(crate) stack: Arc<Shared>,
    pub(crate) local: SocketAddr,
    /// Whether the address is in the table of those that are taken. A port that is only chosen when connecting is not.
    pub(crate) is_taken: bool,
}

impl Bound {
    /// Gives up being bound, but keeps the address for what comes of it.
    fn into_parts(mut self) -> (Arc<Shared>, SocketAddr, bool) {
        let is_taken = core::mem::take(&mut self.is_taken);
        (self.stack.clone(), self.local, is_taken)
    }
}

impl TcpBound for Bound {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn listen(self: Box<Self>, backlog: usize, options: &TcpOptions) -> Result<Box<dyn TcpListener>, NetError> {
        let (stack, mut local, is_taken) = (*self).into_parts();
        let mut core = stack.lock();
        if !is_taken {
            let core = &mut *core;
            local = core.tcp.bind(local, &mut core.secret)?;
        }
        let backlog = backlog.clamp(1, MAX_BACKLOG);
        let listener = Listener { local, backlog, options: *options, ready: Default::default(), waker: None };
        let id = core.listeners.insert(listener);
        drop(core);
        Ok(Box::new(Listening { stack, id, local }))
    }

    fn connect(self: Box<Self>, remote: SocketAddr, options: &TcpOptions) -> Result<Box<dyn TcpStream>, NetError> {
        let (stack, local, is_taken) = (*self).into_parts();
        let mut core = stack.lock();
        let id = core.connect(local, remote, options);
        if is_taken {
            // From here on, both addresses together are what nobody else may have.
            core.tcp.release(local);
        }
        drop(core);
        Ok(Box::new(Stream { stack, id: id?, remote }))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut core = self.stack.lock();
        core.bound -= 1;
        if self.is_taken {
            core.tcp.release(self.local);
        }
    }
}

struct Listening {
    stack: Arc<Shared>,
    id: Id,
    local: SocketAddr,
}

impl TcpListener for Listening {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Box<dyn TcpStream>, NetError>> {
        let mut core = self.stack.lock();
        let Some(listener) = core.listeners.get_mut(self.id) else { return Poll::Ready(Err(NetError::InvalidState)) };
        let Some(id) = listener.ready.pop_front() else {
            keep(&mut listener.waker, context);
            return Poll::Pending;
        };
        if let Some(key) = core.half_open.first_that_waits(self.id) {
            core.establish(&key);
        }
        let remote = core.connections.get(id).map(|connection| connection.remote);
        drop(core);
        Poll::Ready(match remote {
            Some(remote) => Ok(Box::new(Stream { stack: self.stack.clone(), id, remote })),
            None => Err(NetError::ConnectionAborted),
        })
    }

    fn poll_acceptable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut core = self.stack.lock();
        match core.listeners.get_mut(self.id) {
            Some(listener) if listener.ready.is_empty() => {
                keep(&mut listener.waker, context);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    fn set_options(&self, options: &TcpOptions) -> Result<(), NetError> {
        let mut core = self.stack.lock();
        let listener = core.listeners.get_mut(self.id).ok_or(NetError::InvalidState)?;
        listener.options = *options;
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut core = self.stack.lock();
        core.tcp.release(self.local);
        core.half_open.remove_of(self.id);
        let Some(listener) = core.listeners.remove(self.id) else { return };
        for id in listener.ready {
            core.abort(id, NetError::ConnectionAborted);
            core.let_go(id);
        }
    }
}

/// A connection.
struct Stream {
    stack: Arc<Shared>,
    id: Id,
    remote: SocketAddr,
}

impl Stream {
    /// Runs `with` on the connection, which may have something to send afterwards.
    fn with<R>(&self, with: impl FnOnce(&mut Connection, &mut Core) -> R) -> Result<R, NetError> {
        let mut core = self.stack.lock();
        core.with_connection(self.id, with).ok_or(NetError::InvalidState)
    }
}

impl TcpStream for Stream {
    fn local(&self) -> SocketAddr {
        let core = self.stack.lock();
        core.connections.get(self.id).map_or(with_port(self.remote, 0), |connection| connection.local)
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn poll_connected(&self, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let mut core = self.stack.lock();
        let Some(connection) = core.connections.get_mut(self.id) else {
            return Poll::Ready(Err(NetError::InvalidState));
        };
        let connected = connection.poll_connected();
        if connected.is_pending() {
            keep(&mut connection.send_waker, context);
        }
        connected
    }

    fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        let mut core = self.stack.lock();
        let Some(connection) = core.connections.get_mut(self.id) else {
            return Poll::Ready(Err(NetError::InvalidState));
        };
        let received = connection.poll_receive(into);
        match received {
            Poll::Pending => keep(&mut connection.receive_waker, context),
            Poll::Ready(Ok(bytes)) if bytes > 0 => {
                core.statistics.bytes_copied_app += bytes as u64;
                core.enqueue(self.id);
            }
            Poll::Ready(_) => {}
        }
        received
    }

    fn poll_send(&self, bytes: &[u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        let mut core = self.stack.lock();
        let now_ns = core.now_ns;
        let Some(connection) = core.connections.get_mut(self.id) else {
            return Poll::Ready(Err(NetError::InvalidState));
        };
        let sent = connection.poll_send(bytes, now_ns);
        match sent {
            Poll::Pending => keep(&mut connection.send_waker, context),
            Poll::Ready(Ok(bytes)) => {
                core.statistics.bytes_copied_app += bytes as u64;
                core.enqueue(self.id);
            }
            Poll::Ready(Err(_)) => {}
        }
        sent
    }

    fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut core = self.stack.lock();
        let Some(connection) = core.connections.get_mut(self.id) else { return Poll::Ready(()) };
        if connection.is_receivable() {
            return Poll::Ready(());
        }
        keep(&mut connection.receive_waker, context);
        Poll::Pending
    }

    fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut core = self.stack.lock();
        let Some(connection) = core.connections.get_mut(self.id) else { return Poll::Ready(()) };
        if connection.is_sendable() {
            return Poll::Ready(());
        }
        keep(&mut connection.send_waker, context);
        Poll::Pending
    }

    fn shutdown_send(&self) -> Result<(), NetError> {
        self.with(|connection, core| match connection.phase {
            Phase::Waiting | Phase::Connecting => Err(NetError::InvalidState),
            Phase::Open | Phase::Over => {
                connection.alone.socket().close();
                connection.unanswered_since_ns.get_or_insert(core.now_ns);
                Ok(())
            }
        })?
    }

    fn shutdown_receive(&self) -> Result<(), NetError> {
        self.with(|connection, core| {
            connection.discards = true;
            connection.throw_away_what_came();
            connection.take_ready(&mut core.woken);
        })
    }

    fn abort(&self) {
        self.stack.lock().abort(self.id, NetError::ConnectionAborted);
    }

    fn options(&self) -> Result<TcpOptions, NetError> {
        let core = self.stack.lock();
        let connection = core.connections.get(self.id).ok_or(NetError::InvalidState)?;
        let (receive, send) = connection.alone.buffer_bytes();
        let (receive_buffer_bytes, send_buffer_bytes) = (Some(receive as u64), Some(send as u64));
        Ok(TcpOptions { receive_buffer_bytes, send_buffer_bytes, ..connection.options })
    }

    fn set_options(&self, options: &TcpOptions) -> Result<(), NetError> {
        self.with(|connection, _| connection.set_options(options))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stack.lock().let_go(self.id);
    }
}

impl Core {
    fn with_connection<R>(&mut self, id: Id, with: impl FnOnce(&mut Connection, &mut Self) -> R) -> Option<R> {
        // Taken out for the time being, so that both can be changed; its number stays its own.
        let mut connection = self.connections.take(id)?;
        let result = with(&mut connection, self);
        self.connections.put_back(id, connection);
        self.enqueue(id);
        Some(result)
    }

    fn abort(&mut self, id: Id, error: NetError) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.fail(error);
            connection.take_ready(&mut self.woken);
            self.enqueue(id);
        }
    }
}

/// A socket for datagrams.
pub(crate) struct Udp {
    pub(crate) stack: Arc<Shared>,
    pub(crate) id: Id,
    pub(crate) local: SocketAddr,
}

impl UdpSocket for Udp {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<(usize, SocketAddr), NetError>> {
        let mut core = self.stack.lock();
        let Some(socket) = core.datagrams.get_mut(self.id) else { return Poll::Ready(Err(NetError::InvalidState)) };
        match socket.receive(into) {
            Some((bytes, from)) => {
                core.statistics.bytes_copied_app += bytes as u64;
                Poll::Ready(Ok((bytes, from)))
            }
            None => {
                keep(&mut socket.waker, context);
                Poll::Pending
            }
        }
    }

    fn poll_send(&self, bytes: &[u8], to: SocketAddr, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let mut core = self.stack.lock();
        core.send_datagram(self.id, bytes, to, &*self.stack.device, context)
    }

    fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut core = self.stack.lock();
        let Some(socket) = core.datagrams.get_mut(self.id) else { return Poll::Ready(()) };
        if socket.is_receivable() {
            return Poll::Ready(());
        }
        keep(&mut socket.waker, context);
        Poll::Pending
    }

    fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.stack.device.has_room() {
            return Poll::Ready(());
        }
        self.stack.lock().courier.block(context.waker());
        Poll::Pending
    }

    fn options(&self) -> Result<UdpOptions, NetError> {
        let core = self.stack.lock();
        core.datagrams.get(self.id).map(|socket| socket.options).ok_or(NetError::InvalidState)
    }

    fn set_options(&self, options: &UdpOptions) -> Result<(), NetError> {
        let mut core = self.stack.lock();
        let socket = core.datagrams.get_mut(self.id).ok_or(NetError::InvalidState)?;
        socket.options = *options;
        Ok(())
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        let mut core = self.stack.lock();
        core.datagrams.remove(self.id);
        core.datagrams_at.remove(&self.local);
        core.udp.release(self.local);
    }
}
