//! The HTTP server: starts an app that handles requests, and brings it requests until somebody asks for the end.
//!
//! ```text
//!   TcpListener -accept-> Connection -request-> Handler -> instance of the app
//!                             ^                               |
//!                             +--- Exchange: body, answer <---+
//! ```
//!
//! 1. [`Server::run`] accepts connections and runs a task for each, all on one thread.
//! 2. A [`Connection`] turns bytes into requests; it is kept for as many as the client sends.
//! 3. A [`Handler`] finds an instance of the app and calls it (`handler_02`, `handler_03`).
//! 4. The app reads the request's body and writes its answer through an [`Exchange`], straight from and to the connection.
//! 5. What the app left open is closed ([`Connection::settle`]): every request is answered, or its connection is cut.
//!
//! Nothing that a client or the app does ends the server. Clients are bounded by number, size and time ([`mwasm_plan::net::Http`]); a
//! request that goes beyond is answered with 408, 413, 431 or 503. There is one thread, and an app that computes for ever would hold up all
//! others: where the manifest bounds its instructions they are counted, others have their turn in between, and one that has used up its
//! own is answered 503 (`meter`).

mod connection;
mod handler_02;
#[cfg(feature = "component-model-async")]
mod handler_03;
mod meter;
mod place;
mod pool;
#[cfg(feature = "component-model-async")]
mod queue;
mod report;
#[cfg(test)]
mod tests;
mod timers;
mod turns;

pub(crate) use connection::{Connection, Exchange};

use crate::failure;
use crate::policy::Policy;
use crate::reactor::{Reactor, Stopped, Wait};
use crate::run::App;
use crate::state::State;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use handler_02::Handler02;
use meter::Glances;
use mwasm_http::{Limits, RequestHead};
use mwasm_plan::net::{Http, Listen, Protocol};
use mwasm_plan::{Entry, Plan};
use mwasm_ports::network::{NetError, NetStatus, Network, TcpListener, TcpOptions, TcpStream};
use mwasm_ports::{NANOS_PER_SECOND, Outcome};
use report::Report;
use timers::{Clock, Timeouts};
use turns::Turns;
use wasmtime::Result;

/// How many connections wait to be accepted.
const BACKLOG: usize = 1024;
/// How many connections are accepted, or requests of one connection answered, before others have their turn.
const MAX_AT_ONCE: u32 = 32;
/// How long requests under way may go on after somebody asked for the end, in nanoseconds: less than the machine itself grants.
const GRACE_NS: u64 = NANOS_PER_SECOND;

/// Answers requests.
pub(crate) trait Handler {
    /// Makes a first instance of the app, to see that there can be any.
    fn prepare(&self) -> impl Future<Output = Result<()>>;
    /// Answers one request through `exchange`. What is open when this ends is closed by the connection.
    fn handle(&self, request: RequestHead, exchange: Arc<Exchange>) -> impl Future<Output = ()>;
    /// What goes on beside the requests.
    fn work(&self) -> impl Future<Output = ()> {
        core::future::ready(())
    }
}

/// Starts an app that is an HTTP handler of `wasi:http` 0.2, and serves until somebody asks for the end.
#[unsafe(export_name = "mwasm_start_serve_02")]
pub fn serve_02(app: &App<'_>, new_state: &dyn Fn() -> State) -> Outcome {
    let Entry::Serve02(export) = app.plan.entry else { return Outcome::Failed };
    let common = new_state();
    let report = Rc::new(Report::new(common.ports.console.clone()));
    let new_instance_state = || new_state().beside(&common);
    let handler = Handler02::new(app, export, &common.net.http, &new_instance_state, report.clone());
    serve(app.plan, &common, handler, report)
}

/// Starts an app that is an HTTP handler of `wasi:http` 0.3, and serves until somebody asks for the end.
#[cfg(feature = "component-model-async")]
#[unsafe(export_name = "mwasm_start_serve_03")]
pub fn serve_03(app: &App<'_>, new_state: &dyn Fn() -> State) -> Outcome {
    let Entry::Serve03(export) = app.plan.entry else { return Outcome::Failed };
    let common = new_state();
    let report = Rc::new(Report::new(common.ports.console.clone()));
    let new_instance_state = || new_state().beside(&common);
    let handler = handler_03::Handler03::new(app, export, &common.net.http, &new_instance_state, report.clone());
    serve(app.plan, &common, handler, report)
}

