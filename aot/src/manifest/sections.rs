//! The sections of a manifest, and the keys that each one has.

use super::reader::{Entry, Reader, Value, entries};
use super::values::{self, MEBIBYTE};
use super::{INITIALIZER, Layer, Preinit, net};
use crate::target::Target;
use anyhow::Result;
use std::collections::BTreeMap;
use toml::de::DeValue;

const SECTIONS: &[&str] = &["app", "config", "env", "net", "http", "memory", "embed", "plugins", "target"];
const APP: &[&str] = &["component", "args", "env", "config", "preinit", "verbose"];
const MEMORY: &[&str] = &["heap", "stack"];

/// Sections and keys that later versions will know, so that a manifest written for them gets a plain answer.
const LATER: &[&str] = &["storage", "memory.guard", "memory.large-pages"];

/// Reads a whole manifest: the base, and the layer of each target.
pub fn manifest(reader: &Reader<'_>) -> Result<(Layer, BTreeMap<Target, Layer>)> {
    let root = reader.parse()?;
    let (mut base, mut targets) = (Layer::default(), BTreeMap::new());
    for entry in entries(root.get_ref()) {
        if entry.key == "target" {
            for entry in reader.entries(entry.value, "target")? {
                let names = Target::ALL.map(Target::name);
                let target: Target =
                    entry.key.parse().map_err(|()| reader.unknown(entry.span, "target", entry.key, &names))?;
                let mut layer = Layer::default();
                for entry in reader.entries(entry.value, target.name())? {
                    section(reader, &entry, &mut layer)?;
                }
                targets.insert(target, layer);
            }
        } else {
            section(reader, &entry, &mut base)?;
        }
    }
    Ok((base, targets))
}

fn section<'t>(reader: &Reader<'t>, entry: &Entry<'_, 't>, layer: &mut Layer) -> Result<()> {
    let value = entry.value;
    match entry.key {
        "app" => each(reader, entry, layer, app),
        "net" => each(reader, entry, layer, net::net),
        "http" => each(reader, entry, layer, net::http),
        "memory" => each(reader, entry, layer, memory),
        "config" => {
            layer.config.extend(reader.pairs(value, "config")?);
            Ok(())
        }
        "env" => {
            layer.env.extend(environment(reader, value)?);
            Ok(())
        }
        "embed" => {
            for entry in reader.entries(value, "embed")? {
                values::guest_directory(entry.key).map_err(|wanted| {
                    reader.problem(entry.span.clone(), format!("'{}' must be {wanted}", entry.key), "the guest's path")
                })?;
                layer.embed.push((entry.key.to_owned(), reader.path(entry.value, entry.key)?));
            }
            Ok(())
        }
        "plugins" => {
            for entry in reader.entries(value, "plugins")? {
                layer.plugins.push((entry.key.to_owned(), reader.path(entry.value, entry.key)?));
            }
            Ok(())
        }
        _ => Err(unknown(reader, entry, "section", "", SECTIONS)),
    }
}

type Key<'t> = fn(&Reader<'t>, &Entry<'_, 't>, &mut Layer) -> Result<()>;

fn each<'t>(reader: &Reader<'t>, entry: &Entry<'_, 't>, layer: &mut Layer, key: Key<'t>) -> Result<()> {
    for entry in reader.entries(entry.value, entry.key)? {
        key(reader, &entry, layer)?;
    }
    Ok(())
}

fn app<'t>(reader: &Reader<'t>, entry: &Entry<'_, 't>, layer: &mut Layer) -> Result<()> {
    let value = entry.value;
    match entry.key {
        "component" => layer.component = Some(reader.path(value, "component")?),
        "args" => layer.args = Some(reader.texts(value, "args")?.into_iter().map(|(text, _)| text).collect()),
        "env" => layer.env.extend(environment(reader, value)?),
        "config" => layer.config.extend(reader.pairs(value, "config")?),
        "verbose" => layer.verbose = Some(reader.flag(value, "verbose")?),
        "preinit" => {
            layer.preinit = Some(match value.get_ref() {
                DeValue::Boolean(true) => Preinit::Call(INITIALIZER.to_owned()),
                DeValue::Boolean(false) => Preinit::Off,
                DeValue::String(export) if !export.is_empty() => Preinit::Call(export.clone().into_owned()),
                _ => return Err(reader.wanted(value, "preinit", "true, false or the name of an export").into()),
            });
        }
        _ => return Err(unknown(reader, entry, "key", "app.", APP)),
    }
    Ok(())
}

fn memory<'t>(reader: &Reader<'t>, entry: &Entry<'_, 't>, layer: &mut Layer) -> Result<()> {
    let bytes = || {
        let wanted = "a size in whole megabytes, such as \"64MiB\"";
        let size = match entry.value.get_ref() {
            DeValue::String(text) => values::size(text),
            DeValue::Integer(number) => number.to_string().parse().ok(),
            _ => None,
        };
        let size = size.filter(|bytes| *bytes > 0 && bytes % MEBIBYTE == 0);
        size.ok_or_else(|| anyhow::Error::from(reader.wanted(entry.value, entry.key, wanted)))
    };
    match entry.key {
        "heap" => layer.heap_bytes = Some(bytes()?),
        "stack" => layer.stack_bytes = Some(bytes()?),
        _ => return Err(unknown(reader, entry, "key", "memory.", MEMORY)),
    }
    Ok(())
}

/// A table, or a list of `NAME=VALUE`.
fn environment<'t>(reader: &Reader<'t>, value: &Value<'t>) -> Result<Vec<(String, String)>> {
    let wanted = "a table, or a list of texts NAME=VALUE";
    let check = |name: &str, at: &Value<'t>| match values::variable_name(name) {
        true => Ok(()),
        false => Err(anyhow::Error::from(reader.wanted(at, "env", "a name without '=' and zero bytes, and a value"))),
    };
    match value.get_ref() {
        DeValue::Table(_) => {
            let pairs = reader.pairs(value, "env")?;
            pairs.iter().try_for_each(|(name, _)| check(name, value))?;
            Ok(pairs)
        }
        DeValue::Array(_) => {
            let pair = |(text, item): (String, &Value<'t>)| {
                let (name, value) = text.split_once('=').ok_or_else(|| reader.wanted(item, "env", "NAME=VALUE"))?;
                check(name, item)?;
                Ok((name.to_owned(), value.to_owned()))
            };
            reader.texts(value, "env")?.into_iter().map(pair).collect()
        }
        _ => Err(reader.wanted(value, "env", wanted).into()),
    }
}

pub(super) fn unknown(
    reader: &Reader<'_>,
    entry: &Entry<'_, '_>,
    what: &str,
    prefix: &str,
    known: &[&str],
) -> anyhow::Error {
    let whole = format!("{prefix}{}", entry.key);
    if LATER.contains(&whole.as_str()) {
        let message = format!("'{whole}' is not served by any host of this version of mwasm");
        return reader.problem(entry.span.clone(), message, "not served yet").help("remove it").into();
    }
    reader.unknown(entry.span.clone(), what, entry.key, known).into()
}
