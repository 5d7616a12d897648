//! The same app, manifest and mwasm give the same image, bit for bit, in another folder and on another day.

use anyhow::{Result, ensure};
use mwasm_tests::process::succeed;
use mwasm_tests::{guest, mwasm, root};
use std::path::Path;
use std::process::Command;

fn build(directory: &Path, target: &str) -> Result<Vec<u8>> {
    let app = directory.join("app.wasm");
    std::fs::copy(guest("hello-rust")?, &app)?;
    let site = directory.join("site");
    std::fs::create_dir(&site)?;
    std::fs::copy(root().join("examples/hello/site/hello.txt"), site.join("hello.txt"))?;
    std::fs::write(directory.join("mwasm.toml"), "[app]\nargs = [\"x\"]\n[embed]\n\"/site\" = \"site\"\n")?;
    let output = directory.join("image");
    let mut command = Command::new(mwasm()?);
    command.current_dir(directory).args(["aot", "app.wasm", "--target", target, "-m", "mwasm.toml", "-o"]).arg(&output);
    succeed(&mut command)?;
    Ok(std::fs::read(output)?)
}

#[test]
fn folders_and_days_leave_no_trace() -> Result<()> {
    for target in ["desktop", "xen", "arm"] {
        let (here, there) = (tempfile::tempdir()?, tempfile::Builder::new().prefix("elsewhere-").tempdir()?);
        let first = build(here.path(), target)?;
        // What files say about their age is the only trace that a day could leave; the copies are made anew.
        let second = build(there.path(), target)?;
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        ensure!(
            first == second,
            "{target}: {} and {} bytes, first difference at {differs:?}",
            first.len(),
            second.len()
        );
    }
    Ok(())
}
