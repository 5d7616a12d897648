//! Interfaces that this image does not serve but that its app imports all the same.
//!
//! Python and StarlingMonkey import the whole of `wasi:sockets` (and some `wasi:http`) whether they use it or not. Such an app must
//! start, and if it is granted nothing its image has no network. It must learn that from the interface's own error when it tries. So each
//! function is answered by one that looks at the type of its result and returns the error case that says "denied", or what comes nearest.
//! No socket can ever be made; a function that could only be called on one, or that has no way to say no, ends the app with a message.
//!
//! The fuse stage registers the items of such interfaces with the symbols `mwasm:refused#...`, one for each kind of item.

use crate::State;
use crate::interface::handle;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{LinkerInstance, Type, Val};
use wasmtime::{Error, Result};

/// Every resource of a refused interface.
pub(crate) struct Refused;

/// Error cases that say no, best first.
const CASES: &[&str] = &[
    "access-denied",
    "HTTP-request-denied",
    "denied",
    "not-supported",
    "unsupported",
    "internal-error",
    "name-unresolvable",
    "other",
];

/// Defines a resource of which there is never one.
#[unsafe(export_name = "mwasm:refused#resource")]
pub(crate) fn refuse_resource(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    handle::<Refused>(instance, name)
}

/// Defines a function, refused.
#[unsafe(export_name = "mwasm:refused#function")]
pub(crate) fn refuse(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    let owned = String::from(name);
    instance.func_new(name, move |_, ty, _, results| answer(&owned, &ty, results))
}

/// Defines an async function, refused.
#[cfg(feature = "component-model-async")]
#[unsafe(export_name = "mwasm:refused#async-function")]
pub(crate) fn refuse_async(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    let owned = String::from(name);
    instance.func_new_concurrent(name, move |_, ty, _, results| {
        let answered = answer(&owned, &ty, results);
        Box::pin(async move { answered })
    })
}

fn answer(name: &str, ty: &ComponentFunc, results: &mut [Val]) -> Result<()> {
    let refusal = match ty.results().next() {
        Some(Type::Result(result)) => result.err().and_then(|error| error_case(&error)),
        Some(Type::Option(_)) => {
            return set(name, results, Val::Option(None));
        }
        _ => None,
    };
    let Some(error) = refusal else {
        return Err(Error::msg(format!("the app called '{name}', but this image has no network")));
    };
    set(name, results, Val::Result(Err(Some(Box::new(error)))))
}

fn set(name: &str, results: &mut [Val], value: Val) -> Result<()> {
    let slot = results.first_mut().ok_or_else(|| Error::msg(format!("'{name}' has no result")))?;
    *slot = value;
    Ok(())
}

/// The case of an error type that says no best.
fn error_case(error: &Type) -> Option<Val> {
    match error {
        Type::Enum(cases) => {
            let name = CASES.iter().find(|wanted| cases.names().any(|name| name == **wanted))?;
            Some(Val::Enum(String::from(*name)))
        }
        Type::Variant(variant) => {
            let found = CASES.iter().find_map(|wanted| variant.cases().find(|case| case.name == *wanted))?;
            let payload = match found.ty {
                None => None,
                Some(Type::Option(_)) => Some(Box::new(Val::Option(None))),
                Some(Type::String) => Some(Box::new(Val::String("this image has no network".into()))),
                Some(_) => return None,
            };
            Some(Val::Variant(String::from(found.name), payload))
        }
        _ => None,
    }
}
