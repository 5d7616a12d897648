//! The host objects that this program carries: one for each target and architecture, with and without the component model's async.

use crate::problem::Problem;
use crate::target::{Arch, Target};
use anyhow::{Context, Result};

/// Name and compressed object of each, sorted by name.
const HOSTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/hosts.rs"));

/// The largest host object, in bytes.
const MAX_OBJECT_BYTES: usize = 256 << 20;

/// The name of a host object: `xen-x86_64`, or `xen-x86_64-async`.
pub fn name(target: Target, arch: Arch, concurrency: bool) -> String {
    format!("{target}-{arch}{}", if concurrency { "-async" } else { "" })
}

/// A host object, ready to be linked.
pub fn find(name: &str) -> Result<Vec<u8>> {
    let found = HOSTS.iter().find(|(known, _)| *known == name);
    let (_, compressed) = found.ok_or_else(|| {
        Problem::new(format!("this mwasm was built without the host object '{name}'"))
            .help("build it with all of them: cargo xtask build")
    })?;
    zstd::bulk::decompress(compressed, MAX_OBJECT_BYTES).with_context(|| format!("the host object '{name}' is damaged"))
}

/// Whether this program carries a host object.
pub fn has(name: &str) -> bool {
    HOSTS.iter().any(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_target_architecture_and_async() {
        assert_eq!(name(Target::Xen, Arch::X86_64, false), "xen-x86_64");
        assert_eq!(name(Target::Desktop, Arch::Aarch64, true), "desktop-aarch64-async");
    }

    #[test]
    fn a_missing_object_says_how_to_get_it() {
        let error = find("toaster-x86_64").unwrap_err();
        let problem = error.downcast_ref::<Problem>().unwrap();
        assert!(problem.advice().unwrap().contains("cargo xtask build"));
    }

    #[test]
    fn all_that_are_there_decompress_to_objects() {
        for (name, _) in HOSTS {
            assert!(find(name).unwrap().starts_with(b"\x7fELF"), "{name}");
        }
    }
}
