//! One table of cases, the same on every target: the same bytes, the same exit code.

use anyhow::Result;
use mwasm_tests::cases::{Case, all};
use mwasm_tests::machine::{Machine, aot, check, run_case};
use mwasm_tests::table::Rows;

/// Runs every case on each machine that one target's images boot on.
fn conform(test: &str, target: Option<&[&str]>, machines: &[Machine], wanted: fn(&Case) -> bool) -> Result<()> {
    let mut rows = Rows::default();
    for case in all()?.iter().filter(|case| wanted(case)) {
        let image = target.map(|target| aot(case, target, &[])).transpose();
        for machine in machines {
            let result = match &image {
                Ok(image) => run_case(case, *machine, image.as_ref()).and_then(|ran| check(case, *machine, &ran)),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            rows.add(case.name, case.language, machine.name(), result);
        }
    }
    rows.finish(test)
}

fn quick(case: &Case) -> bool {
    !case.slow
}

fn slow(case: &Case) -> bool {
    case.slow
}

const XEN: &[&str] = &["--target", "xen"];
const ARM: &[&str] = &["--target", "arm"];
const DESKTOP: &[&str] = &["--target", "desktop", "--arch", "x86_64"];
const DESKTOP_AARCH64: &[&str] = &["--target", "desktop", "--arch", "aarch64"];

#[test]
fn in_process() -> Result<()> {
    conform("run", None, &[Machine::InProcess], quick)
}

#[test]
fn desktop() -> Result<()> {
    conform("desktop", Some(DESKTOP), &[Machine::Desktop], quick)
}

#[test]
fn desktop_aarch64() -> Result<()> {
    conform("desktop-aarch64", Some(DESKTOP_AARCH64), &[Machine::DesktopAarch64], quick)
}

#[test]
fn xen_on_qemu() -> Result<()> {
    conform("xen", Some(XEN), &[Machine::Microvm, Machine::Q35], quick)
}

#[test]
fn arm() -> Result<()> {
    conform("arm", Some(ARM), &[Machine::Virt, Machine::VirtGicV3], quick)
}

/// The languages that bring a whole runtime take half a minute to compile for each target, so each target runs them once.
#[test]
fn slow_desktop() -> Result<()> {
    conform("slow-desktop", Some(DESKTOP), &[Machine::Desktop], slow)
}

#[test]
fn slow_desktop_aarch64() -> Result<()> {
    conform("slow-desktop-aarch64", Some(DESKTOP_AARCH64), &[Machine::DesktopAarch64], slow)
}

#[test]
fn slow_xen() -> Result<()> {
    conform("slow-xen", Some(XEN), &[Machine::Microvm, Machine::Q35], slow)
}

#[test]
fn slow_arm() -> Result<()> {
    conform("slow-arm", Some(ARM), &[Machine::Virt], slow)
}
