//! What was granted is compiled in: an image prints it back, refuses all else, and has no network where it may reach nothing.

use anyhow::{Context, Result, ensure};
use mwasm_tests::net::namespace::{inside, ip};
use mwasm_tests::process::{Ran, Running, run, succeed};
use mwasm_tests::{guest, mwasm};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An image, in a folder of its own, and what it prints of itself.
struct Image {
    path: PathBuf,
    told: Value,
    _folder: TempDir,
}

/// The targets, each with what boots or runs it on this machine.
const TARGETS: [&str; 3] = ["desktop", "xen", "arm"];

/// Fuses an app with these grants.
fn image(app: &Path, target: &str, grants: &[&str]) -> Result<Image> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("image");
    let mut aot = Command::new(mwasm()?);
    succeed(aot.arg("aot").arg(app).args(["--target", target]).args(grants).arg("-o").arg(&path))?;
    let told = succeed(Command::new(mwasm()?).args(["inspect", "--format", "json"]).arg(&path))?;
    Ok(Image { path, told: serde_json::from_slice(&told.stdout)?, _folder: folder })
}

impl Image {
    fn run(&self) -> Result<Ran> {
        run(Command::new(mwasm()?).arg("run").arg(&self.path), &[])
    }

    /// The crates of the host in it.
    fn crates(&self) -> Result<Vec<&str>> {
        fn parts(node: &Value) -> &[Value] {
            node.get("children").and_then(Value::as_array).map_or(&[], Vec::as_slice)
        }
        fn name(node: &Value) -> Option<&str> {
            node.get("name").and_then(Value::as_str)
        }
        let sizes = self.told.get("sizes").context("an image without sizes")?;
        let host = parts(sizes).iter().find(|node| name(node) == Some("host")).context("sizes without a host")?;
        Ok(parts(host).iter().filter_map(name).collect())
    }

    fn has_network(&self) -> Result<bool> {
        let is_network = |name: &&str| matches!(*name, "smoltcp" | "mwasm_net" | "mwasm_http");
        let listed = self.told.pointer("/image/network").is_some();
        // A desktop uses the kernel's stack; what serves sockets is a module of the host there.
        let linked = self.crates()?.iter().any(is_network);
        let target = self.told.pointer("/image/target").and_then(Value::as_str);
        ensure!(target == Some("desktop") || listed == linked, "listed: {listed}, but {:?}", self.crates()?);
        Ok(listed)
    }

    fn policy(&self, key: &str) -> Option<&Value> {
        self.told.pointer("/image/policy")?.get(key)
    }
}

/// The echo server listens on port 7. Granted another port, its image says so and does not let it.
#[test]
fn what_is_not_printed_is_refused() -> Result<()> {
    let app = guest("echo-c")?;
    for target in TARGETS {
        let image = image(&app, target, &["--listen", "tcp:8", "--connect", "tcp:10.0.0.1:7"])?;
        ensure!(image.policy("listen") == Some(&serde_json::json!(["tcp:8"])), "{target}: {}", image.told);
        ensure!(image.policy("connect") == Some(&serde_json::json!(["tcp:10.0.0.1:7"])), "{target}: {}", image.told);
        ensure!(image.has_network()?, "{target}: it may listen");
        let ran = image.run()?;
        // The first error code of wasi:sockets after `unknown` is access-denied.
        let told = [ran.stdout.clone(), ran.errors().into_bytes()].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        ensure!(ran.code == Some(1) && told.contains("error 1 of wasi:sockets"), "{target}: {told}");
    }
    Ok(())
}

/// An app that imports sockets and is granted nothing has no network in its image, and is told so by the interface.
#[test]
fn who_may_reach_nothing_has_no_network() -> Result<()> {
    let app = guest("echo-rust")?;
    for target in TARGETS {
        let [without, with] = [&[][..], &["--listen", "tcp:7"]].map(|grants| image(&app, target, grants));
        let (without, with) = (without?, with?);
        ensure!(!without.has_network()? && with.has_network()?, "{target}");
        let bytes = |image: &Image| image.told.get("bytes").and_then(Value::as_u64).unwrap_or_default();
        ensure!(bytes(&without) < bytes(&with), "{target}: {} bytes, {} with", bytes(&without), bytes(&with));
        let ran = without.run()?;
        ensure!(ran.code == Some(1), "{target}: wanted an error of the app's, found {ran:?}");
    }
    Ok(())
}

/// `mwasm run` with nothing said of the network once served on every address of the machine. Without a grant only programs on the machine
/// are answered, and a person is told how to let others in.
#[test]
fn who_grants_nothing_serves_this_machine_alone() -> Result<()> {
    const HERE: [&str; 2] = ["127.0.0.1", "[::1]"];
    const ELSEWHERE: &str = "10.99.0.1";
    let code = |host: &str| -> Result<Option<i32>> {
        let url = format!("http://{host}:8080/");
        Ok(run(Command::new("curl").args(["-s", "-o", "/dev/null", "-m", "60", &url]), &[])?.code)
    };
    inside(|| {
        ip(&format!("addr add {ELSEWHERE}/24 dev lo"))?;
        for (grants, told, elsewhere) in [
            (&[][..], "to this machine only: let others in with -p 8080:8080", 7),
            (&["--connect", "tcp:10.0.0.1:7"], "to this machine only", 7),
            (&["-p", "8080:8080"], "serving http://", 0),
        ] {
            let app = guest("http-rust")?;
            let server = Running::start(Command::new(mwasm()?).arg("run").args(grants).arg(app), &[])?;
            server.wait_for_error(told.as_bytes())?;
            for here in HERE {
                ensure!(code(here)? == Some(0), "{grants:?}: no answer at {here}");
            }
            // 7: curl was refused the connection.
            let found = code(ELSEWHERE)?;
            ensure!(found == Some(elsewhere), "{grants:?}: curl ended with {found:?} at {ELSEWHERE}");
        }
        Ok(())
    })
}
