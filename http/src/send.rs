//! What goes on a connection: heads and bodies, gathered in a buffer.
//!
//! A head whose body has no known length is written without the field that frames it. The field is put in when the first bytes are
//! asked for to be sent: by then the body is often finished, and its length known; otherwise it goes on in chunks.

use crate::BodyLength;
use crate::date::Date;
use crate::fault::SendError;
use crate::head::{Method, RequestHead};
use crate::headers::{Headers, is_forbidden_bytes};
use crate::limits::SEND_BUFFER_BYTES;
use crate::parse;
use alloc::vec::Vec;

/// How the body that is being sent is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// No message is being sent.
    Idle,
    /// Not decided: the head ends at `head_end`, without its empty line; what follows is the body. If there is none
    /// and `may_be_none`, no length is said.
    Undecided { head_end: usize, may_be_none: bool },
    /// So many bytes are to follow.
    Length(u64),
    /// In chunks.
    Chunked,
    /// To the end of the connection.
    UntilEnd,
    /// Not sent at all.
    Nowhere,
}

#[derive(Debug)]
pub(crate) struct Sender {
    buffer: Vec<u8>,
    /// How much of the buffer was sent.
    sent: usize,
    framing: Framing,
    /// The connection stays open after this message.
    pub(crate) keep_alive: bool,
    /// The message goes to a client at HTTP/1.0: no chunks, and staying open is to be said.
    pub(crate) http10: bool,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), sent: 0, framing: Framing::Idle, keep_alive: true, http10: false }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.framing != Framing::Idle
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.sent == self.buffer.len()
    }

    /// Asks for a body that waits to be asked for.
    pub(crate) fn go_on(&mut self) {
        self.buffer.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Begins an answer; `bodiless` if it is to HEAD.
    pub(crate) fn response(
        &mut self,
        status: u16,
        headers: &Headers,
        length: BodyLength,
        date: Option<&Date>,
        bodiless: bool,
    ) -> Result<(), SendError> {
        if !(200..=999).contains(&status) {
            return Err(SendError::Status);
        }
        let before = self.begin()?;
        self.status_line(status);
        let result = self.fields(headers, date).and_then(|declared| {
            let known = declared_length(declared, length)?;
            if bodiless || status == 204 || status == 304 {
                // What the body would be like may be said all the same, except that 204 has none by its meaning.
                let is_said = status != 204 && (declared.is_some() || length != BodyLength::None);
                self.end_head(known.filter(|_| is_said), Framing::Nowhere);
                return Ok(());
            }
            match known {
                Some(bytes) => self.end_head(Some(bytes), Framing::Length(bytes)),
                None => self.undecided(false),
            }
            Ok(())
        });
        self.or_undo(before, result)
    }

    /// Begins a request.
    pub(crate) fn request(&mut self, head: &RequestHead, length: BodyLength) -> Result<(), SendError> {
        let authority = head.authority.as_deref().unwrap_or_default();
        let is_path = head.path.starts_with('/') || (head.path == "*" && head.method == Method::Options);
        if head.method == Method::Connect || !is_path || !parse::is_path(&head.path) || !parse::is_authority(authority)
        {
            return Err(SendError::Target);
        }
        let before = self.begin()?;
        for part in [head.method.as_str(), " ", &head.path, " HTTP/1.1\r\nhost: ", authority, "\r\n"] {
            self.buffer.extend_from_slice(part.as_bytes());
        }
        // A method that usually has no body needs no length when it has none (RFC 9110, section 8.6).
        let may_be_none =
            matches!(head.method, Method::Get | Method::Head | Method::Delete | Method::Options | Method::Trace);
        let result = self.fields(&head.headers, None).and_then(|declared| {
            match declared_length(declared, length)? {
                Some(0) if may_be_none && declared.is_none() => self.end_head(None, Framing::Length(0)),
                Some(bytes) => self.end_head(Some(bytes), Framing::Length(bytes)),
                None => self.undecided(may_be_none),
            }
            Ok(())
        });
        self.or_undo(before, result)
    }

    /// A whole answer of one line for people.
    pub(crate) fn notice(&mut self, status: u16, why: &str, date: Option<&Date>, bodiless: bool) {
        self.status_line(status);
        self.date(date);
        self.buffer.extend_from_slice(b"content-type: text/plain; charset=utf-8\r\n");
        self.end_head(Some(why.len() as u64 + 1), Framing::Idle);
        if !bodiless {
            self.buffer.extend_from_slice(why.as_bytes());
            self.buffer.push(b'\n');
        }
    }

    fn begin(&mut self) -> Result<usize, SendError> {
        if self.is_open() {
            return Err(SendError::State);
        }
        Ok(self.buffer.len())
    }

    fn or_undo(&mut self, before: usize, result: Result<(), SendError>) -> Result<(), SendError> {
        if result.is_err() {
            self.buffer.truncate(before);
            self.framing = Framing::Idle;
        }
        result
    }

    fn status_line(&mut self, status: u16) {
        self.buffer.extend_from_slice(b"HTTP/1.1 ");
        decimal(&mut self.buffer, u64::from(status));
        self.buffer.push(b' ');
        self.buffer.extend_from_slice(reason(status).as_bytes());
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn date(&mut self, date: Option<&Date>) {
        if let Some(date) = date {
            self.buffer.extend_from_slice(b"date: ");
            self.buffer.extend_from_slice(date.text());
            self.buffer.extend_from_slice(b"\r\n");
        }
    }

    /// Writes the app's fields; returns the `content-length` among them, which is not written yet.
    fn fields(&mut self, headers: &Headers, date: Option<&Date>) -> Result<Option<u64>, SendError> {
        let (mut declared, mut has_date) = (None, false);
        for (name, value) in headers.raw() {
            if name.len() == 14 && name.eq_ignore_ascii_case(b"content-length") {
                let length = parse::length(value).map_err(|_| SendError::ContentLength)?;
                if declared.replace(length).is_some() {
                    return Err(SendError::ContentLength);
                }
                continue;
            }
            if is_forbidden_bytes(name) {
                return Err(SendError::Forbidden);
            }
            has_date |= name.len() == 4 && name.eq_ignore_ascii_case(b"date");
            self.field(name, value);
        }
        if !has_date {
            self.date(date);
        }
        Ok(declared)
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.buffer.reserve(name.len() + value.len() + 4);
        self.buffer.extend_from_slice(name);
        self.buffer.extend_from_slice(b": ");
        self.buffer.extend_from_slice(value);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// Says whether the connection stays open, where that is not understood.
    fn connection(&mut self) {
        match (self.keep_alive, self.http10) {
            (false, _) => self.buffer.extend_from_slice(b"connection: close\r\n"),
            (true, true) => self.buffer.extend_from_slice(b"connection: keep-alive\r\n"),
            (true, false) => {}
        }
    }

    fn end_head(&mut self, length: Option<u64>, framing: Framing) {
        if let Some(bytes) = length {
            self.buffer.extend_from_slice(b"content-length: ");
            decimal(&mut self.buffer, bytes);
            self.buffer.extend_from_slice(b"\r\n");
        }
        self.connection();
        self.buffer.extend_from_slice(b"\r\n");
        self.framing = framing;
    }

    fn undecided(&mut self, may_be_none: bool) {
        self.framing = Framing::Undecided { head_end: self.buffer.len(), may_be_none };
    }

    /// Ends the head before the body that is there already: written behind it, then moved in front of it.
    fn decide(&mut self, is_whole: bool) {
        let Framing::Undecided { head_end, may_be_none } = self.framing else { return };
        let body_end = self.buffer.len();
        let body_bytes = body_end - head_end;
        if is_whole {
            let is_none = may_be_none && body_bytes == 0;
            self.end_head((!is_none).then_some(body_bytes as u64), Framing::Length(0));
        } else if self.http10 {
            self.keep_alive = false;
            self.end_head(None, Framing::UntilEnd);
        } else {
            self.buffer.extend_from_slice(b"transfer-encoding: chunked\r\n");
            self.end_head(None, Framing::Chunked);
            if body_bytes > 0 {
                chunk_line(&mut self.buffer, body_bytes);
            }
        }
        let written = self.buffer.len() - body_end;
        if let Some(rest) = self.buffer.get_mut(head_end..) {
            rest.rotate_right(written);
        }
        if self.framing == Framing::Chunked && body_bytes > 0 {
            self.buffer.extend_from_slice(b"\r\n");
        }
    }

    pub(crate) fn room(&self) -> usize {
        match self.framing {
            Framing::Idle => 0,
            _ => SEND_BUFFER_BYTES.saturating_sub(self.buffer.len() - self.sent),
        }
    }

    pub(crate) fn body(&mut self, bytes: &[u8]) -> Result<usize, SendError> {
        let taken = bytes.get(..bytes.len().min(self.room())).unwrap_or_default();
        match self.framing {
            Framing::Idle => return Err(SendError::State),
            Framing::Nowhere => return Ok(bytes.len()),
            Framing::Length(left) if bytes.len() as u64 > left => return Err(SendError::Length),
            _ if taken.is_empty() => {}
            Framing::Length(left) => {
                self.buffer.extend_from_slice(taken);
                self.framing = Framing::Length(left - taken.len() as u64);
            }
            Framing::Chunked => {
                chunk_line(&mut self.buffer, taken.len());
                self.buffer.extend_from_slice(taken);
                self.buffer.extend_from_slice(b"\r\n");
            }
            Framing::Undecided { .. } | Framing::UntilEnd => self.buffer.extend_from_slice(taken),
        }
        Ok(taken.len())
    }

    pub(crate) fn finish(&mut self, trailers: Option<&Headers>) -> Result<(), SendError> {
        let trailers = trailers.filter(|trailers| !trailers.is_empty());
        let frames = |name: &[u8]| is_forbidden_bytes(name) || name.eq_ignore_ascii_case(b"content-length");
        if trailers.is_some_and(|trailers| trailers.raw().any(|(name, _)| frames(name))) {
            return Err(SendError::Forbidden);
        }
        self.decide(trailers.is_none() || self.http10);
        match self.framing {
            Framing::Idle => return Err(SendError::State),
            Framing::Length(left) if left > 0 => return Err(SendError::Length),
            Framing::Chunked => {
                self.buffer.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flat_map(Headers::raw) {
                    self.field(name, value);
                }
                self.buffer.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        self.framing = Framing::Idle;
        Ok(())
    }

    pub(crate) fn direct(&self) -> u64 {
        match self.framing {
            Framing::Length(left) if self.is_flushed() => left,
            _ => 0,
        }
    }

    pub(crate) fn sent_direct(&mut self, bytes: u64) {
        if let Framing::Length(left) = &mut self.framing {
            *left = left.saturating_sub(bytes);
        }
    }

    pub(crate) fn unsent(&mut self) -> &[u8] {
        self.decide(false);
        self.buffer.get(self.sent..).unwrap_or_default()
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes).min(self.buffer.len());
        if self.is_flushed() && !matches!(self.framing, Framing::Undecided { .. }) {
            self.buffer.clear();
            self.sent = 0;
        }
    }
}

/// The body's length, if a field or the app's host says it.
fn declared_length(declared: Option<u64>, length: BodyLength) -> Result<Option<u64>, SendError> {
    match (declared, length) {
        (Some(declared), BodyLength::Known(known)) if declared != known => Err(SendError::ContentLength),
        (Some(declared), _) => Ok(Some(declared)),
        (None, BodyLength::Known(known)) => Ok(Some(known)),
        (None, BodyLength::None) => Ok(Some(0)),
        (None, BodyLength::Unknown) => Ok(None),
    }
}

fn decimal(buffer: &mut Vec<u8>, mut number: u64) {
    let from = buffer.len();
    loop {
        buffer.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = buffer.get_mut(from..) {
        digits.reverse();
    }
}

fn chunk_line(buffer: &mut Vec<u8>, bytes: usize) {
    let digits = (usize::BITS - bytes.leading_zeros()).div_ceil(4).max(1);
    buffer.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[bytes >> (4 * digit) & 15]));
    buffer.extend_from_slice(b"\r\n");
}

/// The words beside a status code (RFC 9110, section 15); nobody reads them but people.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
