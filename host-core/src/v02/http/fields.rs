//! `wasi:http/types.fields`: headers and trailers.
//!
//! Fields are shared until somebody changes them, so that handing the headers of a request to the guest, or those of a response to
//! the connection, copies nothing. What comes from elsewhere is immutable for the guest; what it makes itself it may change until it
//! gives it away.

use crate::interface::Context;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mwasm_http::{Headers, is_forbidden};
use wasmtime::component::{ComponentType, Lift, Lower, Resource, WasmStr};
use wasmtime::{Error, Result};

/// `wasi:http/types.fields`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    headers: Arc<Headers>,
    immutable: bool,
}

/// `wasi:http/types.header-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum HeaderError {
    #[component(name = "invalid-syntax")]
    InvalidSyntax,
    #[component(name = "forbidden")]
    Forbidden,
    #[component(name = "immutable")]
    Immutable,
}

/// Why fields were not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A name or value cannot be sent.
    Syntax,
    /// Only the host may set this field.
    Forbidden,
    /// These fields are the guest's to read only.
    Immutable,
    /// There would be too many, or too large ones.
    TooLarge,
}

impl From<mwasm_http::HeaderError> for Refused {
    fn from(error: mwasm_http::HeaderError) -> Self {
        match error {
            mwasm_http::HeaderError::Syntax => Self::Syntax,
            mwasm_http::HeaderError::TooLarge => Self::TooLarge,
        }
    }
}

/// What a change comes to.
pub(crate) type Changed = core::result::Result<(), Refused>;

/// Why an app ends that makes too many fields: at 0.2 there is no way to tell it.
const TOO_LARGE: &str = "the app made headers or trailers of more than 100 fields or 64 KiB";

/// What the guest is told of a change.
fn told<T>(changed: core::result::Result<T, Refused>) -> Result<core::result::Result<T, HeaderError>> {
    changed.map(Ok).or_else(|refused| match refused {
        Refused::Syntax => Ok(Err(HeaderError::InvalidSyntax)),
        Refused::Forbidden => Ok(Err(HeaderError::Forbidden)),
        Refused::Immutable => Ok(Err(HeaderError::Immutable)),
        Refused::TooLarge => Err(Error::msg(TOO_LARGE)),
    })
}

fn is_content_length(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length")
}

impl Fields {
    /// For the guest to read.
    pub fn immutable(headers: Arc<Headers>) -> Self {
        Self { headers, immutable: true }
    }

    /// What is in them, for a message.
    pub fn headers(&self) -> &Arc<Headers> {
        &self.headers
    }

    /// What is in them, for another message: without the fields that concern the connection they came on.
    pub fn sendable(&self) -> Arc<Headers> {
        let mut headers = self.headers.clone();
        if headers.iter().any(|(name, _)| is_forbidden(name)) {
            Arc::make_mut(&mut headers).retain(|name| !is_forbidden(name));
        }
        headers
    }

    /// All fields that an app may see: of what came, those of the connection are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().filter(|(name, _)| !is_forbidden(name))
    }

    /// All values of a name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_all(if is_forbidden(name) { "" } else { name })
    }

    /// Sets a field's values, after those that it has if they are to be kept. Nothing changes if a value is wrong.
    pub fn change<V: AsRef<[u8]>>(&mut self, name: &str, keep: bool, values: &[V]) -> Changed {
        if self.immutable {
            return Err(Refused::Immutable);
        }
        if is_forbidden(name) {
            return Err(Refused::Forbidden);
        }
        // Readers that take different ones of two lengths see different messages.
        let kept = usize::from(keep && is_content_length(name) && self.values(name).next().is_some());
        let is_number = |value: &V| !value.as_ref().is_empty() && value.as_ref().iter().all(u8::is_ascii_digit);
        if is_content_length(name) && (kept + values.len() > 1 || !values.iter().all(is_number)) {
            return Err(Refused::Syntax);
        }
        if values.is_empty() {
            // The name is checked even where there is no value.
            Headers::new().append(name, b"")?;
        }
        let old = Arc::make_mut(&mut self.headers);
        if keep {
            return Ok(values.iter().try_for_each(|value| old.append(name, value.as_ref()))?);
        }
        let mut new = old.clone();
        new.remove(name);
        values.iter().try_for_each(|value| new.append(name, value.as_ref()))?;
        *old = new;
        Ok(())
    }

    /// Adds a value.
    pub fn append(&mut self, name: &str, value: &[u8]) -> Changed {
        self.change(name, true, &[value])
    }

    /// Fields of those names and values, in that order.
    pub fn of(list: impl IntoIterator<Item = (String, Vec<u8>)>) -> core::result::Result<Self, Refused> {
        let mut fields = Self::default();
        list.into_iter().try_for_each(|(name, value)| fields.append(&name, &value))?;
        Ok(fields)
    }

    /// The same ones, for the guest to change.
    pub fn copy(&self) -> core::result::Result<Self, Refused> {
        if !self.immutable {
            return Ok(self.clone());
        }
        let mut headers = Headers::new();
        self.iter().try_for_each(|(name, value)| headers.append(name, value))?;
        Ok(Self { headers: Arc::new(headers), immutable: false })
    }
}

