//! TCP sockets.
//!
//! A socket is in one of these states at any time, and has in each just what there is then:
//!
//! ```text
//!   Unbound --start_bind--> BindStarted --finish_bind--> Bound --start_listen--> ListenStarted --finish_listen--> Listening
//!      |                                                   |                                                         | accept
//!      +--------------------start_connect------------------+--> Connecting --finish_connect--> Connected <----------+
//!                                                                   +-- fails --> Closed
//! ```
//!
//! At 0.2 each step has a start and a finish; at 0.3 both follow each other at once, or with a wait in between.

use super::address::Family;
use super::connection::Connection;
use super::{Refusal, network, poll_configured};
use crate::policy::Policy;
use crate::reactor::Readiness;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use mwasm_plan::net::{Buffers, Protocol};
use mwasm_ports::network::{MAX_BACKLOG, NetError, Network, TcpBound, TcpListener, TcpOptions, TcpStream};
use spin::Mutex;

/// How many connections wait to be accepted, unless the app sets it.
pub const DEFAULT_BACKLOG: usize = 128;

/// A TCP socket. Shared by its handle and the pollables that stand for it.
pub struct TcpSocket {
    network: Arc<dyn Network>,
    policy: Arc<Policy>,
    family: Family,
    buffers: Buffers,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    options: TcpOptions,
    backlog: usize,
}

enum State {
    Unbound,
    BindStarted(Bound),
    Bound(Bound),
    ListenStarted(Arc<dyn TcpListener>),
    Listening(Arc<dyn TcpListener>),
    Connecting(Connecting),
    Connected(Arc<Connection>),
    Closed,
}

/// A local address.
struct Bound {
    port: Box<dyn TcpBound>,
    /// As the app gave it: what the policy looks at. (The machine may have another port for it.)
    asked: SocketAddr,
}

/// A connection that is to be.
enum Connecting {
    /// The machine has no address yet.
    Waiting(Box<dyn TcpBound>, SocketAddr),
    Trying(Box<dyn TcpStream>),
    /// Tried: it is there, or not, for `finish_connect` to tell.
    Done(Result<Box<dyn TcpStream>, NetError>),
}

/// A socket that was accepted, and its connection.
pub(crate) type Accepted = (Arc<TcpSocket>, Arc<Connection>);

impl TcpSocket {
    /// A new socket of the app.
    pub fn of(state: &crate::State, family: Family) -> Result<Arc<Self>, NetError> {
        let inner = Inner { state: State::Unbound, options: TcpOptions::default(), backlog: DEFAULT_BACKLOG };
        Ok(Self::with(network(state)?, state.policy.clone(), state.net.buffers, family, inner))
    }

    fn with(
        network: Arc<dyn Network>,
        policy: Arc<Policy>,
        buffers: Buffers,
        family: Family,
        inner: Inner,
    ) -> Arc<Self> {
        Arc::new(Self { network, policy, family, buffers, inner: Mutex::new(inner) })
    }

    /// Its family, for ever.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Starts to bind it to a local address.
    pub fn start_bind(&self, local: SocketAddr) -> Result<(), Refusal> {
        let inner = &mut *self.inner.lock();
        match inner.state {
            State::Unbound => {}
            State::BindStarted(_) | State::ListenStarted(_) | State::Connecting(_) => return Err(Refusal::InProgress),
            _ => return Err(NetError::InvalidState.into()),
        }
        inner.state = State::BindStarted(self.bound(local)?);
        Ok(())
    }

    fn bound(&self, local: SocketAddr) -> Result<Bound, NetError> {
        self.family.check_local(local)?;
        self.policy.bind(Protocol::Tcp, local)?;
        Ok(Bound { port: self.network.bind_tcp(local)?, asked: local })
    }

    /// Finishes what [`TcpSocket::start_bind`] started.
    pub fn finish_bind(&self) -> Result<(), Refusal> {
        let inner = &mut *self.inner.lock();
        match inner.take() {
            State::BindStarted(bound) => inner.keep(State::Bound(bound), Ok(())),
            other => inner.keep(other, Err(Refusal::NotInProgress)),
        }
    }

    /// Binds it to any free port of any local address, if it is not bound.
    pub fn bind_any(&self) -> Result<(), Refusal> {
        if !matches!(self.inner.lock().state, State::Unbound) {
            return Ok(());
        }
        self.start_bind(self.family.any())?;
        self.finish_bind()
    }

