//! What the network costs: instructions for a request of HTTP and for bytes of TCP, inside of an image.
//!
//! A machine is booted twice, serves few requests and then more, and the difference is divided: the start, DHCP and the end fall out.
//! Requests come one after the other on one connection, so that each finds an image that sleeps and has to wake it. They come from
//! outside, in the time of this machine, and what that changes is mostly something more: the lesser of two measurements counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{DESKTOP, image, number_after, plugin};

/// Requests of the two runs.
const REQUESTS: [u64; 2] = [200, 2200];
/// Bytes of the two downloads.
const DOWNLOADS_BYTES: [u64; 2] = [1 << 20, 17 << 20];
/// How long a machine may take to answer for the first time, and for anything after.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The app: examples/http in C, the smallest.
const APP: &str = "http-c";

/// Where an image is counted.
#[derive(Clone, Copy)]
pub enum Machine {
    Microvm,
    Virt,
    /// By callgrind.
    Desktop,
}

/// What is asked of it.
#[derive(Clone, Copy)]
enum Load {
    Requests(u64),
    Download(u64),
}

/// Instructions for a request.
pub fn per_request(work: &Path, machine: Machine) -> Result<u64> {
    least(|| {
        let [few, many] = REQUESTS;
        let less = count(work, machine, Load::Requests(few))?;
        let more = count(work, machine, Load::Requests(many))?;
        Ok(more.saturating_sub(less) / (many - few))
    })
}

/// Instructions for a KiB that is sent.
pub fn per_kib(work: &Path, machine: Machine) -> Result<u64> {
    least(|| {
        let [few, many] = DOWNLOADS_BYTES;
        let less = count(work, machine, Load::Download(few))?;
        let more = count(work, machine, Load::Download(many))?;
        Ok(more.saturating_sub(less) * 1024 / (many - few))
    })
}

fn least(measure: impl Fn() -> Result<u64>) -> Result<u64> {
    Ok(measure()?.min(measure()?))
}

fn count(work: &Path, machine: Machine, load: Load) -> Result<u64> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut command = command(work, machine, port)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = Server::start(&mut command)?;
    let mut stream = first_answer(&mut server, port)?;
    match load {
        Load::Requests(count) => (0..count).try_for_each(|_| ask(&mut stream, "/", 16))?,
        Load::Download(bytes) => ask(&mut stream, &format!("/bytes/{bytes}"), bytes)?,
    }
    let text = server.end()?;
    number_after(
        &text,
        match machine {
            Machine::Microvm => "inside ",
            Machine::Virt => "insn-count: all ",
            Machine::Desktop => "Collected : ",
        },
    )
}

fn command(work: &Path, machine: Machine, port: u16) -> Result<Command> {
    let target: &[&str] = match machine {
        Machine::Microvm => &["--target", "xen"],
        Machine::Virt => &["--target", "arm"],
        Machine::Desktop => DESKTOP,
    };
    let mut command = match machine {
        Machine::Desktop => {
            let publish = format!("{port}:80");
            let image = image(work, APP, &[target, &["-p", &publish]].concat(), &[])?;
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(image);
            return Ok(valgrind);
        }
        Machine::Microvm => {
            let mut qemu = Command::new("qemu-system-x86_64");
            qemu.args(["-M", "microvm", "-cpu", "max", "-d", "plugin", "-plugin"]);
            qemu.arg(format!("{},lo=0x100000,hi=0xf0000000", plugin(work)?.display()));
            qemu
        }
        Machine::Virt => {
            let mut qemu = Command::new("qemu-system-aarch64");
            qemu.args(["-M", "virt", "-cpu", "cortex-a57", "-d", "plugin", "-plugin"]).arg(plugin(work)?);
            qemu
        }
    };
    command.args(["-accel", "tcg", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "null"]);
    command.args(["-monitor", "none", "-m", "128M", "-global", "virtio-mmio.force-legacy=false"]);
    command.args(["-device", "virtio-net-device,netdev=net", "-netdev"]);
    command.arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:80")).arg("-kernel").arg(image(
        work,
        APP,
        target,
        &[],
    )?);
    Ok(command)
}

/// A program that serves; killed if it is dropped before its end.
struct Server {
    child: Child,
    /// What it says, read as it comes: valgrind says a lot, and would wait for a reader.
    said: Option<thread::JoinHandle<std::io::Result<String>>>,
}

impl Server {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut errors = child.stderr.take().context("a server without standard error")?;
        let said = thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).map(|_| text)
        });
        Ok(Self { child, said: Some(said) })
    }

    /// Asks it to end, and returns what it said.
    fn end(mut self) -> Result<String> {
        super::run::quiet(Command::new("kill").arg(self.child.id().to_string()), "ending a server")?;
        self.child.wait()?;
        let said = self.said.take().context("a server that was ended twice")?;
        Ok(said.join().ok().context("reading what a server said failed")??)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, most often.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that has had its first answer.
fn first_answer(server: &mut Server, port: u16) -> Result<TcpStream> {
    let began = Instant::now();
    loop {
        // QEMU takes connections for a guest that does not listen yet, and drops them.
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_nodelay(true)?;
            if ask(&mut stream, "/", 16).is_ok() {
                return Ok(stream);
            }
        }
        if let Some(status) = server.child.try_wait()? {
            bail!("the server ended with {status}");
        }
        ensure!(began.elapsed() < TIMEOUT, "no answer within {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// One request, and its answer to the end.
fn ask(stream: &mut TcpStream, path: &str, body_bytes: u64) -> Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut is_chunked) = (String::new(), false);
    ensure!(reader.read_line(&mut line)? > 0 && line.starts_with("HTTP/1.1 200 "), "the server answered {line:?}");
    while line != "\r\n" {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the connection ended in a head");
        is_chunked |= line == "transfer-encoding: chunked\r\n";
    }
    let mut left = body_bytes;
    let mut bytes = vec![0; 64 << 10];
    while is_chunked {
        line.clear();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16).with_context(|| format!("no chunk: {line:?}"))?;
        left = left.checked_sub(size).context("a body that is too long")?;
        read(&mut reader, size + 2, &mut bytes)?;
        is_chunked = size > 0;
        if !is_chunked {
            ensure!(left == 0, "a body that is {left} bytes short");
            return Ok(());
        }
    }
    read(&mut reader, left, &mut bytes)
}

fn read(from: &mut impl Read, mut left: u64, into: &mut [u8]) -> Result<()> {
    while left > 0 {
        let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = from.read(into.get_mut(..most).unwrap_or_default())?;
        ensure!(count > 0, "the connection ended in a body");
        left -= count as u64;
    }
    Ok(())
}
