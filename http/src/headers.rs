//! Header and trailer fields: ordered, with names that are compared without case and values that are bytes.
//!
//! All names and values lie in one block of bytes, and a field is where they are in it: the fields of a message that came are one copy
//! of its head, whatever their number. What was removed stays in the block until it is half of it.

use crate::limits::{MAX_FIELDS, MAX_FIELDS_BYTES};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Garbage in the block that is not worth the work of removing it, in bytes.
const MAX_GARBAGE_BYTES: usize = 1 << 10;

/// Fields of a head, or trailers. Each name is a token (RFC 9110, section 5.6.2) and each value has no control characters but
/// tabs, and no white space around it: they can be sent as they are.
#[derive(Clone, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// Where a field is in [`Headers::bytes`].
#[derive(Clone, Copy)]
struct Field {
    name: u32,
    name_bytes: u32,
    value: u32,
    value_bytes: u32,
}

/// Why a field was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The name is no token, or the value has control characters.
    Syntax,
    /// More than [`MAX_FIELDS`] fields or [`MAX_FIELDS_BYTES`] bytes.
    TooLarge,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("a field's name must be a token and its value without control characters"),
            Self::TooLarge => write!(f, "more than {MAX_FIELDS} fields or {MAX_FIELDS_BYTES} bytes of them"),
        }
    }
}

impl core::error::Error for HeaderError {}

impl Headers {
    /// No fields.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), fields: Vec::new() }
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// All fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.raw().map(|(name, value)| (str::from_utf8(name).unwrap_or_default(), value))
    }

    /// All fields, names as bytes.
    pub(crate) fn raw(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|field| (self.part(field.name, field.name_bytes), self.part(field.value, field.value_bytes)))
    }

    /// All values of a name, in their order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.raw().filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.raw().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Adds a field. White space around the value is no part of it (RFC 9110, section 5.5).
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HeaderError> {
        let value = trimmed(value);
        if !is_token(name.as_bytes()) || !is_value(value) {
            return Err(HeaderError::Syntax);
        }
        if self.len() == MAX_FIELDS || self.live_bytes() + name.len() + value.len() > MAX_FIELDS_BYTES {
            return Err(HeaderError::TooLarge);
        }
        let at = self.bytes.len() as u32;
        let (name_bytes, value_bytes) = (name.len() as u32, value.len() as u32);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(value);
        self.fields.push(Field { name: at, name_bytes, value: at + name_bytes, value_bytes });
        Ok(())
    }

    /// Removes all fields of a name; whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.len();
        self.retain(|found| !found.eq_ignore_ascii_case(name));
        self.len() < before
    }

    /// Removes all fields but those whose names are to be kept.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let name = |field: &Field| str::from_utf8(part(&self.bytes, field.name, field.name_bytes)).unwrap_or_default();
        self.fields.retain(|field| keep(name(field)));
        if self.bytes.len() > 2 * self.live_bytes() + MAX_GARBAGE_BYTES {
            self.compact();
        }
    }

    /// Takes over a head's bytes, for [`Headers::push_slices`].
    pub(crate) fn of_block(block: &[u8], fields: usize) -> Self {
        Self { bytes: block.to_vec(), fields: Vec::with_capacity(fields) }
    }

    /// Adds a field whose name and value lie in `block`, the one that was given to [`Headers::of_block`]; the parser has checked them. The
    /// name becomes lower case, as in the later versions of HTTP: apps compare names of what they receive as they are.
    pub(crate) fn push_slices(&mut self, block: &[u8], name: &[u8], value: &[u8]) {
        let offset = |part: &[u8]| (part.as_ptr().addr().wrapping_sub(block.as_ptr().addr())) as u32;
        let at = offset(name) as usize;
        self.bytes.get_mut(at..at + name.len()).into_iter().for_each(<[u8]>::make_ascii_lowercase);
        self.fields.push(Field {
            name: offset(name),
            name_bytes: name.len() as u32,
            value: offset(value),
            value_bytes: value.len() as u32,
        });
    }

    fn part(&self, at: u32, length: u32) -> &[u8] {
        part(&self.bytes, at, length)
    }

    fn live_bytes(&self) -> usize {
        self.fields.iter().map(|field| (field.name_bytes + field.value_bytes) as usize).sum()
    }

    fn compact(&mut self) {
        let mut bytes = Vec::with_capacity(self.live_bytes());
        for field in &mut self.fields {
            let at = bytes.len() as u32;
            bytes.extend_from_slice(part(&self.bytes, field.name, field.name_bytes));
            bytes.extend_from_slice(part(&self.bytes, field.value, field.value_bytes));
            (field.name, field.value) = (at, at + field.name_bytes);
        }
        self.bytes = bytes;
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        let mut others = other.raw();
        let is_next = |(name, value): (&[u8], &[u8])| {
            others.next().is_some_and(|(other, its)| name.eq_ignore_ascii_case(other) && value == its)
        };
        self.len() == other.len() && self.raw().all(is_next)
    }
}