/// Prepares the app, listens, and serves; `common` is what the app's instances share.
fn serve<H: Handler>(plan: &Plan<'_>, common: &State, handler: Result<H>, report: Rc<Report>) -> Outcome {
    let (ports, reactor, http) = (&common.ports, &common.reactor, common.net.http);
    let prepared = handler.map(|handler| (reactor.block_on(handler.prepare()), handler));
    let handler = match prepared {
        Ok((Err(Stopped), _)) => return Outcome::Stopped,
        Ok((Ok(Ok(())), handler)) => handler,
        Ok((Ok(Err(error)), _)) | Err(error) => {
            report.say(|| format!("mwasm: the app cannot start: {error:#}\n"));
            return match failure::outcome(&error) {
                Outcome::Trap if error.downcast_ref::<wasmtime::Trap>().is_none() => Outcome::Failed,
                outcome => outcome,
            };
        }
    };
    let Some(network) = &ports.network else {
        report.say(|| "mwasm: the app cannot start: this machine has no network to serve HTTP on\n".into());
        return Outcome::Failed;
    };
    let scope = Scope::of(&common.policy, http.port);
    match listen(&**network, scope, http.port) {
        Ok(listeners) => {
            if plan.verbose {
                report.say(|| serving(plan, scope, &network.status()));
            }
            Server::new(handler, Clock::new(ports.clock.clone()), http, report).run(reactor, &listeners)
        }
        Err(error) => {
            report.say(|| cannot_listen(http.port, error));
            Outcome::Failed
        }
    }
}

/// Whom the server listens to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Whoever reaches the machine.
    All,
    /// Programs on the machine: nobody has granted the port to the app.
    Machine,
}

impl Scope {
    fn of(policy: &Policy, port: u16) -> Self {
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        if policy.may_listen(Protocol::Tcp, any) { Self::All } else { Self::Machine }
    }

    fn addresses(self) -> (Ipv4Addr, Ipv6Addr) {
        match self {
            Self::All => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
            Self::Machine => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
        }
    }
}

/// Where the app is served: at the machine's address, if it has one of its own already; the sockets of an operating system are reached
/// from this machine in any case.
fn serving(plan: &Plan<'_>, scope: Scope, status: &NetStatus) -> String {
    let port = plan.net.http.port;
    if scope == Scope::Machine {
        return format!(
            "mwasm: serving http://{}:{port}/ to this machine only: let others in with -p {port}:{port}, --listen tcp:{port} or [net] listen in mwasm.toml\n",
            Ipv4Addr::LOCALHOST
        );
    }
    let is_ours = |listen: &&Listen| (listen.protocol, listen.port) == (Protocol::Tcp, port);
    let host_port = plan.policy.listen.iter().find(is_ours).map_or(port, |listen| listen.host_port);
    let ip = status.addresses.iter().map(|(ip, _)| *ip).find(IpAddr::is_ipv4);
    format!("mwasm: serving http://{}:{host_port}/\n", ip.unwrap_or(Ipv4Addr::LOCALHOST.into()))
}

fn cannot_listen(port: u16, error: NetError) -> String {
    let hint = match error {
        NetError::AccessDenied => {
            "; ports below 1024 are the administrator's on most systems: choose another one ([http] port, or -p)"
        }
        NetError::AddressInUse => "; another program has it, or choose another one ([http] port, or -p)",
        _ => "",
    };
    format!("mwasm: the app cannot start: the server cannot listen on tcp:{port}: {error}{hint}\n")
}

/// Listens on the addresses of both families. A machine may have one of them only, or serve both by one listener.
fn listen(network: &dyn Network, scope: Scope, port: u16) -> Result<Vec<Box<dyn TcpListener>>, NetError> {
    let listen = |ip: IpAddr| network.bind_tcp(SocketAddr::new(ip, port))?.listen(BACKLOG, &TcpOptions::default());
    let (ipv4, ipv6) = scope.addresses();
    match (listen(ipv4.into()), listen(ipv6.into())) {
        (Err(error @ NetError::AddressInUse), _) | (Err(error), Err(_)) => Err(error),
        (one, other) => Ok(one.into_iter().chain(other).collect()),
    }
}

/// A server for what `H` handles.
pub(crate) struct Server<H> {
    handler: H,
    clock: Arc<Clock>,
    timeouts: Timeouts,
    http: Http,
    /// All that are open, to look for those that wait for too long.
    connections: RefCell<Vec<Arc<Connection>>>,
    is_stopping: Cell<bool>,
    report: Rc<Report>,
}

impl<H: Handler> Server<H> {
    pub fn new(handler: H, clock: Clock, http: Http, report: Rc<Report>) -> Self {
        Self {
            handler,
            clock: Arc::new(clock),
            timeouts: Timeouts::new(&http),
            http,
            connections: RefCell::default(),
            is_stopping: Cell::new(false),
            report,
        }
    }

    /// Serves until somebody asks for the end; then lets the requests under way end.
    pub fn run(&self, reactor: &Arc<Reactor>, listeners: &[Box<dyn TcpListener>]) -> Outcome {
        let mut serving = pin!(self.serve(reactor, listeners));
        if reactor.block_on(serving.as_mut()) == Err(Stopped) {
            self.is_stopping.set(true);
            self.connections.borrow().iter().for_each(|connection| connection.close_after());
            let deadline_ns = self.clock.now_ns().saturating_add(GRACE_NS);
            let _ = reactor.finish(serving, deadline_ns);
        }
        Outcome::Stopped
    }

