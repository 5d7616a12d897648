//! From bytes to heads, and what a head says about the message and the connection.
//!
//! The crate httparse splits a head into its parts; [`crate::receive`] has made sure before that it is whole and that each line ends
//! as it must. What is decided here is what those parts mean, and that they mean one thing only: the fields that frame a body decide where
//! the next message begins, and two readers that disagree about it can be made to see two different requests (request smuggling).

use crate::fault::Fault;
use crate::head::{Method, RequestHead, ResponseHead, Version};
use crate::headers::{Headers, is_token};
use crate::limits::MAX_FIELDS;
use crate::receive::Framing;
use alloc::string::String;
use core::mem::MaybeUninit;

/// What a head says beside what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) framing: Framing,
    /// The sender is ready for another exchange on this connection.
    pub(crate) keep_alive: bool,
    /// The body is not sent before it is asked for.
    pub(crate) expects: bool,
}

/// Whether a request can begin with this byte: its method is a token.
pub(crate) fn is_request_start(byte: u8) -> bool {
    is_token(&[byte])
}

/// Whether an answer can begin with this byte: `HTTP/1.1`.
pub(crate) fn is_response_start(byte: u8) -> bool {
    byte == b'H'
}

/// Reads the whole head of a request.
pub(crate) fn request(head: &[u8]) -> Result<(RequestHead, Facts), Fault> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let complete = parsed.parse_with_uninit_headers(head, &mut space).map_err(fault)?;
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Fault::Malformed("the head of the request is not whole"));
    };
    if complete != httparse::Status::Complete(head.len()) {
        return Err(Fault::Malformed("the head of the request is not whole"));
    }
    let method = Method::parse(method).ok_or(Fault::Malformed("the method is no token"))?;
    let version = version(minor)?;
    let meaning = Meaning::of(parsed.headers)?;
    let (framing, keep_alive) = (meaning.framing(version)?, meaning.keep_alive(version));
    let framing = framing.unwrap_or(Framing::Length(0));
    let authority = match (meaning.host, version) {
        (None, Version::Http11) => return Err(Fault::Malformed("the host field is missing")),
        (host, _) => host.map(authority).transpose()?.filter(|host| !host.is_empty()),
    };
    let (authority, path) = split_target(&method, target, authority)?;
    // An HTTP/1.0 client cannot mean it (RFC 9110, section 10.1.1).
    let expects = match meaning.expect {
        Some(_) if version == Version::Http10 => false,
        Some(wanted) if !wanted.eq_ignore_ascii_case(b"100-continue") => return Err(Fault::Expectation),
        wanted => wanted.is_some() && framing != Framing::Length(0),
    };
    let headers = headers(head, parsed.headers);
    let request =
        RequestHead { method, version, authority: authority.map(String::from), path: String::from(path), headers };
    Ok((request, Facts { framing, keep_alive, expects }))
}

/// Reads the whole head of an answer, to a request that was HEAD or was not.
pub(crate) fn response(head: &[u8], to_head: bool) -> Result<(ResponseHead, Facts), Fault> {
    let mut space = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let complete = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut space)
        .map_err(fault)?;
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(Fault::Malformed("the head of the answer is not whole"));
    };
    if complete != httparse::Status::Complete(head.len()) {
        return Err(Fault::Malformed("the head of the answer is not whole"));
    }
    // Nothing here asks for another protocol.
    if status < 100 || status == 101 {
        return Err(Fault::Malformed("the answer's status code is none that can be"));
    }
    let version = version(minor)?;
    let meaning = Meaning::of(parsed.headers)?;
    let framing = if to_head || status < 200 || status == 204 || status == 304 {
        Framing::Length(0)
    } else {
        meaning.framing(version)?.unwrap_or(Framing::UntilEnd)
    };
    let keep_alive = meaning.keep_alive(version) && framing != Framing::UntilEnd;
    let headers = headers(head, parsed.headers);
    Ok((ResponseHead { status, headers }, Facts { framing, keep_alive, expects: false }))
}

/// Reads the fields after the last chunk, with the empty line that ends them.
pub(crate) fn trailers(block: &[u8]) -> Result<Option<Headers>, Fault> {
    if block == b"\r\n" {
        return Ok(None);
    }
    let mut space = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(block, &mut space) {
        Ok(httparse::Status::Complete((end, fields))) if end == block.len() => {
            let meaning = Meaning::of(fields)?;
            if meaning != Meaning::default() {
                return Err(Fault::Malformed("a field is among the trailers that belongs into the head"));
            }
            Ok(Some(headers(block, fields)))
        }
        Ok(_) => Err(Fault::Malformed("the trailers are not whole")),
        Err(httparse::Error::TooManyHeaders) => Err(Fault::TrailersTooLarge),
        Err(error) => Err(fault(error)),
    }
}

/// Reads the line that begins a chunk, without its end.
pub(crate) fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    /// Digits of a `u64`.
    const MAX_DIGITS: usize = 16;
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, extension) = line.split_at_checked(digits).unwrap_or_default();
    let is_extension = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if !(extension.is_empty() || extension.starts_with(b";") && extension.iter().all(is_extension)) {
        return Err(Fault::Malformed("after a chunk's size only an extension can follow"));
    }
    let size = str::from_utf8(size).ok().filter(|size| size.len() <= MAX_DIGITS);
    size.and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or(Fault::Malformed("a chunk's size is no number"))
}

/// The fields that mean something here.
#[derive(Default, PartialEq, Eq)]
struct Meaning<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    coding: Option<Coding>,
    expect: Option<&'a [u8]>,
    close: bool,
    keep_alive: bool,
}

