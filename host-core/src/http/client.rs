//! An exchange in which the app asks: a connection to a server, a request, a response.
//!
//! Nothing goes on behind the app's back: the exchange is driven by whoever waits for something of it, be it the response, a piece of a
//! body, or room for one ([`Exchange::poll_response`], [`Incoming`], [`Outgoing`]). The request waits in the connection's buffer until
//! then, so that a head and a short body leave together. An exchange that is dropped closes its connection, or leaves it for another
//! exchange if both messages are whole and the server keeps it ([`Idle`]).
//!
//! A connection that was kept may turn out to be gone: servers end connections when they like. A request is then made once more, on a new
//! connection, if that can do no harm: its method is idempotent, it has no body, and nothing of a response has come (RFC 9110,
//! section 9.2.2).

use super::idle::{Idle, Kept, Server};
use super::{Failure, Inbox, Incoming, Outgoing, Wakers};
use crate::reactor::{Reactor, Wait};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use mwasm_http::client::{Connection, Next};
use mwasm_http::{Body, BodyLength, Headers, Limits, RequestHead, ResponseHead};
use mwasm_ports::network::{NetError, TcpStream};
use mwasm_ports::{Clock, NANOS_PER_SECOND};
use spin::Mutex;

/// How long each step of a request may take unless the app says otherwise, in nanoseconds.
const DEFAULT_TIMEOUT_NS: u64 = 600 * NANOS_PER_SECOND;
/// The most bytes of a body that are taken out of the connection's buffer at once.
const MAX_PIECE_BYTES: usize = 64 << 10;
/// The least room for which it is worth to wake a writer, in bytes: what `blocking-write-and-flush` may write.
const MIN_ROOM_BYTES: usize = 4096;
/// The largest head of a response, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// How long the steps of a request may take, each in nanoseconds; `None`: what the host thinks best.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// To find the server and connect to it.
    pub connect_ns: Option<u64>,
    /// From there to the first byte of the response.
    pub first_byte_ns: Option<u64>,
    /// From one piece of the response's body to the next.
    pub between_bytes_ns: Option<u64>,
}

/// A connection that is being made.
pub type Dial = Pin<Box<dyn Future<Output = Result<Box<dyn TcpStream>, NetError>> + Send>>;

/// A request, and the way to its server.
pub struct Route {
    /// The request.
    pub head: RequestHead,
    /// A new connection, for when none is kept.
    pub dial: Dial,
    /// Whom it is to.
    pub server: Server,
    /// Where connections to it are kept; `None`: nowhere.
    pub idle: Option<Arc<Idle>>,
}

/// A request and its response.
pub struct Exchange {
    /// Where the connection goes afterwards. Those who keep connections may be gone by then.
    home: (Weak<Idle>, Server),
    reactor: Arc<Reactor>,
    clock: Arc<dyn Clock>,
    timeouts: Timeouts,
    wakers: Wakers,
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    http: Connection,
    inbox: Inbox,
    /// Ends the wait for what comes next.
    timer: Option<(Awaited, Wait, u64)>,
    /// What can be done if the connection, which had been kept, is of no use: until something of the response comes.
    again: Option<Again>,
    /// Whether the app has ended its request.
    is_finished: bool,
}

/// A request that can be made once more.
struct Again {
    head: RequestHead,
    dial: Dial,
}

enum Stage {
    Dialing(Dial),
    Connected(Box<dyn TcpStream>),
    Failed(Failure),
}

/// What is to come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Connection,
    Response,
    Body,
}

impl Exchange {
    /// Begins a request, on a connection that was kept or one that is being made. An error says that such a request cannot be sent, or
    /// that the connection was refused at once.
    pub fn new(
        reactor: Arc<Reactor>,
        clock: Arc<dyn Clock>,
        route: Route,
        timeouts: Timeouts,
        length: BodyLength,
    ) -> Result<Arc<Self>, Failure> {
        let Route { head, dial, server, idle } = route;
        let (http, stage, again) = match idle.as_ref().and_then(|idle| idle.take(&server)) {
            Some(Kept { stream, mut http }) => {
                http.request(&head, length)?;
                let is_harmless = head.method.is_idempotent() && length == BodyLength::None;
                (http, Stage::Connected(stream), is_harmless.then_some(Again { head, dial }))
            }
            None => {
                let mut http = new_connection();
                http.request(&head, length)?;
                (http, Stage::Dialing(dial), None)
            }
        };
        let state = State { stage, http, inbox: Inbox::default(), timer: None, again, is_finished: false };
        let home = (idle.as_ref().map(Arc::downgrade).unwrap_or_default(), server);
        let (wakers, state) = (Wakers::new(), Mutex::new(state));
        let exchange = Arc::new(Self { home, reactor, clock, timeouts, wakers, state });
        let state = &mut *exchange.state.lock();
        // A first step, so that the connection is under way while the app does something else.
        let _ = exchange.poll_connect(state, &mut Context::from_waker(Waker::noop()));
        match state.stage {
            Stage::Failed(failure) => Err(failure),
            Stage::Dialing(_) | Stage::Connected(_) => Ok(()),
        }?;
        Ok(exchange.clone())
    }

