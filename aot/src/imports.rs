//! Check of the imports: what is left of them after the app was composed and stripped must be served by the hosts.

use crate::app::{App, Surface};
use crate::problem::{Problem, did_you_mean};
use crate::report::{Import, Report};
use anyhow::Result;
use mwasm_plan::interfaces::{self, INTERFACES, Interface};

/// The rows of the interfaces that an image of this app needs, each one once, in the table's order.
pub fn check(app: &App, report: &Report) -> Result<Vec<&'static Interface>> {
    let mut needed = Vec::new();
    let mut missing: Option<Problem> = None;
    for import in Surface::of(&app.component)?.imports {
        match interfaces::find(&import.name) {
            Some(row) => needed.push(row),
            None => missing = missing.or_else(|| Some(unserved(&import.name, report))),
        }
    }
    if let Some(missing) = missing {
        return Err(missing.into());
    }
    needed.sort_unstable_by_key(|row| (row.name, row.version));
    needed.dedup();
    Ok(needed)
}

/// The problem with an import that no host serves.
fn unserved(import: &str, report: &Report) -> Problem {
    let (name, version) = interfaces::split(import);
    let message = format!("the app imports '{import}', which no host serves");
    let message = match report.imports.iter().find(|row| row.name == import) {
        Some(Import { why, .. }) => format!("{message} ({why})"),
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

    fn checked(imports: &[&str]) -> Result<Vec<String>> {
        let imports: String = imports.iter().map(|name| format!(r#"(import "{name}" (instance))"#)).collect();
        let component = wat::parse_str(format!("(component {imports})")).unwrap();
        let app = App { name: String::new(), sha256: String::new(), component };
        Ok(check(&app, &Report::new(Target::Xen, Arch::X86_64))?.into_iter().map(Interface::symbol).collect())
    }

    #[test]
    fn rows_come_once_and_sorted() {
        let rows = checked(&["wasi:io/poll@0.2.6", "wasi:cli/exit@0.2.0", "wasi:cli/exit@0.2.6"]).unwrap();
        assert_eq!(rows, ["mwasm_iface_cli_exit_0_2", "mwasm_iface_io_poll_0_2"]);
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