    /// Starts to listen.
    pub fn start_listen(&self) -> Result<(), Refusal> {
        let inner = &mut *self.inner.lock();
        let bound = match inner.take() {
            State::Bound(bound) => bound,
            other @ (State::BindStarted(_) | State::ListenStarted(_) | State::Connecting(_)) => {
                return inner.keep(other, Err(Refusal::InProgress));
            }
            other => return inner.keep(other, Err(NetError::InvalidState.into())),
        };
        if let Err(denied) = self.policy.listen(Protocol::Tcp, bound.asked) {
            return inner.keep(State::Bound(bound), Err(denied.into()));
        }
        let listener = bound.port.listen(inner.backlog, &inner.options)?;
        inner.keep(State::ListenStarted(listener.into()), Ok(()))
    }

    /// Finishes what [`TcpSocket::start_listen`] started.
    pub fn finish_listen(&self) -> Result<(), Refusal> {
        let inner = &mut *self.inner.lock();
        match inner.take() {
            State::ListenStarted(listener) => inner.keep(State::Listening(listener), Ok(())),
            other => inner.keep(other, Err(Refusal::NotInProgress)),
        }
    }

    /// Takes the oldest connection that waits: a socket of its own.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Accepted, NetError>> {
        let (listener, options, backlog) = {
            let inner = &*self.inner.lock();
            let State::Listening(listener) = &inner.state else { return Poll::Ready(Err(NetError::InvalidState)) };
            (listener.clone(), inner.options, inner.backlog)
        };
        listener.poll_accept(context).map_ok(|stream| {
            let connection = Connection::new(stream);
            let inner = Inner { state: State::Connected(connection.clone()), options, backlog };
            let (network, policy) = (self.network.clone(), self.policy.clone());
            (Self::with(network, policy, self.buffers, self.family, inner), connection)
        })
    }

    /// Whether [`TcpSocket::poll_accept`] would be ready.
    pub fn poll_acceptable(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.inner.lock().state {
            State::Listening(listener) => listener.poll_acceptable(context),
            _ => Poll::Ready(()),
        }
    }

    /// Starts to connect.
    pub fn start_connect(&self, remote: SocketAddr) -> Result<(), Refusal> {
        let inner = &mut *self.inner.lock();
        match inner.state {
            State::Unbound | State::Bound(_) => {}
            State::BindStarted(_) | State::ListenStarted(_) | State::Connecting(_) => return Err(Refusal::InProgress),
            _ => return Err(NetError::InvalidState.into()),
        }
        self.family.check_remote(remote)?;
        self.policy.connect(Protocol::Tcp, remote)?;
        let port = match inner.take() {
            State::Bound(bound) => bound.port,
            _ => self.network.bind_tcp(self.family.any())?,
        };
        inner.state = State::Connecting(Connecting::Waiting(port, remote));
        // What fails at once is told by the finish, as what fails later is.
        let _ = inner.poll_connect(&*self.network, &mut Context::from_waker(Waker::noop()));
        Ok(())
    }

    /// Whether [`TcpSocket::finish_connect`] would not have to wait.
    pub fn poll_connect(&self, context: &mut Context<'_>) -> Poll<()> {
        self.inner.lock().poll_connect(&*self.network, context)
    }

    /// Finishes what [`TcpSocket::start_connect`] started, if [`TcpSocket::poll_connect`] was ready.
    pub fn finish_connect(&self) -> Result<Arc<Connection>, Refusal> {
        let inner = &mut *self.inner.lock();
        match &inner.state {
            State::Connecting(Connecting::Done(_)) => {}
            State::Connecting(_) => return Err(Refusal::WouldBlock),
            _ => return Err(Refusal::NotInProgress),
        }
        match inner.take() {
            State::Connecting(Connecting::Done(Ok(stream))) => {
                let connection = Connection::new(stream);
                inner.keep(State::Connected(connection.clone()), Ok(connection))
            }
            State::Connecting(Connecting::Done(Err(error))) => Err(error.into()),
            other => inner.keep(other, Err(Refusal::NotInProgress)),
        }
    }

    /// Gives up a connection that is not made yet.
    pub fn give_up(&self) {
        let inner = &mut *self.inner.lock();
        if matches!(inner.state, State::Connecting(_)) {
            inner.state = State::Closed;
        }
    }

    /// The connection, if it is connected.
    pub fn connection(&self) -> Result<Arc<Connection>, NetError> {
        match &self.inner.lock().state {
            State::Connected(connection) => Ok(connection.clone()),
            _ => Err(NetError::InvalidState),
        }
    }

    /// Its local address, once it is bound.
    pub fn local(&self) -> Result<SocketAddr, NetError> {
        match &self.inner.lock().state {
            State::Bound(bound) => Ok(bound.port.local()),
            State::ListenStarted(listener) | State::Listening(listener) => Ok(listener.local()),
            State::Connecting(Connecting::Waiting(port, _)) => Ok(port.local()),
            State::Connecting(Connecting::Trying(stream) | Connecting::Done(Ok(stream))) => Ok(stream.local()),
            State::Connected(connection) => Ok(connection.local()),
            _ => Err(NetError::InvalidState),
        }
    }

    /// Whether it listens.
    pub fn is_listening(&self) -> bool {
        matches!(self.inner.lock().state, State::Listening(_))
    }

    /// Sets how many connections wait to be accepted at most. A hint: what listens already keeps what it has.
    pub fn set_backlog(&self, value: u64) -> Result<(), NetError> {
        let inner = &mut *self.inner.lock();
        if value == 0 {
            return Err(NetError::InvalidArgument);
        }
        if let State::Connecting(_) | State::Connected(_) | State::Closed = inner.state {
            return Err(NetError::InvalidState);
        }
        inner.backlog = usize::try_from(value).unwrap_or(MAX_BACKLOG).min(MAX_BACKLOG);
        Ok(())
    }

    /// The options in use. What is left to the network is shown as what the plan gives.
    pub fn options(&self) -> Result<TcpOptions, NetError> {
        let inner = &*self.inner.lock();
        let mut options = match &inner.state {
            State::Connected(connection) => connection.options()?,
            State::Closed => return Err(NetError::InvalidState),
            _ => inner.options,
        };
        options.receive_buffer_bytes.get_or_insert(self.buffers.receive_bytes.into());
        options.send_buffer_bytes.get_or_insert(self.buffers.send_bytes.into());
        Ok(options)
    }

    /// Changes the options.
    pub fn set_options(&self, change: impl FnOnce(&mut TcpOptions)) -> Result<(), NetError> {
        let inner = &mut *self.inner.lock();
        if let State::Closed = inner.state {
            return Err(NetError::InvalidState);
        }
        let mut options = inner.options;
        change(&mut options);
        match &inner.state {
            State::ListenStarted(listener) | State::Listening(listener) => listener.set_options(&options)?,
            State::Connecting(Connecting::Trying(stream) | Connecting::Done(Ok(stream))) => {
                stream.set_options(&options)?;
            }
            State::Connected(connection) => connection.set_options(&options)?,
            _ => {}
        }
        inner.options = options;
        Ok(())
    }
}

