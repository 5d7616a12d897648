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

type Changed = core::result::Result<(), HeaderError>;

/// Why an app ends that makes too many fields: there is no way to tell it.
const TOO_LARGE: &str = "the app made headers or trailers of more than 100 fields or 64 KiB";

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

    /// All fields that an app may see: of what came, those of the connection are left out.
    fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().filter(|(name, _)| !is_forbidden(name))
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_all(if is_forbidden(name) { "" } else { name })
    }

    /// Changes a field's values: what goes wrong for the guest, and outside of it what ends the guest. Nothing changes if a value is
    /// wrong.
    fn change<V: AsRef<[u8]>>(&mut self, name: &str, keep: bool, values: &[V]) -> Result<Changed> {
        if self.immutable {
            return Ok(Err(HeaderError::Immutable));
        }
        if is_forbidden(name) {
            return Ok(Err(HeaderError::Forbidden));
        }
        // Readers that take different ones of two lengths see different messages.
        let kept = usize::from(keep && is_content_length(name) && self.values(name).next().is_some());
        let is_number = |value: &V| !value.as_ref().is_empty() && value.as_ref().iter().all(u8::is_ascii_digit);
        if is_content_length(name) && (kept + values.len() > 1 || !values.iter().all(is_number)) {
            return Ok(Err(HeaderError::InvalidSyntax));
        }
        // The name is checked even where there is no value.
        let mut headers = Headers::new();
        let check = |error| match error {
            mwasm_http::HeaderError::Syntax => Ok(Err(HeaderError::InvalidSyntax)),
            mwasm_http::HeaderError::TooLarge => Err(Error::msg(TOO_LARGE)),
        };
        if values.is_empty()
            && let Err(error) = headers.append(name, b"")
        {
            return check(error);
        }
        let old = Arc::make_mut(&mut self.headers);
        if !keep {
            headers = old.clone();
            headers.remove(name);
            for value in values {
                if let Err(error) = headers.append(name, value.as_ref()) {
                    return check(error);
                }
            }
            *old = headers;
            return Ok(Ok(()));
        }
        values.iter().try_for_each(|value| old.append(name, value.as_ref())).map_or_else(check, |()| Ok(Ok(())))
    }

    /// Adds a value.
    fn append(&mut self, name: &str, value: &[u8]) -> Result<Changed> {
        self.change(name, true, &[value])
    }
}

type Handle = Resource<Fields>;

/// What a function that can fail returns.
type Answer<T> = Result<(core::result::Result<T, HeaderError>,)>;

pub(super) fn new(mut context: Context<'_>, (): ()) -> Result<(Handle,)> {
    Ok((context.data_mut().table.push(Fields::default())?,))
}

pub(super) fn from_list(mut context: Context<'_>, (list,): (Vec<(String, Vec<u8>)>,)) -> Answer<Handle> {
    let mut fields = Fields::default();
    for (name, value) in list {
        if let Err(error) = fields.append(&name, &value)? {
            return Ok((Err(error),));
        }
    }
    Ok((Ok(context.data_mut().table.push(fields)?),))
}

pub(super) fn get(context: Context<'_>, (fields, name): (Handle, WasmStr)) -> Result<(Vec<Vec<u8>>,)> {
    let name = name.to_str(&context)?;
    Ok((context.data().table.get(&fields)?.values(&name).map(Vec::from).collect(),))
}

pub(super) fn has(context: Context<'_>, (fields, name): (Handle, WasmStr)) -> Result<(bool,)> {
    let name = name.to_str(&context)?;
    Ok((context.data().table.get(&fields)?.values(&name).next().is_some(),))
}

pub(super) fn set(
    mut context: Context<'_>,
    (fields, name, values): (Handle, String, Vec<Vec<u8>>),
) -> Answer<()> {
    Ok((context.data_mut().table.get_mut(&fields)?.change(&name, false, &values)?,))
}

pub(super) fn delete(mut context: Context<'_>, (fields, name): (Handle, String)) -> Answer<()> {
    Ok((context.data_mut().table.get_mut(&fields)?.change::<&[u8]>(&name, false, &[])?,))
}

pub(super) fn append(mut context: Context<'_>, (fields, name, value): (Handle, String, Vec<u8>)) -> Answer<()> {
    Ok((context.data_mut().table.get_mut(&fields)?.append(&name, &value)?,))
}

pub(super) fn entries(context: Context<'_>, (fields,): (Handle,)) -> Result<(Vec<(String, Vec<u8>)>,)> {
    let fields = context.data().table.get(&fields)?;
    Ok((fields.iter().map(|(name, value)| (name.into(), value.into())).collect(),))
}

pub(super) fn clone(mut context: Context<'_>, (fields,): (Handle,)) -> Result<(Handle,)> {
    let mut fields = context.data().table.get(&fields)?.clone();
    if fields.immutable {
        let mut headers = Headers::new();
        for (name, value) in fields.iter() {
            headers.append(name, value).map_err(|_| Error::msg(TOO_LARGE))?;
        }
        fields = Fields { headers: Arc::new(headers), immutable: false };
    }
    Ok((context.data_mut().table.push(fields)?,))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(fields: &mut Fields, name: &str, value: &[u8]) -> Changed {
        fields.append(name, value).unwrap()
    }

    #[test]
    fn names_have_no_case_but_keep_theirs() {
        let mut fields = Fields::default();
        assert_eq!(appended(&mut fields, "Content-Type", b"a"), Ok(()));
        assert_eq!(appended(&mut fields, "content-type", b"b"), Ok(()));
        assert_eq!(fields.values("CONTENT-TYPE").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["Content-Type", "content-type"]);
        assert_eq!(fields.change("Content-type", false, &[b"c"]).unwrap(), Ok(()));
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("Content-type", &b"c"[..])]);
        assert_eq!(fields.change::<&[u8]>("content-TYPE", false, &[]).unwrap(), Ok(()));
        assert_eq!(fields.iter().count(), 0);
    }

    #[test]
    fn what_would_split_a_head_is_refused() {
        let mut fields = Fields::default();
        for (name, value) in
            [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\ny: z"), ("a", "\0"), ("content-length", "+1")]
        {
            assert_eq!(appended(&mut fields, name, value.as_bytes()), Err(HeaderError::InvalidSyntax), "{name}: {value}");
        }
        assert_eq!(fields.change::<&[u8]>("a b", false, &[]).unwrap(), Err(HeaderError::InvalidSyntax));
        assert_eq!(appended(&mut fields, "Transfer-Encoding", b"chunked"), Err(HeaderError::Forbidden));
        assert_eq!(appended(&mut fields, "Content-Length", b"5"), Ok(()));
        assert_eq!(appended(&mut fields, "content-length", b"6"), Err(HeaderError::InvalidSyntax));
        assert_eq!(fields.change("content-length", false, &[b"6"]).unwrap(), Ok(()));
    }

    #[test]
    fn a_wrong_value_leaves_the_old_ones() {
        let mut fields = Fields::default();
        assert_eq!(appended(&mut fields, "a", b"1"), Ok(()));
        assert_eq!(fields.change("a", false, &[&b"2"[..], b"\n"]).unwrap(), Err(HeaderError::InvalidSyntax));
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
        assert_eq!(appended(&mut fields, "b", b""), Err(HeaderError::Immutable));
    }

    #[test]
    fn an_app_cannot_fill_the_host_with_fields() {
        let mut fields = Fields::default();
        let fit = (0..).take_while(|_| matches!(fields.append("a", b"x"), Ok(Ok(())))).count();
        assert_eq!(fit, mwasm_http::MAX_FIELDS);
    }
}
