//! Images from the outside: what kind of file it is, by the plan in it.

use crate::fuse::map::{self, Node};
use crate::problem::Problem;
use crate::target::{Arch, Target};
use anyhow::Result;
use mwasm_plan::{DecodeError, Plan};

/// An image that was recognised.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// What it is for.
    pub target: Target,
    /// Its instruction set.
    pub arch: Arch,
    /// All that was decided when it was built.
    pub plan: Plan<'a>,
    /// Where its bytes went, and the bytes that this knowledge takes at the end of the file.
    pub map: Option<(Node, usize)>,
}

/// Looks into a file. `None` if it is no image; an error if it is one, but damaged or of another version.
pub fn recognise<'a>(file: &str, bytes: &'a [u8]) -> Result<Option<Found<'a>>> {
    if crate::app::encoding(bytes).is_some() {
        return Ok(None);
    }
    let plan = match mwasm_plan::find(bytes).and_then(Plan::decode) {
        Ok(plan) => plan,
        Err(DecodeError::NotAPlan) => return Ok(None),
        Err(error @ DecodeError::Version(_)) => {
            return Err(Problem::new(format!("'{file}' is an image {error}")).help("build it with mwasm aot").into());
        }
        Err(error) => {
            return Err(Problem::new(format!("'{file}' is an image that cannot be used: {error}"))
                .help("build it again with mwasm aot")
                .into());
        }
    };
    let (Ok(target), Ok(arch)) = (plan.provenance.target.parse(), plan.provenance.arch.parse()) else {
        let (target, arch) = (plan.provenance.target, plan.provenance.arch);
        let message = format!("'{file}' is an image for '{target}' on '{arch}', which this mwasm does not know");
        return Err(Problem::new(message).help("use the mwasm that built it").into());
    };
    Ok(Some(Found { target, arch, plan, map: map::find(bytes) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_plan::Provenance;

    fn image(target: &str, arch: &str) -> Vec<u8> {
        let plan =
            Plan { name: "app", provenance: Provenance { target, arch, ..Provenance::default() }, ..Plan::default() };
        let mut bytes = vec![0; 64];
        bytes.extend(mwasm_plan::encode(&plan).unwrap());
        bytes
    }

    #[test]
    fn images_are_recognised_by_their_plan() {
        let bytes = image("arm", "aarch64");
        let found = recognise("f", &bytes).unwrap().unwrap();
        assert_eq!((found.target, found.arch, found.plan.name), (Target::Arm, Arch::Aarch64, "app"));
        assert!(recognise("f", b"\x7fELF no image").unwrap().is_none());
        assert!(recognise("f", b"\0asm\x0d\0\x01\0").unwrap().is_none());
    }

    #[test]
    fn damaged_and_foreign_images_are_named() {
        let mut bytes = image("arm", "aarch64");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(recognise("f", &bytes).unwrap_err().to_string().contains("checksum"));
        let mut bytes = image("arm", "aarch64");
        bytes[64 + 8] += 1;
        let message = recognise("f", &bytes).unwrap_err().to_string();
        assert_eq!(message, "'f' is an image made by another version of mwasm: build it again");
        let bytes = image("toaster", "aarch64");
        assert!(recognise("f", &bytes).unwrap_err().to_string().contains("'toaster'"));
    }
}
