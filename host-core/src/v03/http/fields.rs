//! `wasi:http/types.fields`: the same fields as at 0.2 ([`crate::v02::http::fields`]), with a name for each refusal.

use crate::interface::Context;
use crate::v02::http::fields::{Fields, Refused};
use alloc::string::String;
use alloc::vec::Vec;
use wasmtime::component::{ComponentType, Lift, Lower, Resource};
use wasmtime::{Error, Result};

pub(super) use crate::v02::http::fields::{get, has, new};

/// `wasi:http/types.header-error`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum HeaderError {
    #[component(name = "invalid-syntax")]
    InvalidSyntax,
    #[component(name = "forbidden")]
    Forbidden,
    #[component(name = "immutable")]
    Immutable,
    #[component(name = "size-exceeded")]
    SizeExceeded,
    #[component(name = "other")]
    #[allow(dead_code, reason = "the type must have all cases of the specification")]
    Other(Option<String>),
}

impl From<Refused> for HeaderError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Syntax => Self::InvalidSyntax,
            Refused::Forbidden => Self::Forbidden,
            Refused::Immutable => Self::Immutable,
            Refused::TooLarge => Self::SizeExceeded,
        }
    }
}

type Handle = Resource<Fields>;
/// What a function that can fail returns.
type Answer<T> = Result<(core::result::Result<T, HeaderError>,)>;

pub(super) fn from_list(mut context: Context<'_>, (list,): (Vec<(String, Vec<u8>)>,)) -> Answer<Handle> {
    Ok((match Fields::of(list) {
        Ok(fields) => Ok(context.data_mut().table.push(fields)?),
        Err(refused) => Err(refused.into()),
    },))
}

pub(super) fn set(mut context: Context<'_>, (fields, name, values): (Handle, String, Vec<Vec<u8>>)) -> Answer<()> {
    let changed = context.data_mut().table.get_mut(&fields)?.change(&name, false, &values);
    Ok((changed.map_err(HeaderError::from),))
}

pub(super) fn delete(mut context: Context<'_>, (fields, name): (Handle, String)) -> Answer<()> {
    let changed = context.data_mut().table.get_mut(&fields)?.change::<&[u8]>(&name, false, &[]);
    Ok((changed.map_err(HeaderError::from),))
}

pub(super) fn get_and_delete(mut context: Context<'_>, (fields, name): (Handle, String)) -> Answer<Vec<Vec<u8>>> {
    let fields = context.data_mut().table.get_mut(&fields)?;
    let values = fields.values(&name).map(Vec::from).collect();
    Ok((fields.change::<&[u8]>(&name, false, &[]).map(|()| values).map_err(HeaderError::from),))
}

pub(super) fn append(mut context: Context<'_>, (fields, name, value): (Handle, String, Vec<u8>)) -> Answer<()> {
    let changed = context.data_mut().table.get_mut(&fields)?.append(&name, &value);
    Ok((changed.map_err(HeaderError::from),))
}

/// All fields, as lists of names and values.
type Entries = Vec<(String, Vec<u8>)>;

pub(super) fn copy_all(context: Context<'_>, (fields,): (Handle,)) -> Result<(Entries,)> {
    let fields = context.data().table.get(&fields)?;
    Ok((fields.iter().map(|(name, value)| (name.into(), value.into())).collect(),))
}

pub(super) fn clone(mut context: Context<'_>, (fields,): (Handle,)) -> Result<(Handle,)> {
    let copy = context.data().table.get(&fields)?.copy();
    let fields = copy.map_err(|_| Error::msg("the fields are too large to be copied"))?;
    Ok((context.data_mut().table.push(fields)?,))
}
