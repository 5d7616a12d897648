//! Images on bad links, against Linux's stack: what is transferred is whole, and a cable that comes back is used again.
//!
//! Each test is in a network namespace of its own (tests/src/net), so it takes root.

use anyhow::{Context, Result, ensure};
use mwasm_tests::machine::networked_microvm;
use mwasm_tests::net::link::{Counts, Faults, connect};
use mwasm_tests::net::namespace::{GUEST, inside, ip, persistent_tap, tap};
use mwasm_tests::process::{Running, run, succeed};
use mwasm_tests::{guest, mwasm};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tempfile::TempDir;

/// Ends of the cable, inside a namespace.
const CABLE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4001);
const MACHINE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4002);
/// What is transferred each way, in bytes.
const BULK_BYTES: usize = 1 << 20;
/// The most that curl may take, in seconds: TCP waits long where much is lost.
const PATIENCE_S: &str = "200";

/// An image of examples/http that has the address [`GUEST`].
fn image(directory: &TempDir, target: &[&str], more: &str) -> Result<PathBuf> {
    let manifest = directory.path().join("mwasm.toml");
    fs::write(
        &manifest,
        format!("[net]\naddress = \"{GUEST}/24\"\ngateway = \"10.99.0.1\"\n{more}[http]\nport = 80\n"),
    )?;
    let image = directory.path().join("image");
    let mut aot = Command::new(mwasm()?);
    aot.arg("aot").arg(guest("http-rust")?).args(target).arg("-m").arg(manifest).arg("-o").arg(&image);
    succeed(&mut aot)?;
    Ok(image)
}

/// A machine at the end of a bad cable.
struct Site {
    _machine: Running,
    _tap: File,
    counts: Arc<Counts>,
}

fn boot(image: &Path, faults: Faults) -> Result<Site> {
    let tap = tap("mwasm0")?;
    let counts = connect(&tap, CABLE, MACHINE, faults, 42)?;
    let (ours, theirs) = (CABLE.port(), MACHINE.port());
    let backend = format!(
        "dgram,id=net,local.type=inet,local.host=127.0.0.1,local.port={theirs},\
         remote.type=inet,remote.host=127.0.0.1,remote.port={ours}"
    );
    let machine = Running::start(&mut networked_microvm(image, &backend), &[])?;
    Ok(Site { _machine: machine, _tap: tap, counts })
}

fn curl(words: &[&str], path: &str, sent: &[u8]) -> Result<Vec<u8>> {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-S", "-f", "-m", PATIENCE_S, "--retry", "30", "--retry-connrefused", "--retry-delay", "1"]);
    curl.args(["--retry-all-errors", "--connect-timeout", "20"]).args(words).arg(format!("http://{GUEST}{path}"));
    let ran = run(&mut curl, sent)?;
    ensure!(ran.code == Some(0), "curl {path} ended with {:?}: {}", ran.code, ran.errors());
    Ok(ran.stdout)
}

/// Both ways, compared byte for byte.
fn transfer() -> Result<()> {
    let alphabet: Vec<u8> = (b'a'..=b'z').cycle().take(BULK_BYTES).collect();
    let down = curl(&[], &format!("/bytes/{BULK_BYTES}"), &[])?;
    ensure!(down == alphabet, "down: {} bytes came, not those that were sent", down.len());
    let both = curl(&["-H", "expect:", "--data-binary", "@-"], "/echo", &alphabet)?;
    ensure!(both == alphabet, "up and down: {} bytes came, not those that were sent", both.len());
    Ok(())
}

fn transfer_over(faults: Faults) -> Result<()> {
    inside(|| {
        let directory = tempfile::tempdir()?;
        let site = boot(&image(&directory, &["--target", "xen"], "")?, faults)?;
        transfer().with_context(|| format!("over a link with {faults:?}"))?;
        let (frames, bad) = (site.counts.frames.load(Relaxed), site.counts.faults.load(Relaxed));
        let wanted = faults.lose + faults.double + faults.reorder + faults.corrupt;
        ensure!(wanted == 0 || bad > 0, "the cable did nothing bad to {frames} frames");
        Ok(())
    })
}

#[test]
fn a_good_link() -> Result<()> {
    transfer_over(Faults::default())
}

#[test]
fn a_tenth_is_lost() -> Result<()> {
    transfer_over(Faults { lose: 100, ..Faults::default() })
}

#[test]
fn frames_come_twice_out_of_order_and_damaged() -> Result<()> {
    transfer_over(Faults { lose: 10, double: 30, reorder: 50, corrupt: 10 })
}

/// The stack of a bare machine, on the desktop, and a cable that is pulled and put back in the middle of a transfer.
#[test]
fn a_desktop_image_on_a_tap_device() -> Result<()> {
    inside(|| {
        persistent_tap("mwasm1")?;
        let directory = tempfile::tempdir()?;
        let image = image(&directory, &["--target", "desktop"], "tap = \"mwasm1\"\n")?;
        let _server = Running::start(&mut Command::new(image), &[])?;
        transfer()?;
        succeed(Command::new("ping").args(["-c", "3", "-i", "0.2", "-W", "20", GUEST]))?;
        ip("link set mwasm1 down")?;
        let unreachable = run(Command::new("curl").args(["-s", "-m", "2", &format!("http://{GUEST}/")]), &[])?;
        ensure!(unreachable.code != Some(0), "curl got an answer through a cable that is unplugged");
        ip("link set mwasm1 up")?;
        transfer().context("after the cable was plugged in again")
    })
}
