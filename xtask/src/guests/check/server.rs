//! Apps that serve: started on the reference runtime, asked, and ended.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{App, FEATURES};
use crate::setup;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What goes through an echo, in bytes: more than any buffer on the way.
const ECHO_BYTES: usize = 8 << 20;

/// A running app; it ends with this value.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts `command` and waits for the line that says that it listens, which `address` finds the address in.
    fn start(command: &mut Command, address: impl Fn(&str) -> Option<SocketAddr>) -> Result<Self> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let lines = [
            process.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            process.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ];
        let (tell, told) = std::sync::mpsc::channel();
        for pipe in lines.into_iter().flatten() {
            let tell = tell.clone();
            // Reads to the end, so that the app never waits for a reader.
            thread::spawn(move || {
                BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| drop(tell.send(line)))
            });
        }
        drop(tell);
        let mut server = Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
        let mut said = Vec::new();
        for line in told {
            if let Some(address) = address(&line) {
                server.address = address;
                return Ok(server);
            }
            said.push(line);
        }
        bail!("the server ended before it listened, and said:\n{}", said.join("\n"))
    }

    /// Serves an HTTP handler.
    fn http(app: &App, options: &[&str]) -> Result<Self> {
        let mut command = setup::python()?.wasmtime();
        command.args(["serve", "--addr", "127.0.0.1:0", "--allow-precompiled", "-S", "p3=y", "-S", "cli=y"]);
        command.args(FEATURES).args(options).arg(&app.compiled);
        Self::start(&mut command, |line| line.split_once("http://")?.1.trim_end_matches('/').parse().ok())
    }

    /// The head and the body of the answer to a request, which is a line such as `GET /`, fields and a body.
    fn ask(&self, line: &str, fields: &[&str], body: &[u8]) -> Result<(String, Vec<u8>)> {
        let mut stream = self.connect()?;
        let mut head = format!("{line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for field in fields {
            head += &format!("{field}\r\n");
        }
        let mut sender = stream.try_clone()?;
        let request = [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        // The answer may begin before the request has ended.
        let sent = thread::spawn(move || sender.write_all(&request));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        sent.join().ok().context("the thread that sends has failed")??;
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("an answer without a head")?;
        let (head, body) = answer.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_lowercase();
        let is_chunked = head.contains("transfer-encoding: chunked");
        Ok((head, if is_chunked { unchunk(body).context("damaged chunks")? } else { body.to_vec() }))
    }

    /// Fails where the answer to a request is not this one; `wanted` are parts of its head.
    fn expect(&self, line: &str, fields: &[&str], body: &[u8], wanted: &[&str], answer: &[u8]) -> Result<()> {
        let (head, found) = self.ask(line, fields, body).with_context(|| format!("asking '{line}'"))?;
        let missing = wanted.iter().find(|part| !head.contains(**part));
        ensure!(missing.is_none(), "'{line}': wanted '{}' in the head, found:\n{head}", missing.unwrap_or(&""));
        ensure!(found == answer, "'{line}': wanted {} bytes of body, found {} others", answer.len(), found.len());
        Ok(())
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// The content of a body in chunks.
fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let end = body.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(body.get(..end)?).ok()?, 16).ok()?;
        let chunk = body.get(end + 2..end + 2 + size)?;
        if size == 0 {
            return Some(content);
        }
        content.extend_from_slice(chunk);
        body = body.get(end + 4 + size..)?;
    }
}

/// What nobody would send by chance.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index.wrapping_mul(2_654_435_761) >> 16) as u8).collect()
}

/// The table in examples/http/README.md.
pub fn http(app: &App) -> Result<()> {
    let server = Server::http(app, &[])?;
    let text = "content-type: text/plain";
    server.expect("GET /", &[], b"", &["200 ok", text], b"hello over HTTP\n")?;
    let body = pattern(ECHO_BYTES);
    server.expect("POST /echo", &["content-type: x/y"], &body, &["200 ok", "content-type: x/y"], &body)?;
    server.expect("GET /echo", &[], b"", &["405 ", "allow: post"], b"method not allowed\n")?;
    server.expect("GET /headers", &["x-b: 2", "x-a: 1"], b"", &["200 ok", "x-answer: yes"], b"x-a: 1\nx-b: 2\n")?;
    let letters: Vec<u8> = (b'a'..=b'z').cycle().take(100_000).collect();
    server.expect("GET /bytes/100000", &[], b"", &["200 ok", text], &letters)?;
    server.expect("GET /bytes/1073741825", &[], b"", &["404 ", text], b"not found\n")?;
    server.expect("HEAD /", &[], b"", &["200 ok", text], b"")
}

