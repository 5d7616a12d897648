//! What can be wrong with a message: from the other side ([`Fault`]) and from the app ([`SendError`]).

use core::fmt;

/// What is wrong with what the other side sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No HTTP/1.1, or something that two readers could read differently; says what.
    Malformed(&'static str),
    /// The connection ended within a message.
    Incomplete,
    /// The body is larger than [`Limits::max_body_bytes`](crate::Limits::max_body_bytes).
    BodyTooLarge,
    /// The request's target alone is larger than [`Limits::max_head_bytes`](crate::Limits::max_head_bytes).
    TargetTooLong,
    /// An `expect` field wants something else than `100-continue`.
    Expectation,
    /// The head is larger than [`Limits::max_head_bytes`](crate::Limits::max_head_bytes), or has more than
    /// [`MAX_FIELDS`](crate::MAX_FIELDS) fields.
    HeadTooLarge,
    /// The trailers are larger than that.
    TrailersTooLarge,
    /// HTTP, but nothing that is served here; says what.
    Unsupported(&'static str),
    /// Another version than 1.0 and 1.1.
    Version,
}

impl Fault {
    /// The status code that a server answers with (RFC 9110, section 15).
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Incomplete => 400,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge | Self::TrailersTooLarge => 431,
            Self::Unsupported(_) => 501,
            Self::Version => 505,
        }
    }

    /// A sentence for people.
    pub fn why(self) -> &'static str {
        match self {
            Self::Malformed(why) | Self::Unsupported(why) => why,
            Self::Incomplete => "the connection ended within a message",
            Self::BodyTooLarge => "the body is too large",
            Self::TargetTooLong => "the target is too long",
            Self::Expectation => "only 100-continue can be expected",
            Self::HeadTooLarge => "the head is too large",
            Self::TrailersTooLarge => "the trailers are too large",
            Self::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why())
    }
}

impl core::error::Error for Fault {}

/// Why a message cannot be sent as the app wants it. Unless [`SendError::State`] or [`SendError::Length`], nothing of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// A field is among the headers that only this side may set ([`is_forbidden`](crate::is_forbidden)).
    Forbidden,
    /// The `content-length` among the headers is no number, is there twice, or contradicts what is known of the body.
    ContentLength,
    /// No status code of a final answer (200 to 999).
    Status,
    /// The request's target or authority cannot be sent as it is.
    Target,
    /// The body is shorter or longer than was said. What was sent cannot be taken back: the connection must be closed.
    Length,
    /// Not now: no message is being sent, or another one is.
    State,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forbidden => "a header field is set that only the host may set",
            Self::ContentLength => "the content-length among the headers is wrong",
            Self::Status => "a final status code is from 200 to 999",
            Self::Target => "the request's target or authority has characters that cannot be sent",
            Self::Length => "the body is shorter or longer than its content-length",
            Self::State => "no message can be sent now",
        })
    }
}

impl core::error::Error for SendError {}
