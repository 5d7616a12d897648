//! Apps that serve: started on a machine, with a port of this machine that leads to them.

use crate::machine::Machine;
use crate::process::{HANG, Ran, Running, run, succeed};
use crate::{guest, mwasm};
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often to look whether a server answers.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server at work.
pub struct Server {
    /// Where it is reached.
    pub address: SocketAddr,
    running: Running,
    /// The image goes with the server.
    _directory: TempDir,
}

/// What is served.
#[derive(Clone, Copy, Debug)]
pub struct App<'a> {
    /// `target/guests/GUEST.wasm`.
    pub guest: &'static str,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The port that the app listens on, on every target.
    pub port: u16,
    /// Further arguments of `mwasm aot` and `mwasm run`, such as embedded files.
    pub more: &'a [&'a str],
    /// The app's own arguments.
    pub args: &'static [&'static str],
}

/// A port that nobody has now. Another process might take it before the server does; tests do not share machines with such.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Fuses an app for a machine, if that takes an image, and starts it.
pub fn start(app: &App<'_>, machine: Machine) -> Result<Server> {
    let directory = tempfile::tempdir()?;
    let image = directory.path().join("image");
    let port = free_port()?;
    let publish = format!("{}:{port}:{}", app.protocol, app.port);
    let fuse = |target: &[&str]| -> Result<()> {
        let mut aot = Command::new(mwasm()?);
        aot.arg("aot").arg(guest(app.guest)?).args(target).args(["-p", &publish]).arg("-o").arg(&image);
        succeed(aot.args(app.more).arg("--").args(app.args)).map(drop)
    };
    let boot = || -> Result<Command> {
        let mut run = Command::new(mwasm()?);
        run.arg("run").args(["-p", &publish]).arg(&image);
        Ok(run)
    };
    let mut command = match machine {
        Machine::InProcess => {
            let mut run = Command::new(mwasm()?);
            run.arg("run").arg(guest(app.guest)?).args(["-p", &publish]).args(app.more).arg("--").args(app.args);
            run
        }
        Machine::Desktop => {
            fuse(&["--target", "desktop", "--arch", "x86_64"])?;
            Command::new(&image)
        }
        Machine::DesktopAarch64 => {
            fuse(&["--target", "desktop", "--arch", "aarch64"])?;
            let mut qemu = Command::new("qemu-aarch64");
            qemu.arg(&image);
            qemu
        }
        Machine::Microvm => {
            fuse(&["--target", "xen"])?;
            boot()?
        }
        Machine::Q35 => {
            fuse(&["--target", "xen"])?;
            crate::machine::networked_q35(&image, app.protocol, port, app.port)
        }
        Machine::Virt => {
            fuse(&["--target", "arm"])?;
            boot()?
        }
        other => bail!("servers are not started on {other:?} here"),
    };
    let running = Running::start(&mut command, &[])?;
    Ok(Server { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), running, _directory: directory })
}

impl Server {
    /// Waits until `ask` has an answer. QEMU's network takes connections before there is anybody behind it, so only an answer
    /// counts.
    pub fn wait_until<T>(&mut self, ask: impl Fn(SocketAddr) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask(self.address) {
                return Ok(answer);
            }
            if let Some(errors) = self.running.has_ended()? {
                bail!("the server ended: {errors}");
            }
            if began.elapsed() > HANG {
                bail!("no answer from {} within {HANG:?}", self.address);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until it answers HTTP.
    pub fn wait_for_http(&mut self) -> Result<()> {
        self.wait_until(|address| {
            let asked = run(
                Command::new("curl").args(["-s", "-o", "/dev/null", "-m", "5", &format!("http://{address}/")]),
                &[],
            );
            asked.ok().filter(|ran| ran.code == Some(0)).map(drop)
        })
    }

    /// Connects to it, once it takes connections and answers `hello` with anything.
    pub fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address).with_context(|| format!("connecting to {}", self.address))?;
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        Ok(stream)
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// curl with these words and the URL of a path.
    pub fn curl(&self, words: &[&str], path: &str) -> Result<Ran> {
        let url = format!("http://{}{path}", self.address);
        run(Command::new("curl").args(["-s", "-S", "-m", "200"]).args(words).arg(url), &[])
    }
}
