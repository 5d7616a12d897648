//! Apps that end badly: contained on every target, reported with the function's name, with the exit code of a trap.

use anyhow::Result;
use mwasm_tests::faults::{FAULTS, TRAP, app};
use mwasm_tests::machine::{Image, Machine, aot};
use mwasm_tests::table::Rows;

fn faults(test: &str, target: &[&str], machines: &[Machine], more: &[&str]) -> Result<()> {
    let mut rows = Rows::default();
    for fault in FAULTS {
        let image: Result<Image> = aot(&app(fault.args, TRAP), target, more);
        for machine in machines {
            let result = match &image {
                Ok(image) => image.run(*machine, &[]).and_then(|ran| fault.check(&ran)),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            let result = result.map_err(|error| error.context(format!("{} on {}", fault.name, machine.name())));
            rows.add(fault.name, "Rust", machine.name(), result);
        }
    }
    rows.finish(test)
}

/// A desktop has memory without end, or so Linux says: the manifest sets the limit that the guest must meet.
fn limit() -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("mwasm.toml"), "[memory]\nheap = \"64 MiB\"\n")?;
    Ok(directory)
}

#[test]
fn desktop() -> Result<()> {
    let limit = limit()?;
    let manifest = limit.path().join("mwasm.toml").display().to_string();
    faults("faults-desktop", &["--target", "desktop"], &[Machine::Desktop], &["-m", &manifest])
}

#[test]
fn xen_on_qemu() -> Result<()> {
    faults("faults-xen", &["--target", "xen"], &[Machine::Microvm, Machine::Q35], &[])
}

#[test]
fn arm() -> Result<()> {
    faults("faults-arm", &["--target", "arm"], &[Machine::Virt], &[])
}