/// What `transfer-encoding` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Others, of which the last is chunked.
    Others,
}

impl<'a> Meaning<'a> {
    /// Looks through the fields. Lengths of names sort out nearly all before they are compared.
    fn of(fields: &[httparse::Header<'a>]) -> Result<Self, Fault> {
        let mut meaning = Self::default();
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                4 if is("host") => once(&mut meaning.host, field.value, "there are two host fields")?,
                6 if is("expect") => once(&mut meaning.expect, field.value, "there are two expect fields")?,
                10 if is("connection") => meaning.connection(field.value),
                14 if is("content-length") => {
                    once(&mut meaning.length, length(field.value)?, "there are two content-length fields")?;
                }
                17 if is("transfer-encoding") => {
                    once(&mut meaning.coding, coding(field.value)?, "there are two transfer-encoding fields")?;
                }
                _ => {}
            }
        }
        Ok(meaning)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }

    /// How the body is framed, if the fields say so (RFC 9112, section 6.3).
    fn framing(&self, version: Version) -> Result<Option<Framing>, Fault> {
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err(Fault::Malformed("content-length and transfer-encoding contradict each other")),
            (Some(_), None) if version == Version::Http10 => Err(Fault::Malformed("HTTP/1.0 has no transfer-encoding")),
            (Some(Coding::Others), None) => Err(Fault::Unsupported("no transfer-encoding but chunked is known here")),
            (Some(Coding::Chunked), None) => Ok(Some(Framing::Chunked)),
            (None, length) => Ok(length.map(Framing::Length)),
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T, twice: &'static str) -> Result<(), Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::Malformed(twice)),
    }
}

/// A `content-length`: one number of decimal digits, and no list, even of one and the same.
pub(crate) fn length(value: &[u8]) -> Result<u64, Fault> {
    let text = str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or(Fault::Malformed("the content-length is no number"))
}

fn coding(value: &[u8]) -> Result<Coding, Fault> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Coding::Chunked);
    }
    let mut codings = value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match codings.next() {
        Some(last) if last.eq_ignore_ascii_case(b"chunked") => {
            if codings.any(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
                return Err(Fault::Malformed("the body is chunked twice"));
            }
            Ok(Coding::Others)
        }
        _ => Err(Fault::Malformed("the transfer-encoding does not end in chunked")),
    }
}

fn version(minor: u8) -> Result<Version, Fault> {
    match minor {
        0 => Ok(Version::Http10),
        1 => Ok(Version::Http11),
        _ => Err(Fault::Version),
    }
}

/// Host and perhaps port. No user: it would only be there to mislead (RFC 9110, section 4.2.4).
fn authority(value: &[u8]) -> Result<&str, Fault> {
    let text = str::from_utf8(value).ok().filter(|text| is_authority(text));
    text.ok_or(Fault::Malformed("the host is none that can be"))
}

/// Whether this can be a host and perhaps a port (RFC 3986, section 3.2.2): a name, an address, or one of version 6 in brackets.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => (text.get(..colon), text.get(colon + 1..)),
        _ => (Some(text), None),
    };
    let (host, port) = (host.unwrap_or_default(), port.unwrap_or_default());
    let is_host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(Some(address)) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)),
        Some(None) => false,
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)),
    };
    is_host && (port.is_empty() || port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether this can be a path and query as they are sent: ASCII without spaces, control characters and fragments.
pub(crate) fn is_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Splits a target into authority and path (RFC 9112, section 3.2); `host` is what the host field says.
fn split_target<'a>(
    method: &Method,
    target: &'a str,
    host: Option<&'a str>,
) -> Result<(Option<&'a str>, &'a str), Fault> {
    if *method == Method::Connect {
        return Err(Fault::Unsupported("no tunnels are made here"));
    }
    if !is_path(target) {
        return Err(Fault::Malformed("the target has characters that it must not have"));
    }
    if target.starts_with('/') || (target == "*" && *method == Method::Options) {
        return Ok((host, target));
    }
    const SCHEME: &str = "http://";
    let rest = target
        .get(SCHEME.len()..)
        .filter(|_| target.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)));
    let rest = rest.ok_or(Fault::Malformed("the target is neither a path nor an http URI"))?;
    let (named, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len())).unwrap_or_default();
    if named.is_empty() || !is_authority(named) || !host.is_none_or(|host| host.eq_ignore_ascii_case(named)) {
        return Err(Fault::Malformed("the target names another host than the host field, or none"));
    }
    match (path, method) {
        ("", Method::Options) => Ok((Some(named), "*")),
        ("", _) => Ok((Some(named), "/")),
        (path, _) if path.starts_with('/') => Ok((Some(named), path)),
        _ => Err(Fault::Malformed("the target has a query but no path")),
    }
}

fn headers(block: &[u8], fields: &[httparse::Header<'_>]) -> Headers {
    let mut headers = Headers::of_block(block, fields.len());
    for field in fields {
        headers.push_slices(block, field.name.as_bytes(), field.value);
    }
    headers
}

fn fault(error: httparse::Error) -> Fault {
    match error {
        httparse::Error::HeaderName => Fault::Malformed("a field's name is no token, or a line is folded"),
        httparse::Error::HeaderValue => Fault::Malformed("a field's value has control characters"),
        httparse::Error::NewLine => Fault::Malformed("a line ends without a carriage return"),
        httparse::Error::Status => Fault::Malformed("the answer's status code is no number of three digits"),
        httparse::Error::Token => Fault::Malformed("the first line is none of HTTP"),
        httparse::Error::TooManyHeaders => Fault::HeadTooLarge,
        httparse::Error::Version => Fault::Version,
    }
}