impl Eq for Headers {}

fn part(bytes: &[u8], at: u32, length: u32) -> &[u8] {
    let at = at as usize;
    bytes.get(at..at + length as usize).unwrap_or_default()
}

/// Whether only the host may set a field: those that say how a message is framed or what becomes of the connection (RFC 9110, section 7.6.1), and
/// `host`, which is a request's authority. `wasi:http` leaves to the host which fields it forbids.
pub fn is_forbidden(name: &str) -> bool {
    is_forbidden_bytes(name.as_bytes())
}

/// [`is_forbidden`] without the certainty that it is text. The length sorts out nearly all names before they are compared.
pub(crate) fn is_forbidden_bytes(name: &[u8]) -> bool {
    let is = |forbidden: &str| name.eq_ignore_ascii_case(forbidden.as_bytes());
    match name.len() {
        2 => is("te"),
        4 => is("host"),
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        14 => is("http2-settings"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        _ => false,
    }
}

/// Whether this is a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(headers: &Headers) -> Vec<(&str, &[u8])> {
        headers.iter().collect()
    }

    #[test]
    fn names_are_compared_without_case_and_kept_with_it() {
        let mut headers = Headers::new();
        for (name, value) in [("X-One", "1"), ("two", "2"), ("x-ONE", "3")] {
            headers.append(name, value.as_bytes()).unwrap();
        }
        assert_eq!(all(&headers), [("X-One", &b"1"[..]), ("two", b"2"), ("x-ONE", b"3")]);
        assert_eq!(headers.get("X-ONE"), Some(&b"1"[..]));
        assert_eq!(headers.get_all("x-one").collect::<Vec<_>>(), [b"1", b"3"]);
        assert!(headers.remove("X-one"));
        assert!(!headers.remove("X-one"));
        assert_eq!(all(&headers), [("two", &b"2"[..])]);
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let mut headers = Headers::new();
        for name in ["", "a b", "a:", "a\r\nb", "a\0", "\u{e9}", "(x)", "x\""] {
            assert_eq!(headers.append(name, b"v"), Err(HeaderError::Syntax), "{name:?}");
        }
        for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\u{7f}", "\u{1b}", "a\r\n", "\n"] {
            assert_eq!(headers.append("x", value.as_bytes()), Err(HeaderError::Syntax), "{value:?}");
        }
        headers.append("x", b" \t\xff b\tc\t ").unwrap();
        assert_eq!(all(&headers), [("x", &b"\xff b\tc"[..])]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut headers = Headers::new();
        for _ in 0..MAX_FIELDS {
            headers.append("x", b"y").unwrap();
        }
        assert_eq!(headers.append("x", b"y"), Err(HeaderError::TooLarge));
        // Setting a field over and over keeps its last value only.
        headers.remove("x");
        let value = [b'v'; 1000];
        for _ in 0..1000 {
            headers.remove("x");
            headers.append("x", &value).unwrap();
        }
        assert!(headers.bytes.len() < 10_000, "{}", headers.bytes.len());
        assert_eq!(all(&headers), [("x", &value[..])]);
        assert_eq!(headers.append("y", &[b'v'; MAX_FIELDS_BYTES]), Err(HeaderError::TooLarge));
    }

    #[test]
    fn forbidden_names() {
        for name in ["Connection", "HOST", "te", "Transfer-Encoding", "keep-alive", "Proxy-Connection", "upgrade"] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in ["content-length", "date", "x-connection", "hos", ""] {
            assert!(!is_forbidden(name), "{name}");
        }
    }
}
