//! Check of the imports: what is left of them after the app was composed and stripped must be served by the hosts.

use crate::app::{App, Surface};
use crate::problem::{Problem, did_you_mean};
use crate::report::text::fit;
use crate::report::{Import, Report};
use anyhow::Result;
use mwasm_plan::interfaces::{self, INTERFACES};

/// Fails on the first import that no host serves.
pub fn check(app: &App, report: &Report) -> Result<()> {
    let imports = Surface::of(&app.component)?.imports;
    match imports.into_iter().find(|import| interfaces::find(&import.name).is_none()) {
        Some(import) => Err(unserved(&import.name, report).into()),
        None => Ok(()),
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

    fn checked(import: &str) -> Result<()> {
        let text = format!(r#"(component (import "wasi:cli/exit@0.2.6" (instance)) (import "{import}" (instance)))"#);
        let app = App { name: String::new(), sha256: String::new(), component: wat::parse_str(text).unwrap() };
        check(&app, &Report::new(Target::Xen, Arch::X86_64))
    }

    #[test]
    fn any_patch_version_of_what_is_served_is() {
        for import in ["wasi:io/poll@0.2.0", "wasi:io/poll@0.2.6", "wasi:cli/exit@0.3.0"] {
            checked(import).unwrap();
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
            let error = checked(import).unwrap_err();
            let problem = error.downcast_ref::<Problem>().unwrap();
            assert!(problem.to_string().contains(import));
            assert!(problem.advice().unwrap().contains(advice), "{import}: {:?}", problem.advice());
        }
    }
}
