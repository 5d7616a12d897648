//! Targets and architectures: what an image can be built for.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Where an image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A static Linux executable.
    Desktop,
    /// An x86_64 PVH kernel: a Xen virtual machine; boots on QEMU's microvm, too.
    Xen,
    /// An aarch64 flat image with the Linux header.
    Arm,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Desktop, Self::Xen, Self::Arm];

    /// As it is written on the command line and in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Xen => "xen",
            Self::Arm => "arm",
        }
    }

    /// The architectures that it runs on; the first one is meant where none is named, but on the desktop, where it is this
    /// machine's own.
    pub const fn arches(self) -> &'static [Arch] {
        match self {
            Self::Desktop => &[Arch::X86_64, Arch::Aarch64],
            Self::Xen => &[Arch::X86_64],
            Self::Arm => &[Arch::Aarch64],
        }
    }

    /// The architecture that is meant where none is named.
    pub fn default_arch(self) -> Arch {
        match (self, Arch::of_this_machine()) {
            (Self::Desktop, Some(here)) => here,
            (Self::Desktop | Self::Xen, _) => Arch::X86_64,
            (Self::Arm, _) => Arch::Aarch64,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|target| target.name() == name).ok_or(())
    }
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// As it is written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The target of Rust and Cranelift that hosts and apps are compiled for. Desktop images too: their host brings its own
    /// start-up and knows the kernel's system calls, and no C library.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-none",
            Self::Aarch64 => "aarch64-unknown-none",
        }
    }

    /// What this program itself runs on, if it is one of the two.
    pub fn of_this_machine() -> Option<Self> {
        std::env::consts::ARCH.parse().ok()
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|arch| arch.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        assert!(Target::ALL.iter().all(|target| target.name().parse() == Ok(*target)));
        assert!(Arch::ALL.iter().all(|arch| arch.name().parse() == Ok(*arch)));
        assert_eq!("Xen".parse::<Target>(), Err(()));
        assert_eq!("arm64".parse::<Arch>(), Err(()));
    }

    #[test]
    fn the_default_architecture_is_one_that_the_target_runs_on() {
        assert!(Target::ALL.iter().all(|target| target.arches().contains(&target.default_arch())));
    }

    #[test]
    fn json_uses_the_names_of_the_command_line() {
        for arch in Arch::ALL {
            assert_eq!(serde_json::to_value(arch).unwrap(), arch.name());
        }
        for target in Target::ALL {
            assert_eq!(serde_json::to_value(target).unwrap(), target.name());
        }
    }
}
