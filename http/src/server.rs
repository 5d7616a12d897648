//! The server's side of a connection: requests in, answers out, one exchange after the other.
//!
//! ```text
//!   next_request() -> Request --> body()*      -> End
//!                             \-> respond() -> send_body()* -> finish() -> next_request() ...
//! ```
//!
//! Both ways of an exchange go on side by side; the next request is looked at when the answer is finished. A client that sends several
//! requests at once (pipelining) has them waiting in the receive buffer, and the answers gather in the send buffer, in order.
//!
//! What the owner of the socket does, each time round: ask for what is next; on `Pending`, first send all that [`Connection::to_send`]
//! has, then receive into [`Connection::space`]. Time is the owner's: [`Connection::is_idle`] says whether a silence is an idle
//! connection's or a slow client's ([`Connection::reject`] with 408 then). After [`Next::Closed`] and the last byte sent, end the sending
//! side and read and throw away for a moment what still comes: a socket closed over unread bytes resets the connection, and the
//! client may never see the last answer.

use crate::date::Date;
use crate::fault::{Fault, SendError};
use crate::head::{Method, RequestHead, Version};
use crate::headers::Headers;
use crate::limits::{Limits, MAX_DRAIN_BYTES};
use crate::parse::{self, Facts};
use crate::receive::Receiver;
use crate::send::Sender;
use crate::{Body, BodyLength};

/// What comes next on a connection.
#[derive(Debug)]
pub enum Next {
    /// The next request has not come whole, or the last answer is not finished: send, receive, and ask again.
    Pending,
    /// The head of a request. Its body follows ([`Connection::body`]); answer it.
    Request(RequestHead),
    /// What came is refused: say so with [`Connection::reject`].
    Refused(Fault),
    /// No further request: the client went away, or one of the two sides wanted the end. Send what there is to send and close.
    Closed,
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    phase: Phase,
}

/// Where the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before a request.
    Between,
    /// From a request's head to the end of its answer.
    Exchange {
        /// The body is not sent before it is asked for: `expect: 100-continue`.
        expects: bool,
        /// The answer has no body, whatever its head says: the request is HEAD.
        bodiless: bool,
        /// The answer has begun.
        answered: bool,
        /// Bytes of the body that were thrown away since the answer was finished.
        drained: u64,
    },
    /// There is no further request.
    Closed,
}

impl Connection {
    /// A connection that has just been accepted.
    pub fn new(limits: Limits) -> Self {
        Self { receiver: Receiver::new(limits), sender: Sender::new(), phase: Phase::Between }
    }

    /// Room for bytes that come; then [`Connection::filled`]. Empty if what came before was not taken: receive nothing then.
    pub fn space(&mut self) -> &mut [u8] {
        self.receiver.space()
    }

    /// So many bytes came, to the front of [`Connection::space`].
    pub fn filled(&mut self, bytes: usize) {
        self.receiver.filled(bytes);
    }

    /// The client sends no more.
    pub fn ended(&mut self) {
        self.receiver.ended();
    }