impl Inner {
    /// Takes the state out; unless another is put in its place, the socket is closed.
    fn take(&mut self) -> State {
        core::mem::replace(&mut self.state, State::Closed)
    }

    fn keep<T>(&mut self, state: State, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        self.state = state;
        answer
    }

    /// Takes a connection that is to be as far as it gets now.
    fn poll_connect(&mut self, network: &dyn Network, context: &mut Context<'_>) -> Poll<()> {
        let mut connecting = match self.take() {
            State::Connecting(connecting) => connecting,
            other => {
                self.state = other;
                return Poll::Ready(());
            }
        };
        let mut pending = false;
        while !pending {
            connecting = match connecting {
                Connecting::Waiting(port, remote) => match poll_configured(network, remote.ip(), context) {
                    Poll::Pending => {
                        pending = true;
                        Connecting::Waiting(port, remote)
                    }
                    Poll::Ready(Err(error)) => Connecting::Done(Err(error)),
                    Poll::Ready(Ok(())) => match port.connect(remote, &self.options) {
                        Ok(stream) => Connecting::Trying(stream),
                        Err(error) => Connecting::Done(Err(error)),
                    },
                },
                Connecting::Trying(stream) => match stream.poll_connected(context) {
                    Poll::Pending => {
                        pending = true;
                        Connecting::Trying(stream)
                    }
                    Poll::Ready(result) => Connecting::Done(result.map(|()| stream)),
                },
                done @ Connecting::Done(_) => {
                    self.state = State::Connecting(done);
                    return Poll::Ready(());
                }
            };
        }
        self.state = State::Connecting(connecting);
        Poll::Pending
    }
}

/// What `subscribe` stands for: whatever the socket waits for at the time.
impl Readiness for TcpSocket {
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.poll_connect(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => self.poll_acceptable(context),
        }
    }
}
