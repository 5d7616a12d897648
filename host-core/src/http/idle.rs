//! Connections to servers between two requests: kept for a while, and used again for the next request to the same server.
//!
//! ```text
//!   Exchange (over, both messages whole) --put--> Idle --take--> Exchange
//!                                                  +--> closed: too many, too old, or the server has ended it
//! ```
//!
//! Nobody watches a connection that is kept. Whether its server still has it is seen when it is taken, and those that are too old go
//! whenever one comes or goes. An instance of the app has the connections in its table, so that they are closed with it; what looks
//! names up, which instances share, knows the way to them.

use crate::state::State;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::task::{Context, Waker};
use mwasm_http::client::Connection;
use mwasm_ports::network::TcpStream;
use mwasm_ports::{Clock, NANOS_PER_SECOND};
use spin::Mutex;

/// The most connections that are kept.
const MAX_IDLE: usize = 32;
/// The most that are kept to one server.
const MAX_IDLE_PER_SERVER: usize = 8;
/// How long one is kept, in nanoseconds: less than most servers wait for the next request.
const MAX_IDLE_NS: u64 = 30 * NANOS_PER_SECOND;

/// A connection that can carry another request.
pub struct Kept {
    /// The connection.
    pub stream: Box<dyn TcpStream>,
    /// What HTTP knows of it.
    pub http: Connection,
}

/// The connections that are kept, the one that was used last at the end.
pub struct Idle {
    clock: Arc<dyn Clock>,
    entries: Mutex<VecDeque<Entry>>,
}

struct Entry {
    server: Server,
    since_ns: u64,
    kept: Kept,
}

/// Whom a connection is to: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `http`.
    pub scheme: &'static str,
    /// Name or address, in lower case.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The way to the connections of an app, for whoever has it: they may be gone with their instance.
pub type WayToIdle = Mutex<Weak<Idle>>;

impl Idle {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, entries: Mutex::default() }
    }

    /// Those of the app of a state, by the way that is known of; new ones if there are none. They need a handle, of which the app may
    /// have no more.
    pub fn of(state: &mut State, way: &WayToIdle) -> Option<Arc<Self>> {
        let way = &mut *way.lock();
        if let Some(idle) = way.upgrade() {
            return Some(idle);
        }
        let idle = Arc::new(Self::new(state.ports.clock.clone()));
        state.table.push(idle.clone()).ok()?;
        *way = Arc::downgrade(&idle);
        Some(idle)
    }

    /// A connection to a server that can carry a request now, as far as can be seen.
    pub fn take(&self, server: &Server) -> Option<Kept> {
        let mut entries = self.entries.lock();
        self.drop_old(&mut entries);
        while let Some(at) = entries.iter().rposition(|entry| entry.server == *server) {
            let kept = entries.remove(at)?.kept;
            if kept.is_quiet() {
                return Some(kept);
            }
        }
        None
    }

    /// Keeps a connection that can carry another request.
    pub fn put(&self, server: Server, kept: Kept) {
        let mut entries = self.entries.lock();
        self.drop_old(&mut entries);
        let to_server = |entry: &Entry| entry.server == server;
        if entries.iter().filter(|entry| to_server(entry)).count() >= MAX_IDLE_PER_SERVER
            && let Some(oldest) = entries.iter().position(to_server)
        {
            entries.remove(oldest);
        }
        if entries.len() >= MAX_IDLE {
            entries.pop_front();
        }
        entries.push_back(Entry { server, since_ns: self.clock.monotonic_ns(), kept });
    }

    fn drop_old(&self, entries: &mut VecDeque<Entry>) {
        let now_ns = self.clock.monotonic_ns();
        while entries.front().is_some_and(|entry| now_ns.saturating_sub(entry.since_ns) > MAX_IDLE_NS) {
            entries.pop_front();
        }
    }
}

impl Kept {
    /// Whether nothing has come: bytes that nobody asked for, or the connection's end.
    fn is_quiet(&self) -> bool {
        self.stream.poll_receive(&mut [0], &mut Context::from_waker(Waker::noop())).is_pending()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, SocketAddr};
    use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
    use core::task::Poll;
    use mwasm_http::Limits;
    use mwasm_ports::fake::Machine;
    use mwasm_ports::network::{NetError, TcpOptions};

    /// A connection that counts itself, and can be ended by its server.
    struct Wire {
        open: Arc<AtomicUsize>,
        is_over: Arc<AtomicBool>,
    }

    impl Wire {
        fn kept(open: &Arc<AtomicUsize>, is_over: &Arc<AtomicBool>) -> Kept {
            open.fetch_add(1, Relaxed);
            let stream = Box::new(Self { open: open.clone(), is_over: is_over.clone() });
            Kept { stream, http: Connection::new(Limits::default()) }
        }
    }

    impl Drop for Wire {
        fn drop(&mut self) {
            self.open.fetch_sub(1, Relaxed);
        }
    }

    impl TcpStream for Wire {
        fn local(&self) -> SocketAddr {
            self.remote()
        }

        fn remote(&self) -> SocketAddr {
            (Ipv4Addr::LOCALHOST, 80).into()
        }

        fn poll_connected(&self, _context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
            Poll::Ready(Ok(()))
        }

        fn poll_receive(&self, _into: &mut [u8], _context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
            if self.is_over.load(Relaxed) { Poll::Ready(Ok(0)) } else { Poll::Pending }
        }

        fn poll_send(&self, bytes: &[u8], _context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_receivable(&self, _context: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        fn poll_sendable(&self, _context: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }

        fn shutdown_send(&self) -> Result<(), NetError> {
            Ok(())
        }

        fn shutdown_receive(&self) -> Result<(), NetError> {
            Ok(())
        }

        fn abort(&self) {}

        fn options(&self) -> Result<TcpOptions, NetError> {
            Ok(TcpOptions::default())
        }

        fn set_options(&self, _options: &TcpOptions) -> Result<(), NetError> {
            Ok(())
        }
    }

    fn server(host: &str) -> Server {
        Server { scheme: "http", host: host.into(), port: 80 }
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_time_and_alive() {
        let (machine, open) = (Machine::new(1), Arc::new(AtomicUsize::new(0)));
        let over = || Arc::new(AtomicBool::new(false));
        let idle = Idle::new(machine.clone());
        let first = over();
        idle.put(server("a"), Wire::kept(&open, &first));
        assert!(idle.take(&server("b")).is_none() && idle.take(&server("a")).is_some() && open.load(Relaxed) == 0);
        // Its server ends one of two.
        idle.put(server("a"), Wire::kept(&open, &over()));
        idle.put(server("a"), Wire::kept(&open, &first));
        first.store(true, Relaxed);
        assert!(idle.take(&server("a")).is_some() && idle.take(&server("a")).is_none() && open.load(Relaxed) == 0);
        for _ in 0..MAX_IDLE_PER_SERVER + 1 {
            idle.put(server("a"), Wire::kept(&open, &over()));
        }
        assert_eq!(open.load(Relaxed), MAX_IDLE_PER_SERVER);
        for host in 0..MAX_IDLE {
            idle.put(server(&alloc::format!("{host}")), Wire::kept(&open, &over()));
        }
        assert_eq!(open.load(Relaxed), MAX_IDLE);
        machine.state().now_ns += MAX_IDLE_NS + 1;
        assert!(idle.take(&server("1")).is_none() && open.load(Relaxed) == 0);
    }
}
