//! The client's side of a connection: a request out, its answer in, and perhaps another one.
//!
//! ```text
//!   request() -> send_body()* -> finish()
//!             \-> response() -> Response --> body()* -> End -> is_reusable()? -> request() ...
//! ```
//!
//! The answer may come before the request is finished. Interim answers (1xx) are skipped.

use crate::fault::{Fault, SendError};
use crate::head::{Method, RequestHead, ResponseHead};
use crate::headers::Headers;
use crate::limits::{Limits, MAX_INTERIM};
use crate::parse;
use crate::receive::Receiver;
use crate::send::Sender;
use crate::{Body, BodyLength};

/// What comes next on a connection.
#[derive(Debug)]
pub enum Next {
    /// The answer's head has not come whole: send, receive, and ask again.
    Pending,
    /// The head of the answer. Its body follows ([`Connection::body`]).
    Response(ResponseHead),
    /// What came is no answer. Close the connection.
    Failed(Fault),
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    phase: Phase,
}

/// Where the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No exchange goes on.
    Between,
    /// A request has begun; so many interim answers were skipped.
    Asked { to_head: bool, interim: u32 },
    /// The answer's head has come.
    Answered { keep_alive: bool },
    /// Something was wrong: the connection is of no use any more.
    Broken,
}

impl Connection {
    /// A connection that has just been made.
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

    /// The server sends no more.
    pub fn ended(&mut self) {
        self.receiver.ended();
    }

    /// Begins a request. If this fails, another one can be made.
    pub fn request(&mut self, head: &RequestHead, length: BodyLength) -> Result<(), SendError> {
        if !self.is_reusable() {
            return Err(SendError::State);
        }
        self.sender.request(head, length)?;
        self.phase = Phase::Asked { to_head: head.method == Method::Head, interim: 0 };
        Ok(())
    }

    /// How many bytes [`Connection::send_body`] takes now.
    pub fn room(&self) -> usize {
        self.sender.room()
    }

    /// Adds to the request's body as much as there is room for; how much that was. More than was announced is an error.
    pub fn send_body(&mut self, bytes: &[u8]) -> Result<usize, SendError> {
        self.sender.body(bytes)
    }

    /// Ends the request. Trailers go to where they can: after a body in chunks. Less body than was announced is an error.
    pub fn finish(&mut self, trailers: Option<&Headers>) -> Result<(), SendError> {
        self.sender.finish(trailers)
    }

    /// How many bytes of the request's body may be sent straight from the app's memory now, past the send buffer; 0: use the buffer. Say
    /// afterwards how many went ([`Connection::sent_direct`]).
    pub fn direct(&self) -> u64 {
        self.sender.direct()
    }

    /// So many bytes of the body went past the send buffer, at most [`Connection::direct`].
    pub fn sent_direct(&mut self, bytes: u64) {
        self.sender.sent_direct(bytes);
    }

    /// What is to be sent; then [`Connection::sent`]. Asking decides how a body of unknown length is framed, so ask only to send.
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

    /// The final answer's head.
    pub fn response(&mut self) -> Next {
        loop {
            let Phase::Asked { to_head, ref mut interim } = self.phase else {
                return Next::Failed(Fault::Malformed("no answer is awaited"));
            };
            match self.receiver.head(parse::is_response_start, |head| parse::response(head, to_head)) {
                Ok(None) => return Next::Pending,
                Ok(Some((response, _))) if response.status < 200 => {
                    *interim += 1;
                    if *interim > MAX_INTERIM {
                        self.phase = Phase::Broken;
                        return Next::Failed(Fault::Malformed("too many interim answers"));
                    }
                }
                Ok(Some((response, facts))) => {
                    self.phase = Phase::Answered { keep_alive: facts.keep_alive };
                    if let Err(fault) = self.receiver.begin_body(facts.framing) {
                        self.phase = Phase::Broken;
                        return Next::Failed(fault);
                    }
                    return Next::Response(response);
                }
                Err(fault) => {
                    self.phase = Phase::Broken;
                    return Next::Failed(fault);
                }
            }
        }
    }

    /// The next piece of the answer's body, at most `max` bytes (at least 1).
    pub fn body(&mut self, max: usize) -> Body<'_> {
        let body = self.receiver.body(max);
        if let Body::Failed(_) = body {
            self.phase = Phase::Broken;
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

    /// Whether another request can be made: both messages are whole, the server keeps the connection, and nothing came that
    /// was not asked for.
    pub fn is_reusable(&self) -> bool {
        match self.phase {
            Phase::Between => self.receiver.is_quiet(),
            Phase::Answered { keep_alive: true } => {
                self.receiver.is_quiet() && !self.sender.is_open() && self.sender.is_flushed()
            }
            _ => false,
        }
    }
}
