//! `wasi:http` at 0.2: requests and responses as resources, bodies as streams.
//!
//! [`types`] is the table of the interface; its functions are in the modules beside it, by resource. A message is held by a resource
//! until it is given away: an incoming one is what the connection parsed, an outgoing one what the app has set so far. Bodies are not
//! held at all: their streams read from and write to the connection ([`crate::http`]).
//!
//! ```text
//!   incoming-request --consume--> incoming-body --stream--> input-stream
//!                                      \-finish--> future-trailers
//!   outgoing-response --body--> outgoing-body --write--> output-stream
//!          \-response-outparam.set          \-finish
//! ```

pub(crate) mod error_code;
pub(crate) mod fields;
pub(crate) mod handler;
mod incoming;
mod incoming_body;
pub(crate) mod method;
mod options;
pub(crate) mod outgoing;
mod outgoing_body;
mod types;

pub use handler::OUTGOING_HANDLER;
pub(crate) use incoming::IncomingRequest;
pub(crate) use outgoing::ResponseOutparam;
pub use types::TYPES;
