//! A client's connection: the socket, the state of the protocol on it, and until when something must happen.
//!
//! The connection's task and the app's resources share it. The task takes requests from it ([`Connection::poll_request`]); while a
//! handler runs, the app's streams read and write through an [`Exchange`], straight from and to the connection's two buffers. Bytes leave
//! when the task has nothing else to do: when the handler waits ([`Connection::poll_push`]), and before the task waits for the next
//! request. So a head and a short body, or the answers to several requests that came together, leave in one piece.
//!
//! An app may keep a stream longer than its exchange. It then finds that the exchange is over: exchanges are numbered, and only the
//! current one may touch the connection.

use super::timers::{Clock, Timeouts};
use crate::http::{Failure, Inbox, Incoming, Outgoing, Responder, Wakers};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker, ready};
use mwasm_http::server::{self, Next};
use mwasm_http::{Body, BodyLength, Headers, Limits, RequestHead};
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_ports::network::TcpStream;
use spin::Mutex;

/// The most bytes of a body that are taken out of the connection's buffer at once.
const MAX_PIECE_BYTES: usize = 64 << 10;
/// The least room for which it is worth to wake a writer, in bytes: what `blocking-write-and-flush` may write.
const MIN_ROOM_BYTES: usize = 4096;
/// How many bytes of answers to requests that came together may gather before they are sent.
const MAX_GATHERED_BYTES: usize = 32 << 10;
/// How long a client may take to close its side after the last answer, in nanoseconds.
const LINGER_NS: u64 = NANOS_PER_SECOND;
/// How much of what comes after the last answer is read, in bytes.
const MAX_LINGER_BYTES: usize = 1 << 20;

/// A client's connection.
pub(crate) struct Connection {
    clock: Arc<Clock>,
    timeouts: Timeouts,
    wakers: Wakers,
    state: Mutex<State>,
}

struct State {
    /// `None` at the end: the app may keep what refers to this connection, but not the socket.
    stream: Option<Box<dyn TcpStream>>,
    http: server::Connection,
    /// How many exchanges have begun; the number of the current one.
    exchanges: u64,
    /// What came of the request's body and was not read.
    inbox: Inbox,
    /// The answer cannot be finished: the client must see that.
    is_broken: bool,
    /// The client has ended its side.
    has_ended: bool,
    failure: Option<Failure>,
    /// What must come, and until when.
    receive: Option<(Awaited, u64)>,
    /// Until when something must go.
    send_deadline_ns: Option<u64>,
    /// The connection's task.
    waker: Waker,
}

/// What is to come from a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The next request.
    Request,
    /// The rest of a head. A client that sends it byte by byte gets no more time.
    Head,
    /// The next piece of a body.
    Body,
    /// The end.
    End,
}

impl Connection {
    pub fn new(stream: Box<dyn TcpStream>, clock: Arc<Clock>, timeouts: Timeouts, limits: Limits) -> Arc<Self> {
        let state = State {
            stream: Some(stream),
            http: server::Connection::new(limits),
            exchanges: 0,
            inbox: Inbox::default(),
            is_broken: false,
            has_ended: false,
            failure: None,
            receive: None,
            send_deadline_ns: None,
            waker: Waker::noop().clone(),
        };
        Arc::new(Self { clock, timeouts, wakers: Wakers::new(), state: Mutex::new(state) })
    }

    /// The next request; `None` if there is none, or the connection failed.
    pub fn poll_request(&self, context: &mut Context<'_>) -> Poll<Option<RequestHead>> {
        let state = &mut *self.state.lock();
        state.waker.clone_from(context.waker());
        if !state.http.is_flushed() && !state.http.is_answering() && state.http.to_send().len() > MAX_GATHERED_BYTES {
            let _ = self.poll_flush(state, context);
        }
        loop {
            match state.http.next_request() {
                Next::Request(request) => {
                    state.exchanges += 1;
                    state.inbox = Inbox::default();
                    state.receive = None;
                    return Poll::Ready(Some(request));
                }
                Next::Refused(fault) => {
                    self.clock.with_date(|date| state.http.reject(fault.status(), fault.why(), Some(date)));
                    return Poll::Ready(None);
                }
                Next::Closed => return Poll::Ready(None),
                Next::Pending => {}
            }
            let sent = self.poll_flush(state, context);
            let is_idle = state.exchanges > 0 && state.http.is_idle();
            let awaited = if is_idle { Awaited::Request } else { Awaited::Head };
            match (self.poll_fill(state, awaited, context), sent) {
                (_, Poll::Ready(Err(_))) | (Poll::Ready(Err(_)), _) => return Poll::Ready(None),
                (Poll::Ready(Ok(())), _) => {}
                (Poll::Pending, _) => return Poll::Pending,
            }
        }
    }

