//! `wasi:http/types.method` and `scheme`.

use alloc::string::String;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `wasi:http/types.method`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Method {
    #[component(name = "get")]
    Get,
    #[component(name = "head")]
    Head,
    #[component(name = "post")]
    Post,
    #[component(name = "put")]
    Put,
    #[component(name = "delete")]
    Delete,
    #[component(name = "connect")]
    Connect,
    #[component(name = "options")]
    Options,
    #[component(name = "trace")]
    Trace,
    #[component(name = "patch")]
    Patch,
    #[component(name = "other")]
    Other(String),
}

impl From<&mwasm_http::Method> for Method {
    fn from(method: &mwasm_http::Method) -> Self {
        match method {
            mwasm_http::Method::Get => Self::Get,
            mwasm_http::Method::Head => Self::Head,
            mwasm_http::Method::Post => Self::Post,
            mwasm_http::Method::Put => Self::Put,
            mwasm_http::Method::Delete => Self::Delete,
            mwasm_http::Method::Connect => Self::Connect,
            mwasm_http::Method::Options => Self::Options,
            mwasm_http::Method::Trace => Self::Trace,
            mwasm_http::Method::Patch => Self::Patch,
            mwasm_http::Method::Other(name) => Self::Other(String::from(&**name)),
        }
    }
}

impl Method {
    /// As it is sent; `None` if it is no token.
    pub(crate) fn parsed(self) -> Option<mwasm_http::Method> {
        Some(match self {
            Self::Get => mwasm_http::Method::Get,
            Self::Head => mwasm_http::Method::Head,
            Self::Post => mwasm_http::Method::Post,
            Self::Put => mwasm_http::Method::Put,
            Self::Delete => mwasm_http::Method::Delete,
            Self::Connect => mwasm_http::Method::Connect,
            Self::Options => mwasm_http::Method::Options,
            Self::Trace => mwasm_http::Method::Trace,
            Self::Patch => mwasm_http::Method::Patch,
            Self::Other(name) => mwasm_http::Method::parse(&name)?,
        })
    }
}

/// `wasi:http/types.scheme`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Scheme {
    #[component(name = "HTTP")]
    Http,
    #[component(name = "HTTPS")]
    Https,
    #[component(name = "other")]
    Other(String),
}

impl Scheme {
    /// Whether it is written as one (RFC 3986, section 3.1).
    pub(crate) fn is_valid(&self) -> bool {
        let Self::Other(name) = self else { return true };
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    }
}
