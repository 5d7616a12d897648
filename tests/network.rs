//! The same conversations with every language on every machine, by real clients; what is refused, and that it is.

use anyhow::{Context, Result, ensure};
use mwasm_tests::machine::Machine;
use mwasm_tests::process::{run, succeed};
use mwasm_tests::root;
use mwasm_tests::server::{App, Server, start};
use mwasm_tests::table::Rows;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

/// The HTTP handlers of examples/http: guest, language, whether it takes tens of seconds to compile.
const HANDLERS: &[(&str, &str, bool)] = &[
    ("http-rust", "Rust", false),
    ("http-rust-p3", "Rust, WASI 0.3", false),
    ("http-c", "C", false),
    ("http-go", "Go", false),
    ("http-js", "JavaScript", true),
    ("http-python", "Python", true),
];

/// The echo servers of examples/echo.
const ECHOES: &[(&str, &str, bool)] = &[("echo-c", "C", false), ("echo-python", "Python", true)];

/// A body of so many bytes, none of them telling.
fn body(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// One request by curl: its words, the path, what it sends, and what must come back.
struct Asked<'a> {
    words: &'a [&'a str],
    path: &'a str,
    sent: &'a [u8],
    status: &'a str,
    /// In the head of the answer, in lower case.
    field: &'a str,
    body: &'a [u8],
}

impl Asked<'_> {
    fn check(&self, server: &Server) -> Result<()> {
        let url = format!("http://{}{}", server.address, self.path);
        let mut curl = Command::new("curl");
        curl.args(["-s", "-S", "-m", "200", "-D", "/dev/stderr"]).args(self.words).arg(url);
        let ran = run(&mut curl, self.sent)?;
        let head = ran.errors().to_ascii_lowercase();
        let what = || format!("curl {:?} {}", self.words, self.path);
        ensure!(ran.code == Some(0), "{}: curl ended with {:?}: {head}", what(), ran.code);
        // An interim answer (100) may stand before the final one.
        let last = head.rfind("http/1.1 ").and_then(|at| head.get(at + 9..)).unwrap_or_default();
        ensure!(last.starts_with(self.status), "{}: wanted the status {}, found\n{head}", what(), self.status);
        ensure!(last.contains(self.field), "{}: wanted '{}', found\n{head}", what(), self.field);
        let same = ran.stdout == self.body;
        ensure!(same, "{}: wanted {} bytes, found {} others", what(), self.body.len(), ran.stdout.len());
        Ok(())
    }
}

/// What every handler of examples/http answers.
fn converse(server: &mut Server) -> Result<()> {
    server.wait_for_http()?;
    let (some, much) = (body(300_000), body(2_500_000));
    let alphabet: Vec<u8> = (b'a'..=b'z').cycle().take(1_000_000).collect();
    let get = |path, status, field, body| Asked { words: &[], path, sent: &[], status, field, body };
    let post =
        |words, sent| Asked { words, path: "/echo", sent, status: "200", field: "content-type: x/y", body: sent };
    for asked in [
        get("/", "200", "content-type: text/plain", b"hello over HTTP\n"),
        get("/none", "404", "", b"not found\n"),
        get("/echo", "405", "allow: post", b"method not allowed\n"),
        get("/bytes/1000000", "200", "", &alphabet),
        Asked { words: &["-I"], ..get("/", "200", "content-type: text/plain", b"") },
        Asked {
            words: &["-H", "x-b: 2", "-H", "X-A: 1"],
            ..get("/headers", "200", "x-answer: yes", b"x-a: 1\nx-b: 2\n")
        },
        post(&["-H", "content-type: x/y", "--data-binary", "@-"], &some),
        post(&["-H", "content-type: x/y", "-H", "transfer-encoding: chunked", "-X", "POST", "-T", "-"], &some),
        post(&["-H", "content-type: x/y", "-H", "expect: 100-continue", "--data-binary", "@-"], &much),
    ] {
        // With -I curl writes the head to standard output, too.
        let asked = if asked.words == ["-I"] { Asked { words: &["-I", "-o", "/dev/null"], ..asked } } else { asked };
        asked.check(server)?;
    }
    for (sent, status) in [
        ("GET / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", "400"),
        ("GET / HTTP/1.1\r\nhost: t\r\nx: 1\r\n folded\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let answer = raw(server, sent.as_bytes())?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:?}: wanted {status}, found {answer:?}");
    }
    let bomb = format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let answer = raw(server, bomb.as_bytes())?;
    ensure!(answer.starts_with("HTTP/1.1 431 "), "a head of 100 kB: wanted 431, found {answer:?}");
    let client = root().join("tests/net/client.py");
    succeed(Command::new("python3").arg(client).arg(server.address.port().to_string()))?;
    Ok(())
}

