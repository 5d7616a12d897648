//! What the processor must be able to do: x86-64-v2, for which apps are compiled, and pages that are not executable.

use core::fmt;
use mwasm_plan::tunables::X86_64_FEATURES;

/// What CPUID says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Leaf 1, register ECX.
    pub leaf_1_ecx: u32,
    /// Leaf 0x80000001, register EDX.
    pub extended_edx: u32,
}

const NO_EXECUTE: u32 = 1 << 20;
const PAGES_OF_1_GIB: u32 = 1 << 26;

/// The features that are missing; shown as a list of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(Processor);

impl Processor {
    /// Checks that nothing is missing.
    pub fn check(self) -> Result<(), Missing> {
        let missing = Missing(self);
        if missing.names().next().is_none() { Ok(()) } else { Err(missing) }
    }

    /// Whether page tables may forbid execution.
    pub fn has_no_execute(self) -> bool {
        self.extended_edx & NO_EXECUTE != 0
    }

    /// Whether page tables may have leaves of 1 GiB.
    pub fn has_large_pages(self) -> bool {
        self.extended_edx & PAGES_OF_1_GIB != 0
    }

    fn has(self, feature: &str) -> bool {
        let bit = match feature {
            "sse3" => 0,
            "ssse3" => 9,
            "cmpxchg16b" => 13,
            "sse4.1" => 19,
            "sse4.2" => 20,
            "popcnt" => 23,
            _ => return false,
        };
        self.leaf_1_ecx >> bit & 1 == 1
    }
}

impl Missing {
    fn names(self) -> impl Iterator<Item = &'static str> {
        let wanted = X86_64_FEATURES.iter().map(|(_, name)| *name).filter(move |name| !self.0.has(name));
        wanted.chain((!self.0.has_no_execute()).then_some("nx"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names().enumerate().try_for_each(|(i, name)| write!(f, "{}{name}", if i == 0 { "" } else { ", " }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_features_are_named() {
        let all = Processor { leaf_1_ecx: !0, extended_edx: NO_EXECUTE };
        assert_eq!(all.check(), Ok(()));
        let old = Processor { leaf_1_ecx: !(1 << 19 | 1 << 23), extended_edx: 0 };
        assert_eq!(old.check().unwrap_err().to_string(), "sse4.1, popcnt, nx");
    }

    /// A feature that apps are compiled for and that this module does not know would always count as missing.
    #[test]
    fn every_feature_of_apps_is_known() {
        let none = Processor { leaf_1_ecx: 0, extended_edx: NO_EXECUTE };
        assert_eq!(none.check().unwrap_err().names().count(), X86_64_FEATURES.len());
        assert!(X86_64_FEATURES.iter().all(|(_, name)| Processor { leaf_1_ecx: !0, ..none }.has(name)));
    }
}