    /// Whether the connection is between two exchanges, with nothing of the next one there and nothing to send.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Between && self.receiver.is_empty() && self.sender.is_flushed()
    }

    /// Does not keep the connection for further requests after this exchange, or at once if there is none. An answer that has not begun
    /// says so to the client.
    pub fn close_after(&mut self) {
        self.sender.keep_alive = false;
        if self.phase == Phase::Between {
            self.phase = Phase::Closed;
        }
    }

    /// The next request, once the last answer is finished. What its handler did not read of its body is read and thrown away, if it is
    /// little; if it is much, or was never asked for (`expect: 100-continue`), the connection ends.
    pub fn next_request(&mut self) -> Next {
        if let Some(next) = self.end_exchange() {
            return next;
        }
        if self.phase == Phase::Closed {
            return Next::Closed;
        }
        match self.receiver.head(parse::is_request_start, parse::request) {
            Ok(Some((request, facts))) => match self.begin_exchange(&request, facts) {
                Ok(()) => Next::Request(request),
                Err(fault) => Next::Refused(fault),
            },
            Ok(None) => Next::Pending,
            Err(Fault::Incomplete) => {
                self.phase = Phase::Closed;
                Next::Closed
            }
            Err(fault) => Next::Refused(fault),
        }
    }

    fn begin_exchange(&mut self, request: &RequestHead, facts: Facts) -> Result<(), Fault> {
        self.receiver.begin_body(facts.framing)?;
        self.sender.keep_alive = facts.keep_alive;
        self.sender.http10 = request.version == Version::Http10;
        self.phase = Phase::Exchange {
            expects: facts.expects,
            bodiless: request.method == Method::Head,
            answered: false,
            drained: 0,
        };
        Ok(())
    }

    /// Moves on from an exchange, if one goes on; `None` once that is over.
    fn end_exchange(&mut self) -> Option<Next> {
        let Phase::Exchange { expects, answered, ref mut drained, .. } = self.phase else { return None };
        if !answered || self.sender.is_open() {
            return Some(Next::Pending);
        }
        let mut over = !self.sender.keep_alive;
        while !over {
            let left = self.receiver.body_left();
            match self.receiver.body(usize::MAX) {
                Body::End(_) => break,
                Body::Data(data) => *drained += data.len() as u64,
                Body::Pending if !expects && *drained + left <= MAX_DRAIN_BYTES => {
                    return Some(Next::Pending);
                }
                Body::Pending | Body::Failed(_) => over = true,
            }
        }
        self.phase = if over { Phase::Closed } else { Phase::Between };
        None
    }

    /// The next piece of the request's body, at most `max` bytes (at least 1). The first call asks a client for it that waits to be asked
    /// (`expect: 100-continue`): there is something to send then.
    pub fn body(&mut self, max: usize) -> Body<'_> {
        if let Phase::Exchange { ref mut expects, answered: false, .. } = self.phase
            && *expects
        {
            *expects = false;
            if self.receiver.is_empty() {
                self.sender.go_on();
            }
        }
        let body = self.receiver.body(max);
        if let Body::Failed(_) = body {
            self.sender.keep_alive = false;
        }
        body
    }

    /// How many bytes may be received straight into the app's memory now, past the receive buffer; 0: use the buffer. Say afterwards how
    /// many came ([`Connection::body_received`]).
    pub fn body_direct(&self) -> u64 {
        self.receiver.direct()
    }

    /// So many bytes of the body came past the receive buffer, at most [`Connection::body_direct`].
    pub fn body_received(&mut self, bytes: u64) {
        self.receiver.direct_received(bytes);
    }

    /// Begins the answer. A machine that does not know the time gives no date. If this fails, another answer can be given.
    pub fn respond(
        &mut self,
        status: u16,
        headers: &Headers,
        length: BodyLength,
        date: Option<&Date>,
    ) -> Result<(), SendError> {
        let Phase::Exchange { expects, bodiless, ref mut answered, .. } = self.phase else {
            return Err(SendError::State);
        };
        if *answered {
            return Err(SendError::State);
        }
        // The client may send the body that it has not been asked for, or not: only the end of the connection is clear to both.
        self.sender.keep_alive &= !expects;
        self.sender.response(status, headers, length, date, bodiless)?;
        *answered = true;
        Ok(())
    }

    /// Answers in a few words, and closes the connection after it. False if an answer has begun already; nothing is to be said then
    /// but the connection's end.
    pub fn reject(&mut self, status: u16, why: &str, date: Option<&Date>) -> bool {
        if self.phase == Phase::Closed || self.sender.is_open() {
            return false;
        }
        if let Phase::Exchange { answered: true, .. } = self.phase {
            return false;
        }
        let bodiless = matches!(self.phase, Phase::Exchange { bodiless: true, .. });
        self.sender.keep_alive = false;
        self.sender.notice(status, why, date, bodiless);
        self.phase = Phase::Closed;
        true
    }

    /// How many bytes [`Connection::send_body`] takes now.
    pub fn room(&self) -> usize {
        self.sender.room()
    }

    /// Adds to the answer's body as much as there is room for; how much that was. More than was announced is an error. The body of an
    /// answer that has none (to HEAD, 204, 304) is taken and thrown away.
    pub fn send_body(&mut self, bytes: &[u8]) -> Result<usize, SendError> {
        self.sender.body(bytes)
    }

    /// Ends the answer. Trailers go to where they can: after a body in chunks. Less body than was announced is an error.
    pub fn finish(&mut self, trailers: Option<&Headers>) -> Result<(), SendError> {
        self.sender.finish(trailers)
    }

    /// How many bytes of the answer's body may be sent straight from the app's memory now, past the send buffer; 0: use the buffer. Say
    /// afterwards how many went ([`Connection::sent_direct`]).
    pub fn direct(&self) -> u64 {
        self.sender.direct()
    }

    /// So many bytes of the body went past the send buffer, at most [`Connection::direct`].
    pub fn sent_direct(&mut self, bytes: u64) {
        self.sender.sent_direct(bytes);
    }

    /// What is to be sent; then [`Connection::sent`]. Asking decides how a body of unknown length is framed, so ask only to send: when
    /// the handler has nothing more to add at once, or there is no more room.
    pub fn to_send(&mut self) -> &[u8] {
        self.sender.unsent()
    }

    /// So many bytes were sent from the front of [`Connection::to_send`].
    pub fn sent(&mut self, bytes: usize) {
        self.sender.sent(bytes);
    }

    /// Whether all that there is to send has been sent; unlike [`Connection::to_send`], asking decides nothing.
    pub fn is_flushed(&self) -> bool {
        self.sender.is_flushed()
    }

    /// Whether an answer has begun and is not finished.
    pub fn is_answering(&self) -> bool {
        self.sender.is_open()
    }
}