/// Sends bytes and reads to the end. A server that refuses what comes may cut the connection before it has taken all.
fn raw(server: &Server, sent: &[u8]) -> Result<String> {
    let mut stream = server.connect()?;
    // What was refused before it was sent is told by the answer.
    let _ = stream.write_all(sent);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What goes to an echo server comes back, by several clients at once, to the end of each.
fn echo(server: &mut Server) -> Result<()> {
    server.wait_until(|address| {
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).ok()?;
        stream.write_all(b"x").ok()?;
        stream.read_exact(&mut [0]).ok()
    })?;
    let sent = body(200_000);
    let port = server.address.port().to_string();
    let ran = run(Command::new("nc").args(["-N", "127.0.0.1", &port]), &sent)?;
    ensure!(ran.stdout == sent, "nc: wanted {} bytes, found {} others", sent.len(), ran.stdout.len());
    let mut clients = (0..4).map(|_| server.connect()).collect::<Result<Vec<_>>>()?;
    for (at, client) in clients.iter_mut().enumerate().rev() {
        client.write_all(format!("client {at}").as_bytes())?;
        client.shutdown(Shutdown::Write)?;
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let mut back = String::new();
        client.read_to_string(&mut back).context("reading an echo")?;
        ensure!(back == format!("client {at}"), "client {at} got {back:?}");
    }
    Ok(())
}

fn http_app(guest: &'static str) -> App<'static> {
    App { guest, protocol: "tcp", port: 80, more: &[], args: &[] }
}

fn echo_app(guest: &'static str) -> App<'static> {
    App { guest, protocol: "tcp", port: 7, more: &[], args: &[] }
}

/// Every app of a pace on these machines.
fn conform(test: &str, machines: &[Machine], slow: bool) -> Result<()> {
    let mut rows = Rows::default();
    for machine in machines {
        for (guest, language, _) in HANDLERS.iter().filter(|handler| handler.2 == slow) {
            let result = start(&http_app(guest), *machine).and_then(|mut server| converse(&mut server));
            let place = || format!("{guest} on {}", machine.name());
            rows.add(guest, language, machine.name(), result.with_context(place));
        }
        for (guest, language, _) in ECHOES.iter().filter(|app| app.2 == slow) {
            let result = start(&echo_app(guest), *machine).and_then(|mut server| echo(&mut server));
            let place = || format!("{guest} on {}", machine.name());
            rows.add(guest, language, machine.name(), result.with_context(place));
        }
    }
    rows.finish(test)
}

#[test]
fn in_process() -> Result<()> {
    conform("network-run", &[Machine::InProcess], false)
}

#[test]
fn desktop() -> Result<()> {
    conform("network-desktop", &[Machine::Desktop, Machine::DesktopAarch64], false)
}

#[test]
fn xen_on_qemu() -> Result<()> {
    conform("network-xen", &[Machine::Microvm, Machine::Q35], false)
}

#[test]
fn arm() -> Result<()> {
    conform("network-arm", &[Machine::Virt], false)
}

#[test]
fn slow_languages() -> Result<()> {
    conform("network-slow", &[Machine::Desktop, Machine::Microvm], true)
}

/// The same answers from one instance for all, from a pool of them, and from a new one for each request.
#[test]
fn instances_as_the_manifest_says() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for instances in ["shared", "pooled", "fresh"] {
        let manifest = directory.path().join(format!("{instances}.toml"));
        std::fs::write(&manifest, format!("[http]\ninstances = \"{instances}\"\n"))?;
        let more = ["-m", manifest.to_str().context("a path that is not UTF-8")?];
        for guest in ["http-c", "http-rust-p3"] {
            let app = App { more: &more, ..http_app(guest) };
            for machine in [Machine::InProcess, Machine::Desktop] {
                let served = start(&app, machine).and_then(|mut server| converse(&mut server));
                served.with_context(|| format!("{guest} on {}, {instances}", machine.name()))?;
            }
        }
    }
    Ok(())
}
