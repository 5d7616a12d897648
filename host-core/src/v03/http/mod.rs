//! `wasi:http` at 0.3: requests and responses as resources, bodies as streams and trailers as futures.
//!
//! At 0.3 a message is the same thing whichever way it goes: a `request` may come from the network or be made by the app, and either may be
//! handed to [`client`]'s `send`, be read by the app, or be returned. What differs is where its [`body`] comes from.
//!
//! ```text
//!                 the network ---\                     /--- consume-body -> the app reads
//!                                 >-- request/response --
//!   the app: new(headers, stream,/                     \--- client.send, or returned by handler.handle -> the network
//!                trailers)
//! ```
//!
//! Copies: one a direction, between the connection's buffer and the guest's memory. What a guest does not read stays in the connection and
//! holds up the sender; what the connection does not take stays with the guest.

pub(crate) mod body;
mod client;
mod fields;
mod options;
mod request;
mod response;
mod types;

pub use client::CLIENT;
pub(crate) use request::Request;
pub(crate) use response::Response;
pub use types::TYPES;