    /// Sends what the handler has written, while it waits for something.
    pub fn poll_push(&self, context: &mut Context<'_>) {
        let state = &mut *self.state.lock();
        state.waker.clone_from(context.waker());
        if state.failure.is_none()
            && let Poll::Ready(Err(_)) = self.poll_flush(state, context)
        {
            // The handler is to see that.
            context.waker().wake_by_ref();
            self.wakers.wake();
        }
    }

    /// After a handler: makes sure that its request is answered.
    pub fn settle(&self) {
        let state = &mut *self.state.lock();
        state.inbox.discard();
        if state.is_broken || state.http.is_answering() {
            state.abort(Failure::Over);
            return;
        }
        let (status, why) = match state.failure.or(state.inbox.failure()) {
            Some(Failure::ReceiveTimeout) => (408, "the request did not come in time"),
            Some(Failure::Fault(fault)) => (fault.status(), fault.why()),
            _ => (500, "the app did not answer"),
        };
        self.clock.with_date(|date| state.http.reject(status, why, Some(date)));
    }

    /// Answers in the host's name; then the connection ends. Nothing, if an answer has begun.
    pub fn reject(&self, status: u16, why: &str) {
        let state = &mut *self.state.lock();
        self.clock.with_date(|date| state.http.reject(status, why, Some(date)));
    }

    /// Ends the connection after the current exchange.
    pub fn close_after(&self) {
        let state = &mut *self.state.lock();
        state.http.close_after();
        state.waker.wake_by_ref();
    }

