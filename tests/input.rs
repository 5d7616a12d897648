//! Input that is there before the app is.

use anyhow::Result;
use mwasm_tests::faults::app;
use mwasm_tests::machine::{Image, aot, q35, virt};
use mwasm_tests::mwasm;
use mwasm_tests::process::Running;
use std::process::Command;

/// Longer than any FIFO of a serial port.
const LINE: &[u8] = b"0123456789 abcdefghijklmnopqrstuvwxyz, all of it\n";

/// Starts a machine whose input is full before its first instruction; the app must get all of it.
fn arrives_whole(target: &str, machine: impl Fn(&Image) -> Result<Command>) -> Result<()> {
    let image = aot(&app(&["stdin"], 0), &["--target", target], &[])?;
    let mut running = Running::open(&mut machine(&image)?)?;
    running.type_in(LINE)?;
    let said = running.wait_for(b"all of it\n")?;
    anyhow::ensure!(said == LINE, "wanted {:?}, found {:?}", lossy(LINE), lossy(&said));
    Ok(())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A 16550 starts without its FIFO and holds one byte; turning the FIFO on threw that away, and the app missed what it was sent first.
#[test]
fn the_first_byte_reaches_an_app_on_q35() -> Result<()> {
    let image_on = |image: &Image| {
        let mut command = q35();
        command.args(["-chardev", "null,id=code"]).arg("-kernel").arg(&image.path);
        Ok(command)
    };
    arrives_whole("xen", image_on)
}

#[test]
fn the_first_byte_reaches_an_app_on_microvm() -> Result<()> {
    let image_on = |image: &Image| {
        let mut command = Command::new(mwasm()?);
        command.arg("run").arg(&image.path);
        Ok(command)
    };
    arrives_whole("xen", image_on)
}

#[test]
fn the_first_byte_reaches_an_app_on_arm() -> Result<()> {
    let image_on = |image: &Image| {
        let mut command = virt("2");
        command.arg("-kernel").arg(&image.path);
        Ok(command)
    };
    arrives_whole("arm", image_on)
}
