//! What a message begins with.

use crate::headers::{Headers, is_token};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// A request's method (RFC 9110, section 9). Its case counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `CONNECT`: known by name only.
    Connect,
    /// `OPTIONS`.
    Options,
    /// `TRACE`.
    Trace,
    /// `PATCH`.
    Patch,
    /// Any other; see [`Method::parse`].
    Other(Box<str>),
}

impl Method {
    /// The method of that name; `None` if it is no token (RFC 9110, section 5.6.2).
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            other => is_token(other.as_bytes()).then(|| Self::Other(other.into()))?,
        })
    }

    /// Whether several such requests do what one does (RFC 9110, section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace)
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// The head of a request.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// What is to be done.
    pub method: Method,
    /// The client's version. A client here always says 1.1.
    pub version: Version,
    /// Host and perhaps port: from the target if it has them, else from the `host` field. `None` if that is empty, or missing at 1.0.
    pub authority: Option<String>,
    /// Path and query, as in the target: begins with `/`, or is `*` for `OPTIONS` of the whole server. ASCII without spaces.
    pub path: String,
    /// The fields. Of one that came, `host` is among them; one that goes must not have it ([`RequestHead::authority`] is sent).
    pub headers: Headers,
}

/// The head of an answer that came.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status code: 200 to 999.
    pub status: u16,
    /// The fields.
    pub headers: Headers,
}