    /// Sends what is left, ends this side, and waits a moment for the client to end its own: a socket that is closed over unread bytes
    /// resets the connection, and the client may lose the last answer.
    pub fn poll_close(&self, context: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.state.lock();
        state.waker.clone_from(context.waker());
        if state.failure == Some(Failure::ReceiveTimeout) {
            // What did not come needs not to come any more; what is to be said may be said.
            state.failure = None;
            state.receive = None;
        }
        if ready!(self.poll_flush(state, context)).is_err() {
            return Poll::Ready(());
        }
        if state.receive.is_none_or(|(awaited, _)| awaited != Awaited::End) {
            if state.has_ended || state.stream.as_ref().is_none_or(|stream| stream.shutdown_send().is_err()) {
                return Poll::Ready(());
            }
            state.receive = Some((Awaited::End, self.clock.now_ns().saturating_add(LINGER_NS)));
        }
        let (mut scratch, mut read) = ([0; MIN_ROOM_BYTES], 0);
        while let (Some(stream), None) = (&state.stream, state.failure)
            && read < MAX_LINGER_BYTES
        {
            match ready!(stream.poll_receive(&mut scratch, &mut self.wakers.join(context))) {
                Ok(bytes @ 1..) => read += bytes,
                Ok(_) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }

    /// Turns away one client too many, without waiting for anything.
    pub fn turn_away(&self) {
        let (state, context) = (&mut *self.state.lock(), &mut Context::from_waker(Waker::noop()));
        self.clock.with_date(|date| state.http.reject(503, "too many connections", Some(date)));
        let _ = self.poll_fill(state, Awaited::End, context);
        let _ = self.poll_flush(state, context);
        if let Some(stream) = &state.stream {
            let _ = stream.shutdown_send();
        }
    }

    /// Closes the socket, whoever still refers to the connection.
    pub fn close(&self) {
        let state = &mut *self.state.lock();
        state.stream = None;
        state.failure = Some(Failure::Over);
        state.inbox = Inbox::default();
    }

    /// Looks whether something that must have happened by now has not.
    pub fn check_deadlines(&self) {
        let (state, now_ns) = (&mut *self.state.lock(), self.clock.now_ns());
        let is_over = |deadline_ns: u64| deadline_ns <= now_ns;
        if state.send_deadline_ns.is_some_and(is_over) {
            state.abort(Failure::SendTimeout);
        } else if let Some((awaited, _)) = state.receive.take_if(|(_, deadline_ns)| is_over(*deadline_ns)) {
            if awaited == Awaited::End {
                state.failure = Some(Failure::Over);
            } else if state.is_silent() {
                // Otherwise a handler that has not looked for a while will find something.
                state.failure = Some(Failure::ReceiveTimeout);
                if !state.http.is_idle() {
                    let why = "the request did not come in time";
                    self.clock.with_date(|date| state.http.reject(408, why, Some(date)));
                }
            }
        } else {
            return;
        }
        state.waker.wake_by_ref();
        self.wakers.wake();
    }

    /// Receives once, into the connection's buffer.
    fn poll_fill(&self, state: &mut State, awaited: Awaited, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(failure) = state.failure {
            return Poll::Ready(Err(failure));
        }
        let Some(stream) = &state.stream else { return Poll::Ready(Err(Failure::Over)) };
        match stream.poll_receive(state.http.space(), &mut self.wakers.join(context)) {
            Poll::Ready(Ok(count)) => {
                if count == 0 {
                    state.has_ended = true;
                    state.http.ended();
                } else {
                    state.http.filled(count);
                }
                if awaited != Awaited::Head {
                    state.receive = None;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                state.failure = Some(error.into());
                Poll::Ready(Err(error.into()))
            }
            Poll::Pending => {
                if state.receive.is_none_or(|(before, _)| before != awaited) {
                    let wait_ns = match awaited {
                        Awaited::Request => self.timeouts.idle_ns,
                        Awaited::Head | Awaited::Body | Awaited::End => self.timeouts.receive_ns,
                    };
                    state.receive = Some((awaited, self.clock.now_ns().saturating_add(wait_ns)));
                }
                Poll::Pending
            }
        }
    }

    /// Sends all that there is to send.
    fn poll_flush(&self, state: &mut State, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(failure) = state.failure {
            return Poll::Ready(Err(failure));
        }
        while let Some(stream) = &state.stream
            && !state.http.is_flushed()
        {
            match stream.poll_send(state.http.to_send(), &mut self.wakers.join(context)) {
                Poll::Ready(Ok(count)) => {
                    state.http.sent(count);
                    state.send_deadline_ns = None;
                }
                Poll::Ready(Err(error)) => {
                    state.failure = Some(error.into());
                    return Poll::Ready(Err(error.into()));
                }
                Poll::Pending => {
                    let now_ns = self.clock.now_ns();
                    state.send_deadline_ns.get_or_insert(now_ns.saturating_add(self.timeouts.send_ns));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes of the request's body out of the connection until there are some, or the body is over.
    fn poll_peek(&self, state: &mut State, context: &mut Context<'_>) -> Poll<()> {
        while !state.inbox.is_ready() {
            if !state.inbox.accept(state.http.body(MAX_PIECE_BYTES)) {
                ready!(self.poll_more(state, context));
            }
        }
        Poll::Ready(())
    }

    /// Receives more of the request's body, if it can be had.
    fn poll_more(&self, state: &mut State, context: &mut Context<'_>) -> Poll<()> {
        // A client may wait to be asked for the body, or for the answer so far.
        let sent = self.poll_flush(state, context);
        let filled = ready!(self.poll_fill(state, Awaited::Body, context));
        if let (Err(failure), _) | (_, Poll::Ready(Err(failure))) = (filled, sent) {
            state.inbox.fail(failure);
        }
        Poll::Ready(())
    }
}

impl State {
    /// Cuts the connection: the client sees a reset.
    fn abort(&mut self, failure: Failure) {
        self.failure = Some(failure);
        if let Some(stream) = &self.stream {
            stream.abort();
        }
    }

    /// Whether nothing came that nobody has looked at.
    fn is_silent(&self) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        self.stream.as_ref().is_none_or(|stream| stream.poll_receivable(context).is_pending())
    }
}

/// A request and its answer, on a connection that has others before and after it.
pub(crate) struct Exchange {
    connection: Arc<Connection>,
    number: u64,
}

impl Exchange {
    /// The exchange that goes on now.
    pub fn current(connection: &Arc<Connection>) -> Arc<Self> {
        let number = connection.state.lock().exchanges;
        Arc::new(Self { connection: connection.clone(), number })
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Does something with the connection, if this is still the current exchange.
    fn with<T>(&self, action: impl FnOnce(&Connection, &mut State) -> T) -> Result<T, Failure> {
        let state = &mut *self.connection.state.lock();
        match state.failure {
            _ if state.exchanges != self.number => Err(Failure::Over),
            Some(failure) => Err(failure),
            None => Ok(action(&self.connection, state)),
        }
    }
}

impl Incoming for Exchange {
    fn read(&self, most: usize) -> Result<Option<Vec<u8>>, Failure> {
        self.with(|connection, state| {
            let _ = connection.poll_peek(state, &mut Context::from_waker(Waker::noop()));
            state.inbox.read(most)
        })?
    }

    fn poll_read(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        let result = self.with(|connection, state| {
            loop {
                if let Some(read) = state.inbox.read_into(into) {
                    return Poll::Ready(read);
                }
                match state.http.body(into.len()) {
                    Body::Data(bytes) => {
                        into.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                        return Poll::Ready(Ok(bytes.len()));
                    }
                    Body::Pending => ready!(connection.poll_more(state, context)),
                    end => {
                        state.inbox.accept(end);
                    }
                }
            }
        });
        result.unwrap_or_else(|failure| Poll::Ready(Err(failure)))
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.with(|connection, state| connection.poll_peek(state, context)).unwrap_or(Poll::Ready(()))
    }

    fn poll_trailers(&self, context: &mut Context<'_>) -> Poll<Result<Option<Headers>, Failure>> {
        let result = self.with(|connection, state| {
            loop {
                state.inbox.discard();
                match state.inbox.trailers() {
                    Some(result) => return Poll::Ready(result),
                    None => ready!(connection.poll_peek(state, context)),
                }
            }
        });
        result.unwrap_or_else(|failure| Poll::Ready(Err(failure)))
    }
}

impl Outgoing for Exchange {
    fn room(&self) -> Result<Option<usize>, Failure> {
        self.with(|_, state| {
            let room = state.http.room();
            state.http.is_answering().then_some(if room < MIN_ROOM_BYTES { 0 } else { room })
        })
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.with(|_, state| match state.http.send_body(bytes) {
            Ok(taken) if taken == bytes.len() => Ok(()),
            // More than there was room for, or than was announced: nobody can make a whole body of it.
            other => {
                state.is_broken = true;
                other?;
                Err(Failure::Overrun)
            }
        })?
    }

    fn flush(&self) -> Result<(), Failure> {
        // What is written leaves when the handler waits, or is done.
        self.with(|_, _| ())
    }

    fn nudge(&self) {
        // The connection's task has its turn when the writer has done what it can.
        let _ = self.with(|_, state| state.waker.wake_by_ref());
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let result = self.with(|connection, state| {
            if state.http.is_answering() && state.http.room() < MIN_ROOM_BYTES {
                let _ = connection.poll_flush(state, context);
            }
            state.failure.is_some() || !state.http.is_answering() || state.http.room() >= MIN_ROOM_BYTES
        });
        if result.unwrap_or(true) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn finish(&self, trailers: Option<&Headers>) -> Result<(), Failure> {
        self.with(|_, state| {
            let result = state.http.finish(trailers);
            state.is_broken |= result.is_err();
            result.map_err(Failure::from)
        })?
    }

    fn abort(&self) {
        let _ = self.with(|_, state| state.is_broken = true);
    }
}

impl Responder for Exchange {
    fn respond(&self, status: u16, headers: &Headers, length: BodyLength) -> Result<(), Failure> {
        self.with(|connection, state| {
            connection.clock.with_date(|date| state.http.respond(status, headers, length, Some(date)))
        })?
        .map_err(Failure::from)
    }

    fn outgoing(self: Arc<Self>) -> Arc<dyn Outgoing> {
        self
    }
}
