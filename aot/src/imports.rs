//! Check of the imports: what is left of them after the app was composed and stripped must be served by the hosts.

use crate::app::{App, Surface};
use crate::problem::{Problem, did_you_mean};
use crate::report::text::fit;
use crate::report::{Import, Report};
use anyhow::{Context, Result};
use mwasm_plan::interfaces::{self, INTERFACES, Interface};
use std::collections::{BTreeMap, BTreeSet};
use wasmparser::Validator;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};

/// What an app needs of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// The interface.
    pub row: &'static Interface,
    /// The functions that it imports.
    pub functions: BTreeSet<String>,
    /// The resources that it names. They need not be the interface's own: it may use those of another one.
    pub resources: BTreeSet<String>,
}

/// The interfaces that an image of this app needs, each one once, in the table's order.
pub fn check(app: &App, report: &Report) -> Result<Vec<Needed>> {
    let features = crate::engine::features()?;
    let types =
        Validator::new_with_features(features).validate_all(&app.component).context("cannot read the component")?;
    let types = types.as_ref();
    let mut needed: BTreeMap<(&str, &str), Needed> = BTreeMap::new();
    let mut missing: Option<Problem> = None;
    for import in Surface::of(&app.component)?.imports {
        let Some(row) = interfaces::find(&import.name) else {
            missing = missing.or_else(|| Some(unserved(&import.name, report)));
            continue;
        };
        let entry = needed.entry((row.name, row.version)).or_insert_with(|| Needed {
            row,
            functions: BTreeSet::new(),
            resources: BTreeSet::new(),
        });
        let Some(item) = types.component_item_for_import(&import.name) else { continue };
        if let ComponentEntityType::Instance(id) = item.ty {
            for (name, item) in &types[id].exports {
                match item.ty {
                    ComponentEntityType::Func(_) => drop(entry.functions.insert(name.clone())),
                    ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => {
                        entry.resources.insert(name.clone());
                    }
                    _ => {}
                }
            }
        }
    }
    match missing {
        Some(missing) => Err(missing.into()),
        None => Ok(needed.into_values().collect()),
    }
}

/// The most of a reason that a message tells, in characters.
const MAX_REASON_WIDTH: usize = 80;

/// The problem with an import that no host serves.
fn unserved(import: &str, report: &Report) -> Problem {
    let (name, version) = interfaces::split(import);
    let message = format!("the app imports '{import}', which no host serves");
    let message = match report.imports.iter().find(|row| row.name == import) {
        Some(Import { why, .. }) => format!("{message} ({})", fit(why, MAX_REASON_WIDTH)),
        None => message,
    };
    let served: Vec<&str> = interfaces::versions_of(name).collect();
    let advice = match served.as_slice() {
        [] => match did_you_mean(name, INTERFACES.iter().map(|row| row.name)) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("plug in a component that provides it: [plugins] in mwasm.toml{}", beyond(name)),
        },
        // A draft of a version is not the version: its functions may have had other types.
        _ if version.contains('-') => {
            format!("{version} is a draft; build the app against the released {}", served.join(" or "))
        }
        _ => format!("served at version {}: build the app against that", served.join(" and ")),
    };
    Problem::new(message).help(advice)
}

/// A word about names that are no WASI interface.
fn beyond(name: &str) -> &'static str {
    if name.contains(['/', ':']) { "" } else { "; a plain name is no interface that a host could know" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Arch, Target};

    fn checked(imports: &[&str]) -> Result<Vec<Needed>> {
        let imports: String = imports
            .iter()
            .map(|name| {
                format!(r#"(import "{name}" (instance (export "f" (func)) (export "r" (type (sub resource)))))"#)
            })
            .collect();
        let component = wat::parse_str(format!("(component {imports})")).unwrap();
        let app = App { name: String::new(), sha256: String::new(), component };
        check(&app, &Report::new(Target::Xen, Arch::X86_64))
    }

    #[test]
    fn rows_come_once_and_sorted_with_their_items() {
        let needed = checked(&["wasi:io/poll@0.2.6", "wasi:cli/exit@0.2.0", "wasi:cli/exit@0.2.6"]).unwrap();
        let names: Vec<_> = needed.iter().map(|needed| needed.row.linker_name()).collect();
        assert_eq!(names, ["wasi:cli/exit@0.2.0", "wasi:io/poll@0.2.0"]);
        for needed in needed {
            assert_eq!(needed.functions, BTreeSet::from(["f".to_owned()]));
            assert_eq!(needed.resources, BTreeSet::from(["r".to_owned()]));
        }
    }

    #[test]
    fn what_is_not_served_gets_advice() {
        for (import, advice) in [
            ("wasi:cli/exit@0.9.0", "served at version 0.2 and 0.3"),
            ("wasi:cli/exit@0.3.0-rc-2026-01-06", "is a draft"),
            ("wasi:cli/exits@0.2.0", "did you mean 'wasi:cli/exit'?"),
            ("acme:rocket/launch@1.0.0", "[plugins]"),
        ] {
            let error = checked(&[import]).unwrap_err();
            let problem = error.downcast_ref::<Problem>().unwrap();
            assert!(problem.to_string().contains(import));
            assert!(problem.advice().unwrap().contains(advice), "{import}: {:?}", problem.advice());
        }
    }
}