/// One page, from a server that answers a single request.
pub fn fetch(app: &App) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let url = format!("http://{}/page", listener.local_addr()?);
    let answering = thread::spawn(move || -> std::io::Result<bool> {
        let (stream, _) = listener.accept()?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\npage\n")?;
        Ok(line == "GET /page HTTP/1.1\r\n")
    });
    let output = app.run(&["-S", "http=y", "-S", "inherit-network=y"], &[&url])?;
    ensure!(output.stdout == b"200\npage\n", "wanted the page, found {output:?}");
    let asked = answering.join().ok().context("the thread that answers has failed")??;
    ensure!(asked, "the request line was another one than GET /page");
    Ok(())
}

/// The table in examples/web/README.md.
pub fn web(app: &App, site: &Path) -> Result<()> {
    let server = Server::http(app, &["--dir", &format!("{}::/site", site.display())])?;
    for (path, name, kind) in [("/", "index.html", "text/html"), ("/style.css", "style.css", "text/css")] {
        let content = fs::read(site.join(name))?;
        server.expect(&format!("GET {path}"), &[], b"", &["200 ok", kind], &content)?;
        server.expect(&format!("HEAD {path}"), &[], b"", &["200 ok", kind], b"")?;
    }
    let (head, page) = server.ask("GET /hello?name=%3Cb%3E+%26+c", &[], b"")?;
    ensure!(head.contains("200 ok"), "wanted the page that greets, found:\n{head}");
    let page = String::from_utf8_lossy(&page).into_owned();
    ensure!(page.contains("Hello, &lt;b&gt; &amp; c!"), "wanted a greeting, found:\n{page}");
    for path in ["/none", "/../style.css", "/.hidden", "//style.css/"] {
        let (head, _) = server.ask(&format!("GET {path}"), &[], b"")?;
        ensure!(head.contains("404 "), "'{path}': wanted 404, found:\n{head}");
    }
    server.expect("POST /", &[], b"x", &["405 ", "allow: get, head"], b"method not allowed\n")
}

/// A request and its response go through a proxy, fields and bodies; and it says so where there is no server behind it.
pub fn proxy(app: &App) -> Result<()> {
    let behind = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server = Server::http(app, &["--env", &format!("UPSTREAM={}", behind.local_addr()?)])?;
    let answering = thread::spawn(move || -> Result<String> {
        let (mut stream, _) = behind.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut asked = Vec::new();
        // The body comes in one chunk or with its length; its last byte is an exclamation mark either way.
        while !asked.contains(&b'!') {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes)?;
            ensure!(count > 0, "the proxy went away");
            asked.extend(bytes.iter().take(count));
        }
        stream
            .write_all(b"HTTP/1.1 203 x\r\nx-behind: yes\r\ncontent-length: 7\r\nconnection: close\r\n\r\nwelcome")?;
        Ok(String::from_utf8_lossy(&asked).to_lowercase())
    });
    server.expect("POST /a?b=c", &["x-a: 1"], b"hello!", &["203 ", "x-behind: yes"], b"welcome")?;
    let asked = answering.join().ok().context("the server behind has failed")??;
    for part in ["post /a?b=c http/1.1\r\n", "x-a: 1\r\n", "hello!"] {
        ensure!(asked.contains(part), "wanted {part:?} in the request to the server behind, found:\n{asked}");
    }
    let (head, why) = server.ask("GET /", &[], b"")?;
    ensure!(
        head.contains("502 ") && !why.is_empty(),
        "without a server behind: wanted 502 and a reason, found:\n{head}"
    );
    Ok(())
}

/// Much goes through an echo and comes back, while another client says nothing before and after.
pub fn echo(app: &App) -> Result<()> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut command = app.command(&["-S", "inherit-network=y"], &[&port.to_string()])?;
    let server = Server::start(&mut command, |line| line.contains("listening").then_some(address))?;
    drop(server.connect()?);
    let mut stream = server.connect()?;
    let sent = pattern(ECHO_BYTES);
    let (mut sender, to_send) = (stream.try_clone()?, sent.clone());
    let sending = thread::spawn(move || sender.write_all(&to_send).and_then(|()| sender.shutdown(Shutdown::Write)));
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    sending.join().ok().context("the thread that sends has failed")??;
    ensure!(back == sent, "wanted {} bytes back, found {} others", sent.len(), back.len());
    Ok(())
}

/// The zones are read, and answered from. What is answered is for the app's own tests.
pub fn dns(app: &App, zones: &Path) -> Result<()> {
    let zones = format!("{}::/zones", zones.display());
    let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let port = address.port().to_string();
    let mut command = app.command(&["-S", "inherit-network=y", "--dir", &zones], &[&port])?;
    let server = Server::start(&mut command, |line| line.contains("UDP port").then_some(address))?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01";
    socket.send_to(query, server.address)?;
    let mut reply = [0; 512];
    let (length, _) = socket.recv_from(&mut reply)?;
    let reply = reply.get(..length).unwrap_or_default();
    ensure!(reply.starts_with(b"\x12\x34\x85\x00\x00\x01\x00\x02"), "wanted two records, found {reply:?}");
    ensure!(reply.ends_with(&[192, 0, 2, 1]), "wanted the address 192.0.2.1 last, found {reply:?}");
    Ok(())
}