type Handle = Resource<Fields>;

/// What a function that can fail returns.
type Answer<T> = Result<(core::result::Result<T, HeaderError>,)>;

pub(crate) fn new(mut context: Context<'_>, (): ()) -> Result<(Handle,)> {
    Ok((context.data_mut().table.push(Fields::default())?,))
}

pub(super) fn from_list(mut context: Context<'_>, (list,): (Vec<(String, Vec<u8>)>,)) -> Answer<Handle> {
    Ok((match told(Fields::of(list))? {
        Ok(fields) => Ok(context.data_mut().table.push(fields)?),
        Err(error) => Err(error),
    },))
}

pub(crate) fn get(context: Context<'_>, (fields, name): (Handle, WasmStr)) -> Result<(Vec<Vec<u8>>,)> {
    let name = name.to_str(&context)?;
    Ok((context.data().table.get(&fields)?.values(&name).map(Vec::from).collect(),))
}

pub(crate) fn has(context: Context<'_>, (fields, name): (Handle, WasmStr)) -> Result<(bool,)> {
    let name = name.to_str(&context)?;
    Ok((context.data().table.get(&fields)?.values(&name).next().is_some(),))
}

pub(super) fn set(mut context: Context<'_>, (fields, name, values): (Handle, String, Vec<Vec<u8>>)) -> Answer<()> {
    Ok((told(context.data_mut().table.get_mut(&fields)?.change(&name, false, &values))?,))
}

pub(super) fn delete(mut context: Context<'_>, (fields, name): (Handle, String)) -> Answer<()> {
    Ok((told(context.data_mut().table.get_mut(&fields)?.change::<&[u8]>(&name, false, &[]))?,))
}

pub(super) fn append(mut context: Context<'_>, (fields, name, value): (Handle, String, Vec<u8>)) -> Answer<()> {
    Ok((told(context.data_mut().table.get_mut(&fields)?.append(&name, &value))?,))
}

/// All fields, as lists of names and values.
type Entries = Vec<(String, Vec<u8>)>;

pub(super) fn entries(context: Context<'_>, (fields,): (Handle,)) -> Result<(Entries,)> {
    let fields = context.data().table.get(&fields)?;
    Ok((fields.iter().map(|(name, value)| (name.into(), value.into())).collect(),))
}

pub(super) fn clone(mut context: Context<'_>, (fields,): (Handle,)) -> Result<(Handle,)> {
    let copy = context.data().table.get(&fields)?.copy();
    let fields = copy.map_err(|_| Error::msg(TOO_LARGE))?;
    Ok((context.data_mut().table.push(fields)?,))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_but_keep_theirs() {
        let mut fields = Fields::default();
        assert_eq!(fields.append("Content-Type", b"a"), Ok(()));
        assert_eq!(fields.append("content-type", b"b"), Ok(()));
        assert_eq!(fields.values("CONTENT-TYPE").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["Content-Type", "content-type"]);
        assert_eq!(fields.change("Content-type", false, &[b"c"]), Ok(()));
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("Content-type", &b"c"[..])]);
        assert_eq!(fields.change::<&[u8]>("content-TYPE", false, &[]), Ok(()));
        assert_eq!(fields.iter().count(), 0);
    }

    #[test]
    fn what_would_split_a_head_is_refused() {
        let mut fields = Fields::default();
        for (name, value) in
            [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\ny: z"), ("a", "\0"), ("content-length", "+1")]
        {
            assert_eq!(fields.append(name, value.as_bytes()), Err(Refused::Syntax), "{name}: {value}");
        }
        assert_eq!(fields.change::<&[u8]>("a b", false, &[]), Err(Refused::Syntax));
        assert_eq!(fields.append("Transfer-Encoding", b"chunked"), Err(Refused::Forbidden));
        assert_eq!(fields.append("Content-Length", b"5"), Ok(()));
        assert_eq!(fields.append("content-length", b"6"), Err(Refused::Syntax));
        assert_eq!(fields.change("content-length", false, &[b"6"]), Ok(()));
    }

    #[test]
    fn a_wrong_value_leaves_the_old_ones() {
        let mut fields = Fields::default();
        assert_eq!(fields.append("a", b"1"), Ok(()));
        assert_eq!(fields.change("a", false, &[&b"2"[..], b"\n"]), Err(Refused::Syntax));
        assert_eq!(fields.values("a").collect::<Vec<_>>(), [b"1"]);
    }

    #[test]
    fn what_came_cannot_be_changed_and_hides_the_connection() {
        let mut headers = Headers::new();
        for (name, value) in [("Host", "x"), ("A", "1"), ("connection", "close")] {
            headers.append(name, value.as_bytes()).unwrap();
        }
        let mut fields = Fields::immutable(Arc::new(headers));
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("A", &b"1"[..])]);
        assert_eq!(fields.values("host").count(), 0);
        assert_eq!(fields.append("b", b""), Err(Refused::Immutable));
    }

    #[test]
    fn an_app_cannot_fill_the_host_with_fields() {
        let mut fields = Fields::default();
        let fit = (0..).take_while(|_| fields.append("a", b"x").is_ok()).count();
        assert_eq!(fit, mwasm_http::MAX_FIELDS);
    }
}
