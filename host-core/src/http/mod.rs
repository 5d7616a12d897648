//! HTTP as the interfaces see it: an exchange of two messages, each of which has a body that moves in pieces.
//!
//! An app is at either end of an exchange. Where it serves ([`crate::serve`]), the request comes to it and it sends the response; where
//! it asks ([`client`]), the other way round. For the bodies it is all the same: one comes ([`Incoming`]), one goes ([`Outgoing`]),
//! and behind both is a connection, which holds no more of them than its buffers.
//!
//! ```text
//!   v02/http, v03/http --Incoming, Outgoing--> connection (serve/, client) --> mwasm-http --> TcpStream
//! ```
//!
//! These are traits so that an app that only asks carries no server, and the other way round.

pub mod client;
mod failure;
pub mod idle;
mod inbox;
mod wakers;

pub use failure::Failure;
pub(crate) use inbox::Inbox;
pub(crate) use wakers::Wakers;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll};
use mwasm_http::{BodyLength, Headers};

/// A body that comes, from the side of whoever reads it.
pub trait Incoming: Send + Sync {
    /// Takes up to `most` bytes that are there: an empty list if nothing is there yet, or `most` is 0; `None` at the end.
    fn read(&self, most: usize) -> Result<Option<Vec<u8>>, Failure>;
    /// Moves bytes that came straight to the front of `into` (not empty); 0 is the end.
    fn poll_read(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<usize, Failure>>;
    /// Ready when bytes have come, or the body has ended or failed.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Throws away what is left of the body, and takes the trailers that follow it.
    fn poll_trailers(&self, context: &mut Context<'_>) -> Poll<Result<Option<Headers>, Failure>>;
}

/// A body that goes, from the side of whoever writes it. What is written leaves when the connection's buffer is full, when the writer
/// waits for something after [`Outgoing::flush`], and at the end: so a head and a short body leave together.
pub trait Outgoing: Send + Sync {
    /// How many bytes [`Outgoing::write`] takes now; 0 for not now. `None`: nobody wants the rest.
    fn room(&self) -> Result<Option<usize>, Failure>;
    /// Takes all of `bytes`, which are no more than [`Outgoing::room`] said.
    fn write(&self, bytes: &[u8]) -> Result<(), Failure>;
    /// Begins to hand over what was written.
    fn flush(&self) -> Result<(), Failure>;
    /// Has what was written leave soon, for a writer that does not wait for anything of this connection.
    fn nudge(&self);
    /// Ready when there is room, or the body failed.
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()>;
    /// Ends the body.
    fn finish(&self, trailers: Option<&Headers>) -> Result<(), Failure>;
    /// Gives the body up: the other side sees that it is not whole.
    fn abort(&self);
}

/// Whoever waits for a response to a request.
pub trait Responder: Outgoing {
    /// Begins the response. If this fails, another one can be given.
    fn respond(&self, status: u16, headers: &Headers, length: BodyLength) -> Result<(), Failure>;
    /// The way for the response's body.
    fn outgoing(self: Arc<Self>) -> Arc<dyn Outgoing>;
}
