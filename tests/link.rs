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
/// How often Linux asks who has an address before a test gives up, each for a second.
const PINGS: u32 = 60;
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

/// The network card as an app's own: examples/link answers ARP, sees its port go and come, and is refused what it was not granted.
#[test]
fn an_app_answers_arp_itself() -> Result<()> {
    let neighbour = || -> Result<String> {
        // Nobody answers the ping; to send it, Linux has to ask who has the address.
        let _ = run(Command::new("ping").args(["-c", "1", "-W", "1", GUEST]), &[])?;
        let found = succeed(Command::new("ip").args(["neigh", "show", GUEST]))?;
        Ok(String::from_utf8_lossy(&found.stdout).into_owned())
    };
    for is_image in [false, true] {
        inside(|| {
            persistent_tap("mwasm2")?;
            let directory = tempfile::tempdir()?;
            let [manifest, image] = ["mwasm.toml", "image"].map(|name| directory.path().join(name));
            fs::write(&manifest, "[net]\nlink = [\"eth0\"]\ntap = \"mwasm2\"\n")?;
            let mut mwasm = Command::new(mwasm()?);
            let app = guest("link")?;
            let machine = if is_image {
                mwasm.arg("aot").arg(app).args(["--target", "desktop", "-m"]).arg(&manifest).arg("-o").arg(&image);
                succeed(mwasm.args(["--", GUEST]))?;
                Running::start(&mut Command::new(&image), &[])?
            } else {
                Running::start(mwasm.arg("run").arg(app).arg("-m").arg(&manifest).args(["--", GUEST]), &[])?
            };
            let port = String::from_utf8_lossy(&machine.wait_for(b" up\n")?).into_owned();
            let mac = port.split(' ').nth(2).context("a port without an address")?.to_owned();
            let found = neighbour()?;
            ensure!(found.contains(&mac), "wanted {mac}, found {found:?}");
            ip("link del mwasm2")?;
            machine.wait_for(b"removed eth0\n")?;
            persistent_tap("mwasm2")?;
            let port = String::from_utf8_lossy(&machine.wait_for(b"added eth0")?).into_owned();
            ensure!(port.contains("added eth0"), "{port}");
            let found = neighbour()?;
            ensure!(found.contains("lladdr"), "after the port came back: found {found:?}");
            Ok(())
        })
        .with_context(|| if is_image { "the image" } else { "mwasm run" })?;
    }
    Ok(())
}

/// The same on bare metal, with its network card.
#[test]
fn a_machine_answers_arp_by_its_app() -> Result<()> {
    inside(|| {
        let directory = tempfile::tempdir()?;
        let [manifest, image] = ["mwasm.toml", "image"].map(|name| directory.path().join(name));
        fs::write(&manifest, "[net]\nlink = [\"eth0\"]\n")?;
        let mut aot = Command::new(mwasm()?);
        aot.arg("aot").arg(guest("link")?).args(["--target", "xen", "-m"]).arg(&manifest).arg("-o").arg(&image);
        succeed(aot.args(["--", GUEST]))?;
        let _site = boot(&image, Faults::default())?;
        let mut found = String::new();
        for _ in 0..PINGS {
            let _ = run(Command::new("ping").args(["-c", "1", "-W", "1", GUEST]), &[])?;
            let shown = succeed(Command::new("ip").args(["neigh", "show", GUEST]))?;
            found = String::from_utf8_lossy(&shown.stdout).into_owned();
            if found.contains("lladdr") {
                return Ok(());
            }
        }
        anyhow::bail!("nobody answered: {found:?}")
    })
}

/// Frames are granted by name, alone, and told.
#[test]
fn frames_are_a_grant() -> Result<()> {
    inside(|| {
        persistent_tap("mwasm3")?;
        let directory = tempfile::tempdir()?;
        let [manifest, image] = ["mwasm.toml", "image"].map(|name| directory.path().join(name));
        let build = |net: &str| {
            fs::write(&manifest, format!("[net]\ntap = \"mwasm3\"\n{net}"))?;
            let mut aot = Command::new(mwasm()?);
            aot.arg("aot").arg(guest("link")?).args(["--target", "desktop", "-m"]).arg(&manifest).arg("-o").arg(&image);
            run(aot.args(["--", GUEST]), &[])
        };
        let both = build("link = [\"eth0\"]\nlisten = [\"tcp:80\"]\n")?;
        ensure!(both.code == Some(1) && both.errors().contains("as a whole"), "{both:?}");
        for net in ["link = [\"eth1\"]\n", "listen = [\"tcp:80\"]\n", ""] {
            ensure!(build(net)?.code == Some(0), "{net}");
            let ran = run(&mut Command::new(&image), &[])?;
            let told = String::from_utf8_lossy(&ran.stdout).into_owned();
            ensure!(ran.code == Some(1) && told == "eth0 is not granted\n" || net.is_empty(), "{net}: {ran:?}");
            ensure!(ran.code != Some(0), "{net}: {ran:?}");
        }
        ensure!(build("link = [\"eth0\"]\n")?.code == Some(0), "a grant of eth0");
        let told = succeed(Command::new(mwasm()?).args(["inspect", "--format", "json"]).arg(&image))?;
        let told: serde_json::Value = serde_json::from_slice(&told.stdout)?;
        let link = told.pointer("/image/policy/link");
        ensure!(link == Some(&serde_json::json!(["eth0"])), "{told}");
        Ok(())
    })
}