    /// Ends when the server is to stop and nobody is left.
    async fn serve(&self, reactor: &Arc<Reactor>, listeners: &[Box<dyn TcpListener>]) {
        let mut tasks = FuturesUnordered::new();
        let mut work = Turns::new(self.handler.work());
        let mut sweep = Sweep::new(reactor.clone());
        let mut glances = Glances::new(&self.http);
        poll_fn(|context| {
            self.clock.update();
            if glances.is_due(&self.clock) {
                reactor.glance();
            }
            if !self.is_stopping.get() && !sweep.is_paused {
                sweep.is_paused = self.accept(listeners, context, |stream| tasks.push(self.attend(stream)));
            }
            while let Poll::Ready(Some(())) = tasks.poll_next_unpin(context) {}
            // What came of the new requests leaves at once.
            work.poll(context);
            while let Poll::Ready(Some(())) = tasks.poll_next_unpin(context) {}
            if tasks.is_empty() && self.is_stopping.get() {
                return Poll::Ready(());
            }
            if (sweep.is_paused || !tasks.is_empty()) && sweep.is_due(&self.clock, self.timeouts.sweep_ns(), context) {
                sweep.is_paused = false;
                self.connections.borrow().iter().for_each(|connection| connection.check_deadlines());
                self.report.refill();
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }

    /// Accepts all that wait; whether to pause, since the machine can take no more.
    fn accept(
        &self,
        listeners: &[Box<dyn TcpListener>],
        context: &mut Context<'_>,
        mut attend: impl FnMut(Box<dyn TcpStream>),
    ) -> bool {
        for listener in listeners {
            for left in (0..MAX_AT_ONCE).rev() {
                match listener.poll_accept(context) {
                    Poll::Ready(Ok(stream)) if self.connections.borrow().len() < self.http.max_connections as usize => {
                        attend(stream);
                    }
                    Poll::Ready(Ok(stream)) => self.connection(stream).turn_away(),
                    Poll::Ready(Err(NetError::ConnectionAborted | NetError::ConnectionReset)) => {}
                    Poll::Ready(Err(error)) => {
                        self.report.say(|| format!("mwasm: no connection can be accepted: {error}\n"));
                        return true;
                    }
                    Poll::Pending => break,
                }
                if left == 0 {
                    context.waker().wake_by_ref();
                }
            }
        }
        false
    }

    fn connection(&self, stream: Box<dyn TcpStream>) -> Arc<Connection> {
        let limits =
            Limits { max_head_bytes: self.http.max_head_bytes as usize, max_body_bytes: self.http.max_body_bytes };
        Connection::new(stream, self.clock.clone(), self.timeouts, limits)
    }

    /// Puts a new connection on the list, and returns its task.
    fn attend(&self, stream: Box<dyn TcpStream>) -> impl Future<Output = ()> {
        let connection = self.connection(stream);
        self.connections.borrow_mut().push(connection.clone());
        self.converse(Listed { list: &self.connections, connection })
    }

    /// Answers the requests of one client, one after the other.
    async fn converse(&self, listed: Listed<'_>) {
        let (connection, mut turn) = (&listed.connection, 0);
        while let Some(request) = poll_fn(|context| connection.poll_request(context)).await {
            if self.is_stopping.get() {
                connection.close_after();
            }
            let mut handling = pin!(self.handler.handle(request, Exchange::current(connection)));
            poll_fn(|context| {
                let handled = handling.as_mut().poll(context);
                if handled.is_pending() {
                    connection.poll_push(context);
                }
                handled
            })
            .await;
            connection.settle();
            turn = (turn + 1) % MAX_AT_ONCE;
            if turn == 0 {
                give_way().await;
            }
        }
        poll_fn(|context| connection.poll_close(context)).await;
    }
}

/// Lets others have their turn.
async fn give_way() {
    let mut was_polled = false;
    poll_fn(|context| {
        if core::mem::replace(&mut was_polled, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A connection on the server's list, until this is dropped.
struct Listed<'a> {
    list: &'a RefCell<Vec<Arc<Connection>>>,
    connection: Arc<Connection>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let list = &mut *self.list.borrow_mut();
        if let Some(at) = list.iter().position(|other| Arc::ptr_eq(other, &self.connection)) {
            list.swap_remove(at);
        }
        self.connection.close();
    }
}

/// The timer of a server: rings once in a while, as long as somebody asks.
struct Sweep {
    reactor: Arc<Reactor>,
    wait: Option<(Wait, u64)>,
    /// Nothing is accepted until it rings.
    is_paused: bool,
}

impl Sweep {
    fn new(reactor: Arc<Reactor>) -> Self {
        Self { reactor, wait: None, is_paused: false }
    }

    /// Whether it rings. The reactor is asked only when there is something to ask for.
    fn is_due(&mut self, clock: &Clock, interval_ns: u64, context: &mut Context<'_>) -> bool {
        let now_ns = clock.now_ns();
        if let Some((_, deadline_ns)) = &self.wait {
            if now_ns < *deadline_ns {
                return false;
            }
            self.wait = None;
            return true;
        }
        let deadline_ns = now_ns.saturating_add(interval_ns);
        let mut wait = self.reactor.sleep_until(deadline_ns);
        let is_due = Pin::new(&mut wait).poll(context).is_ready();
        self.wait = Some((wait, deadline_ns));
        is_due
    }
}
