//! HTTP/1.1 (RFC 9110 and RFC 9112) as state machines without input or output: what mwasm's server and client stand on.
//!
//! A connection here is a value, not a socket. Whoever owns the socket moves bytes between the two, and asks what they mean:
//!
//! ```text
//!   socket -> space()/filled() -> receive buffer -> next_request(), body()  -> the app
//!   socket <- to_send()/sent() <- send buffer    <- respond(), send_body(), finish() <- the app
//! ```
//!
//! The rules that hold throughout:
//! - Nothing waits and nothing is called back: a function that needs more bytes says `Pending`.
//! - Memory is bounded by [`Limits`], whatever the other side sends: a head that is too large is a [`Fault`], and a body is handed on in
//!   pieces; what is not taken stays in the receive buffer, then in the socket, and so holds up the sender.
//! - A message that two readers could read differently is refused, not mended: that is what request smuggling lives on.
//! - [`Headers`] hold only names and values that can be sent as they are, so no value can break out of its line.
//! - A head and a body that is there at once leave in one buffer, with a `content-length`, though the app never said how long the body
//!   would be: how a body is framed is decided when its first bytes are sent.
//!
//! ```
//! use mwasm_http::{Body, BodyLength, Date, Headers, Limits, server};
//!
//! let mut connection = server::Connection::new(Limits::default());
//! let from_client = b"GET /hello HTTP/1.1\r\nhost: example.org\r\n\r\n";
//! connection.space()[..from_client.len()].copy_from_slice(from_client);
//! connection.filled(from_client.len());
//!
//! let server::Next::Request(request) = connection.next_request() else { panic!() };
//! assert_eq!((request.path.as_str(), request.headers.get("Host")), ("/hello", Some(&b"example.org"[..])));
//! connection.respond(200, &Headers::new(), BodyLength::Unknown, Some(&Date::new(784_111_777))).unwrap();
//! connection.send_body(b"hello").unwrap();
//! connection.finish(None).unwrap();
//! let answer = b"HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 5\r\n\r\nhello";
//! assert_eq!(connection.to_send(), answer);
//! ```
//!
//! What is not here: HTTP/2 and 3, TLS, upgrades and tunnels (`CONNECT` is answered 501), caching, compression, redirects.
#![no_std]

extern crate alloc;

mod date;
mod fault;
mod head;
mod headers;
mod limits;
mod parse;
mod receive;
mod send;

pub mod client;
pub mod server;

pub use date::Date;
pub use fault::{Fault, SendError};
pub use head::{Method, RequestHead, ResponseHead, Version};
pub use headers::{HeaderError, Headers, is_forbidden};
pub use limits::{Limits, MAX_FIELDS, MAX_FIELDS_BYTES};

/// The next piece of a body that came.
#[derive(Debug)]
pub enum Body<'a> {
    /// Bytes of the body, at least one. They are taken: the next call returns what follows.
    Data(&'a [u8]),
    /// The next bytes have not come yet: send what there is to send, then receive more.
    Pending,
    /// The body is whole; with trailers if there were any. A second call has none.
    End(Option<Headers>),
    /// The body is broken or too large. The connection ends after this exchange.
    Failed(Fault),
}

/// What is known of the length of a body before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// So many bytes, not one less or more.
    Known(u64),
    /// Not known: if the body is finished before anything was sent it gets a `content-length` all the same, otherwise it is sent in
    /// chunks, or, to a client at HTTP/1.0, ends with the connection. A `content-length` among the headers makes it known.
    Unknown,
}
