//! The interfaces that hosts serve, one row each.
//!
//! A host object has one symbol for each function and resource that it serves ([`Interface::symbol`]). The fuse stage puts just those
//! that an app calls into its image's table; the linker drops all that nothing refers to, so what is not called costs no byte. A test
//! in host-core checks that the rows are just what is served.

use crate::symbols;
use alloc::format;
use alloc::string::String;

/// An interface that hosts serve, at one minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Without version, such as `wasi:cli/environment`.
    pub name: &'static str,
    /// `0.2` serves every `0.2.x`; a release candidate serves itself only. Empty: the interface has no version.
    pub version: &'static str,
    /// The ports beyond the basic ones that it stands on, as symbols of openers.
    pub ports: &'static [&'static str],
}

const fn row(name: &'static str, version: &'static str) -> Interface {
    Interface { name, version, ports: &[] }
}

const fn random(name: &'static str, version: &'static str) -> Interface {
    Interface { name, version, ports: &[symbols::PORT_ENTROPY] }
}

/// An interface that cannot be served without the network. What only names types and values of it, such as `wasi:http/types`, can.
const fn network(name: &'static str, version: &'static str) -> Interface {
    Interface { name, version, ports: &[symbols::PORT_NETWORK] }
}

/// All interfaces, sorted by name and version.
pub const INTERFACES: &[Interface] = &[
    network("mwasm:net/endpoints", "0.1"),
    network("mwasm:net/link", "0.1"),
    row("mwasm:wave/print", "0.1"),
    row("wasi:cli/environment", "0.2"),
    row("wasi:cli/environment", "0.3"),
    row("wasi:cli/exit", "0.2"),
    row("wasi:cli/exit", "0.3"),
    row("wasi:cli/stderr", "0.2"),
    row("wasi:cli/stderr", "0.3"),
    row("wasi:cli/stdin", "0.2"),
    row("wasi:cli/stdin", "0.3"),
    row("wasi:cli/stdout", "0.2"),
    row("wasi:cli/stdout", "0.3"),
    row("wasi:cli/terminal-input", "0.2"),
    row("wasi:cli/terminal-input", "0.3"),
    row("wasi:cli/terminal-output", "0.2"),
    row("wasi:cli/terminal-output", "0.3"),
    row("wasi:cli/terminal-stderr", "0.2"),
    row("wasi:cli/terminal-stderr", "0.3"),
    row("wasi:cli/terminal-stdin", "0.2"),
    row("wasi:cli/terminal-stdin", "0.3"),
    row("wasi:cli/terminal-stdout", "0.2"),
    row("wasi:cli/terminal-stdout", "0.3"),
    row("wasi:cli/types", "0.3"),
    row("wasi:clocks/monotonic-clock", "0.2"),
    row("wasi:clocks/monotonic-clock", "0.3"),
    row("wasi:clocks/system-clock", "0.3"),
    row("wasi:clocks/types", "0.3"),
    row("wasi:clocks/wall-clock", "0.2"),
    row("wasi:config/store", "0.2.0-rc.1"),
    row("wasi:filesystem/preopens", "0.2"),
    row("wasi:filesystem/preopens", "0.3"),
    row("wasi:filesystem/types", "0.2"),
    row("wasi:filesystem/types", "0.3"),
    network("wasi:http/client", "0.3"),
    network("wasi:http/outgoing-handler", "0.2"),
    row("wasi:http/types", "0.2"),
    row("wasi:http/types", "0.3"),
    row("wasi:io/error", "0.2"),
    row("wasi:io/poll", "0.2"),
    row("wasi:io/streams", "0.2"),
    row("wasi:random/insecure", "0.2"),
    row("wasi:random/insecure", "0.3"),
    row("wasi:random/insecure-seed", "0.2"),
    row("wasi:random/insecure-seed", "0.3"),
    random("wasi:random/random", "0.2"),
    random("wasi:random/random", "0.3"),
    row("wasi:sockets/instance-network", "0.2"),
    network("wasi:sockets/ip-name-lookup", "0.2"),
    network("wasi:sockets/ip-name-lookup", "0.3"),
    row("wasi:sockets/network", "0.2"),
    network("wasi:sockets/tcp", "0.2"),
    network("wasi:sockets/tcp-create-socket", "0.2"),
    network("wasi:sockets/types", "0.3"),
    network("wasi:sockets/udp", "0.2"),
    network("wasi:sockets/udp-create-socket", "0.2"),
];

impl Interface {
    /// The symbol that registers a function or resource: `mwasm:wasi:cli/exit/0.2#exit`. (No `@`, which linkers take for a version
    /// of the symbol.)
    pub fn symbol(&self, item: &str) -> String {
        format!("{}{}/{}#{item}", symbols::ITEM_PREFIX, self.name, self.version)
    }

    /// The name that Wasmtime's linker knows the interface by, and matches every patch version to: `wasi:cli/exit@0.2.0`.
    pub fn linker_name(&self) -> String {
        let patch = if self.version.contains('-') { "" } else { ".0" };
        format!("{}@{}{patch}", self.name, self.version)
    }
}

/// Cuts an import's name into the interface and its version: `wasi:cli/exit@0.2.6` gives `("wasi:cli/exit", "0.2.6")`.
pub fn split(import: &str) -> (&str, &str) {
    import.split_once('@').unwrap_or((import, ""))
}

/// The row that serves an import: the same name, and the same minor version; drafts of a version are not the version.
pub fn find(import: &str) -> Option<&'static Interface> {
    let (name, version) = split(import);
    INTERFACES.iter().find(|row| row.name == name && serves(row.version, version))
}

/// The versions of an interface that hosts serve.
pub fn versions_of(name: &str) -> impl Iterator<Item = &'static str> + '_ {
    INTERFACES.iter().filter(move |row| row.name == name).map(|row| row.version)
}

fn serves(row: &str, wanted: &str) -> bool {
    if row == wanted {
        return true;
    }
    wanted.strip_prefix(row).is_some_and(|rest| rest.starts_with('.') && !row.is_empty() && !rest.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(INTERFACES.windows(2).all(|pair| (pair[0].name, pair[0].version) < (pair[1].name, pair[1].version)));
    }

    #[test]
    fn a_minor_version_is_served_at_every_patch() {
        let found = |import| find(import).map(Interface::linker_name);
        assert_eq!(found("wasi:cli/exit@0.2.0").as_deref(), Some("wasi:cli/exit@0.2.0"));
        assert_eq!(found("wasi:cli/exit@0.2.12").as_deref(), Some("wasi:cli/exit@0.2.0"));
        assert_eq!(found("wasi:cli/terminal-stdin@0.3.1").as_deref(), Some("wasi:cli/terminal-stdin@0.3.0"));
        assert_eq!(found("wasi:config/store@0.2.0-rc.1").as_deref(), Some("wasi:config/store@0.2.0-rc.1"));
        for missing in [
            "wasi:config/store@0.2.0",
            "wasi:cli/exit",
            "wasi:cli/exit@0.20.0",
            "wasi:cli/exit@1.0.0",
            "wasi:cli/ex@0.2.0",
            "wasi:cli/exit@0.3.0-rc-2026-01-06",
        ] {
            assert_eq!(find(missing), None, "{missing}");
        }
        assert_eq!(find("wasi:cli/exit@0.2.6").unwrap().symbol("exit"), "mwasm:wasi:cli/exit/0.2#exit");
        assert_eq!(versions_of("wasi:cli/exit").collect::<alloc::vec::Vec<_>>(), ["0.2", "0.3"]);
    }
}