    /// The response's head.
    pub fn poll_response(&self, context: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        let state = &mut *self.state.lock();
        loop {
            // An answer may come before all of the request has gone.
            let sent = self.poll_flush(state, context);
            if let Stage::Failed(failure) = state.stage {
                return Poll::Ready(Err(failure));
            }
            if let (Stage::Dialing(_), Poll::Pending) = (&state.stage, sent) {
                return Poll::Pending;
            }
            match state.http.response() {
                Next::Response(head) => {
                    state.timer = None;
                    return Poll::Ready(Ok(head));
                }
                Next::Failed(fault) => return Poll::Ready(Err(state.fail(fault.into()))),
                Next::Pending => ready!(self.poll_fill(state, Awaited::Response, context))?,
            }
        }
    }

    /// Ready once all of the request that was written is sent.
    pub fn poll_sent(&self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_flush(&mut self.state.lock(), context)
    }

    /// Ready once there is a connection, or none can be had.
    fn poll_connect(&self, state: &mut State, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &mut state.stage {
            Stage::Connected(_) => Poll::Ready(Ok(())),
            Stage::Failed(failure) => Poll::Ready(Err(*failure)),
            Stage::Dialing(dial) => match dial.as_mut().poll(&mut self.wakers.join(context)) {
                Poll::Ready(Ok(stream)) => {
                    state.stage = Stage::Connected(stream);
                    state.timer = None;
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(state.fail(Failure::dialing(error)))),
                Poll::Pending => self.poll_timer(state, Awaited::Connection, context).map(Err),
            },
        }
    }

