//! Reading TOML with a finger on the line: every complaint carries the place that it is about.

use crate::problem::{Problem, Snippet, did_you_mean};
use anyhow::Result;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
pub type Value<'t> = Spanned<DeValue<'t>>;

/// The text that is read, and what its paths are relative to.
pub struct Reader<'t> {
    /// The file's name, for messages.
    pub file: &'t str,
    /// Its text.
    pub text: &'t str,
    /// Where relative paths start.
    pub directory: &'t Path,
}

impl<'t> Reader<'t> {
    /// The whole file as a table.
    pub fn parse(&self) -> Result<Spanned<DeTable<'t>>> {
        DeTable::parse(self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            self.problem(span, format!("'{}' is not valid TOML", self.file), error.message()).into()
        })
    }

    /// A problem that points at `span`.
    pub fn problem(&self, span: Range<usize>, message: String, label: impl Into<String>) -> Problem {
        let (file, text) = (self.file.to_owned(), self.text.to_owned());
        let snippet = Snippet { file, text, span, label: label.into() };
        let line = snippet.line();
        Problem::new(format!("{message} (line {line})")).at(snippet)
    }

    /// A problem with a value that is not what was wanted.
    pub fn wanted(&self, value: &Value<'_>, key: &str, wanted: &str) -> Problem {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("'{text}'"),
            other => format!("{} {}", article(other.type_str()), other.type_str()),
        };
        self.problem(value.span(), format!("'{key}' must be {wanted}, found {found}"), format!("not {wanted}"))
    }

    /// A problem with a key that nothing is known about.
    pub fn unknown(&self, span: Range<usize>, what: &str, key: &str, known: &[&str]) -> Problem {
        let problem = self.problem(span, format!("unknown {what} '{key}' in '{}'", self.file), "not known");
        match did_you_mean(key, known.iter().copied()) {
            Some(meant) => problem.help(format!("did you mean '{meant}'?")),
            None => problem.help(format!("known here: {}", known.join(", "))),
        }
    }

    /// The entries of a table, in its order.
    pub fn entries<'a>(&self, value: &'a Value<'t>, key: &str) -> Result<Vec<Entry<'a, 't>>> {
        let table = value.get_ref().as_table().ok_or_else(|| self.wanted(value, key, "a table"))?;
        Ok(entries(table))
    }

    /// A text.
    pub fn text(&self, value: &Value<'_>, key: &str) -> Result<String> {
        let text = value.get_ref().as_str().ok_or_else(|| self.wanted(value, key, "a text in quotes"))?;
        Ok(text.to_owned())
    }

    /// A list of texts, each with its place.
    pub fn texts<'a>(&self, value: &'a Value<'t>, key: &str) -> Result<Vec<(String, &'a Value<'t>)>> {
        let list = value.get_ref().as_array().ok_or_else(|| self.wanted(value, key, "a list of texts"))?;
        list.iter().map(|item| Ok((self.text(item, key)?, item))).collect()
    }

    /// Yes or no.
    pub fn flag(&self, value: &Value<'_>, key: &str) -> Result<bool> {
        Ok(value.get_ref().as_bool().ok_or_else(|| self.wanted(value, key, "true or false"))?)
    }

    /// A path, made absolute or relative to this process.
    pub fn path(&self, value: &Value<'_>, key: &str) -> Result<PathBuf> {
        Ok(self.directory.join(self.text(value, key)?))
    }

    /// A table from names to texts; numbers and truth values are taken as they are written.
    pub fn pairs(&self, value: &Value<'t>, key: &str) -> Result<Vec<(String, String)>> {
        let pair = |entry: Entry<'_, 't>| {
            let text = match entry.value.get_ref() {
                DeValue::String(text) => text.clone().into_owned(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(flag) => flag.to_string(),
                _ => return Err(self.wanted(entry.value, entry.key, "a text in quotes").into()),
            };
            Ok((entry.key.to_owned(), text))
        };
        self.entries(value, key)?.into_iter().map(pair).collect()
    }
}

/// A key and its value in a table.
pub struct Entry<'a, 't> {
    /// The key.
    pub key: &'a str,
    /// The key's place.
    pub span: Range<usize>,
    /// The value.
    pub value: &'a Value<'t>,
}

/// The entries of a table, in its order.
pub fn entries<'a, 't>(table: &'a DeTable<'t>) -> Vec<Entry<'a, 't>> {
    table.iter().map(|(key, value)| Entry { key: key.get_ref(), span: key.span(), value }).collect()
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
