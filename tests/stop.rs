//! An app that loops for ever can be stopped from outside, and leaves nothing behind.

use anyhow::{Result, ensure};
use mwasm_tests::cases::Case;
use mwasm_tests::machine::aot;
use mwasm_tests::mwasm;
use mwasm_tests::process::{Running, succeed};
use std::process::Command;

fn looping() -> Case {
    Case {
        name: "loop",
        guest: "traps",
        language: "Rust",
        slow: false,
        args: &["loop"],
        env: &[],
        site: false,
        stdout: Vec::new(),
        stderr: b"",
        code: 143,
    }
}

fn terminate(running: &Running) -> Result<()> {
    succeed(Command::new("kill").args(["-TERM", &running.id().to_string()])).map(drop)
}

#[test]
fn a_signal_ends_a_desktop_image() -> Result<()> {
    let image = aot(&looping(), &["--target", "desktop"], &[])?;
    let running = Running::start(&mut Command::new(&image.path), &[])?;
    running.wait_for(b"looping\n")?;
    terminate(&running)?;
    ensure!(running.finish()?.code.is_none(), "SIGTERM ends the process");
    Ok(())
}

/// `mwasm run` hands SIGTERM on as a press of the power button; the image stops the app after its grace period.
fn power_button(target: &str) -> Result<()> {
    let image = aot(&looping(), &["--target", target], &[])?;
    let running = Running::start(Command::new(mwasm()?).arg("run").arg(&image.path), &[])?;
    running.wait_for(b"looping\n")?;
    terminate(&running)?;
    let ran = running.finish()?;
    ensure!(ran.code == Some(143), "wanted the exit code 143, found {:?}; it said {}", ran.code, ran.errors());
    Ok(())
}

#[test]
fn the_power_button_ends_a_xen_image() -> Result<()> {
    power_button("xen")
}

#[test]
fn the_power_button_ends_an_arm_image() -> Result<()> {
    power_button("arm")
}