    /// Sends all that there is to send.
    fn poll_flush(&self, state: &mut State, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        ready!(self.poll_connect(state, context))?;
        while let Stage::Connected(stream) = &state.stage
            && !state.http.is_flushed()
        {
            match ready!(stream.poll_send(state.http.to_send(), &mut self.wakers.join(context))) {
                Ok(count) => state.http.sent(count),
                Err(_) if state.begin_again() => ready!(self.poll_connect(state, context))?,
                Err(error) => return Poll::Ready(Err(state.fail(error.into()))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Receives once.
    fn poll_fill(&self, state: &mut State, awaited: Awaited, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        ready!(self.poll_connect(state, context))?;
        let Stage::Connected(stream) = &state.stage else { return Poll::Pending };
        match stream.poll_receive(state.http.space(), &mut self.wakers.join(context)) {
            // Whoever asked sends the request anew and comes back.
            Poll::Ready(Ok(0) | Err(_)) if state.begin_again() => {}
            Poll::Ready(Ok(0)) => state.http.ended(),
            Poll::Ready(Ok(count)) => {
                state.http.filled(count);
                state.again = None;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(state.fail(error.into()))),
            Poll::Pending => return self.poll_timer(state, awaited, context).map(Err),
        }
        state.timer = None;
        Poll::Ready(Ok(()))
    }

    /// Takes bytes of the response's body out of the connection until there are some, or the body is over.
    fn poll_peek(&self, state: &mut State, context: &mut Context<'_>) -> Poll<()> {
        while !state.inbox.is_ready() {
            if !state.inbox.accept(state.http.body(MAX_PIECE_BYTES)) {
                ready!(self.poll_more(state, context));
            }
        }
        Poll::Ready(())
    }

    /// Receives more of the response's body, if it can be had.
    fn poll_more(&self, state: &mut State, context: &mut Context<'_>) -> Poll<()> {
        let _ = self.poll_flush(state, context);
        if let Err(failure) = ready!(self.poll_fill(state, Awaited::Body, context)) {
            state.inbox.fail(failure);
        }
        Poll::Ready(())
    }

    /// Ready when the wait for something has lasted too long; then the exchange has failed.
    fn poll_timer(&self, state: &mut State, awaited: Awaited, context: &mut Context<'_>) -> Poll<Failure> {
        let now_ns = self.clock.monotonic_ns();
        if state.timer.as_ref().is_none_or(|(before, ..)| *before != awaited) {
            let limit_ns = match awaited {
                Awaited::Connection => self.timeouts.connect_ns,
                Awaited::Response => self.timeouts.first_byte_ns,
                Awaited::Body => self.timeouts.between_bytes_ns,
            };
            let deadline_ns = now_ns.saturating_add(limit_ns.unwrap_or(DEFAULT_TIMEOUT_NS));
            state.timer = Some((awaited, self.reactor.sleep_until(deadline_ns), deadline_ns));
        }
        let Some((_, wait, deadline_ns)) = &mut state.timer else { return Poll::Pending };
        while Pin::new(&mut *wait).poll(&mut self.wakers.join(context)).is_ready() {
            if now_ns >= *deadline_ns {
                state.timer = None;
                return Poll::Ready(state.fail(match awaited {
                    Awaited::Connection => Failure::ConnectTimeout,
                    Awaited::Response => Failure::ResponseTimeout,
                    Awaited::Body => Failure::ReceiveTimeout,
                }));
            }
            *wait = self.reactor.sleep_until(*deadline_ns);
        }
        Poll::Pending
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if !state.http.is_reusable() {
            return;
        }
        let (idle, server) = &self.home;
        if let (Some(idle), Stage::Connected(stream)) =
            (idle.upgrade(), core::mem::replace(&mut state.stage, Stage::Failed(Failure::Over)))
        {
            let http = core::mem::replace(&mut state.http, new_connection());
            idle.put(server.clone(), Kept { stream, http });
        }
    }
}

/// HTTP on a connection that has just been made.
fn new_connection() -> Connection {
    Connection::new(Limits { max_head_bytes: MAX_HEAD_BYTES, max_body_bytes: u64::MAX })
}

impl State {
    /// Begins the request on a new connection, if it may be made once more.
    fn begin_again(&mut self) -> bool {
        let Some(Again { head, dial }) = self.again.take() else { return false };
        let mut http = new_connection();
        let begun = http.request(&head, BodyLength::None);
        if begun.and_then(|()| if self.is_finished { http.finish(None) } else { Ok(()) }).is_err() {
            return false;
        }
        (self.http, self.stage, self.timer) = (http, Stage::Dialing(dial), None);
        true
    }

    /// The exchange is over; its connection is closed.
    fn fail(&mut self, failure: Failure) -> Failure {
        self.stage = Stage::Failed(failure);
        failure
    }

    fn check(&self) -> Result<(), Failure> {
        match self.stage {
            Stage::Failed(failure) => Err(failure),
            Stage::Dialing(_) | Stage::Connected(_) => Ok(()),
        }
    }
}

impl Incoming for Exchange {
    fn read(&self, most: usize) -> Result<Option<Vec<u8>>, Failure> {
        let state = &mut *self.state.lock();
        let _ = self.poll_peek(state, &mut Context::from_waker(Waker::noop()));
        state.inbox.read(most)
    }

    fn poll_read(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        let state = &mut *self.state.lock();
        loop {
            if let Some(read) = state.inbox.read_into(into) {
                return Poll::Ready(read);
            }
            match state.http.body(into.len()) {
                Body::Data(bytes) => {
                    into.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                    return Poll::Ready(Ok(bytes.len()));
                }
                Body::Pending => ready!(self.poll_more(state, context)),
                end => {
                    state.inbox.accept(end);
                }
            }
        }
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_peek(&mut self.state.lock(), context)
    }

    fn poll_trailers(&self, context: &mut Context<'_>) -> Poll<Result<Option<Headers>, Failure>> {
        let state = &mut *self.state.lock();
        loop {
            state.inbox.discard();
            match state.inbox.trailers() {
                Some(result) => return Poll::Ready(result),
                None => ready!(self.poll_peek(state, context)),
            }
        }
    }
}

impl Outgoing for Exchange {
    fn room(&self) -> Result<Option<usize>, Failure> {
        let state = &mut *self.state.lock();
        state.check()?;
        let room = state.http.room();
        Ok(Some(if room < MIN_ROOM_BYTES { 0 } else { room }))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let state = &mut *self.state.lock();
        state.check()?;
        match state.http.send_body(bytes) {
            Ok(taken) if taken == bytes.len() => Ok(()),
            Ok(_) => Err(state.fail(Failure::Overrun)),
            Err(error) => Err(state.fail(error.into())),
        }
    }

    fn flush(&self) -> Result<(), Failure> {
        // What is written leaves when the app waits for something of the exchange.
        self.state.lock().check()
    }

    fn nudge(&self) {
        let _ = self.poll_flush(&mut self.state.lock(), &mut Context::from_waker(Waker::noop()));
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.state.lock();
        // Unlike a server's, this connection is looked after by nobody else: what is there goes, whether room is needed or not.
        let _ = self.poll_flush(state, context);
        if state.check().is_err() || state.http.room() >= MIN_ROOM_BYTES { Poll::Ready(()) } else { Poll::Pending }
    }

    fn finish(&self, trailers: Option<&Headers>) -> Result<(), Failure> {
        let state = &mut *self.state.lock();
        state.check()?;
        let finished = state.http.finish(trailers).map_err(|error| state.fail(error.into()));
        finished?;
        state.is_finished = true;
        let _ = self.poll_flush(state, &mut Context::from_waker(Waker::noop()));
        Ok(())
    }

    fn abort(&self) {
        self.state.lock().fail(Failure::Over);
    }
}
