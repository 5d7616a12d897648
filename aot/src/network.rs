//! Whether an image has the network at all.
//!
//! Much of what is imported is never used: Python imports all of `wasi:sockets`, whatever the program does. So what counts is what is
//! granted. An image that may reach nothing has no network: the fuse stage answers its calls with a refusal, and neither stack nor
//! driver is linked.

use mwasm_plan::{Entry, Plan, interfaces, symbols};

/// How the calls of an app reach the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It calls nothing that stands on the network.
    Unused,
    /// It does, and is granted nothing: every call is refused.
    Refused,
    /// It is given the network, and the policy rules over it.
    Given,
}

/// Whether the interface of an import stands on the network.
pub fn stands_on_it(import: &str) -> bool {
    interfaces::find(import).is_some_and(|row| row.ports.contains(&symbols::PORT_NETWORK))
}

impl Network {
    /// For an app with these imports.
    pub fn of<'a>(plan: &Plan<'_>, mut imports: impl Iterator<Item = &'a str>) -> Self {
        let is_served = matches!(plan.entry, Entry::Serve02(_) | Entry::Serve03(_));
        match (is_served || imports.any(stands_on_it), is_served || !plan.policy.is_empty()) {
            (false, _) => Self::Unused,
            (true, false) => Self::Refused,
            (true, true) => Self::Given,
        }
    }

    /// Whether the image with this plan has a network device.
    pub fn is_given(plan: &Plan<'_>) -> bool {
        // Functions are listed as `interface#function`.
        let interfaces = plan.provenance.imports.iter().filter_map(|import| import.split('#').next());
        Self::of(plan, interfaces) == Self::Given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_plan::Provenance;
    use mwasm_plan::net::{Listen, Policy};

    #[test]
    fn what_is_imported_and_what_is_granted_count_together() {
        let granted = Policy { listen: vec![Listen::parse("tcp:80").unwrap()], ..Policy::default() };
        let serves = Entry::Serve03("wasi:http/handler@0.3.0");
        let with = |entry, policy: &Policy<'static>, imports: &[&'static str]| {
            let provenance = Provenance { imports: imports.to_vec(), ..Provenance::default() };
            let plan = Plan { entry, policy: policy.clone(), provenance, ..Plan::default() };
            Network::is_given(&plan)
        };
        let sockets = ["wasi:cli/stdout@0.2.6#get-stdout", "wasi:sockets/tcp-create-socket@0.2.6#create-tcp-socket"];
        assert!(with(Entry::None, &granted, &sockets));
        assert!(!with(Entry::None, &granted, &sockets[..1]), "nothing that is granted is used");
        assert!(!with(Entry::None, &Policy::default(), &sockets), "nothing that is used is granted");
        assert!(with(serves, &granted, &[]));
        assert_eq!(Network::of(&Plan::default(), sockets.into_iter()), Network::Unused, "a function is no interface");
        assert_eq!(Network::of(&Plan::default(), ["wasi:sockets/udp@0.2.0"].into_iter()), Network::Refused);
    }
}
