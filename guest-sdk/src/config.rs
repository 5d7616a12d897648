//! Configuration values, typed.
//!
//! ```no_run
//! let port: u16 = mwasm_guest_sdk::config::parse("port")?.unwrap_or(80);
//! # Ok::<(), mwasm_guest_sdk::config::Error>(())
//! ```

use std::fmt;
use std::str::FromStr;

mod bindings {
    #![allow(missing_docs, clippy::missing_safety_doc, reason = "generated from WIT")]

    wit_bindgen::generate!({
        inline: "
            package wasi:config@0.2.0-rc.1;
            interface store {
                variant error { upstream(string), io(string) }
                get: func(key: string) -> result<option<string>, error>;
                get-all: func() -> result<list<tuple<string, string>>, error>;
            }
            world imports { import store; }
        ",
    });
}

use bindings::wasi::config::store;

/// Why a value could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The host could not read its configuration; its own words.
    Host(String),
    /// The value is there but is no value of the wanted type.
    Malformed {
        /// The key.
        key: String,
        /// The value found.
        found: String,
        /// Why it does not parse.
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(why) => write!(f, "the host cannot read its configuration: {why}"),
            Self::Malformed { key, found, why } => {
                write!(f, "the configuration value {key} = {found:?} is malformed: {why}")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Upstream(why) | store::Error::Io(why) => Self::Host(why),
        }
    }
}

/// The value of `key`, or `None` if nobody set it.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    Ok(store::get(key)?)
}

/// The value of `key` as a `T`, or `None` if nobody set it.
pub fn parse<T>(key: &str) -> Result<Option<T>, Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    parse_found(key, get(key)?)
}

/// All values, in the order in which they were set.
pub fn all() -> Result<Vec<(String, String)>, Error> {
    Ok(store::get_all()?)
}

fn parse_found<T>(key: &str, found: Option<String>) -> Result<Option<T>, Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    found
        .map(|found| match found.parse() {
            Ok(value) => Ok(value),
            Err(error) => Err(Error::Malformed { key: key.into(), why: format!("{error}"), found }),
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_and_faults_are_told_with_their_key() {
        assert_eq!(parse_found::<u16>("port", Some("80".into())), Ok(Some(80)));
        assert_eq!(parse_found::<u16>("port", None), Ok(None));
        let error = parse_found::<u16>("port", Some("many".into())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration value port = \"many\" is malformed: invalid digit found in string"
        );
    }
}
