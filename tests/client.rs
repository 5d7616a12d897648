//! Apps that ask over HTTP: connections are kept and used again, and one that its server has ended meanwhile does no harm.

use anyhow::{Context, Result, ensure};
use mwasm_tests::process::{run, succeed};
use mwasm_tests::{guest, mwasm};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// The apps of examples/fetch.
const APPS: [&str; 2] = ["fetch-rust", "fetch-rust-p3"];
/// How many requests the server answers on a connection.
const ANSWERS: usize = 2;

/// A server that answers [`ANSWERS`] requests of a connection with what they asked for, reads another one, and ends the connection without
/// a word: as one does whose time for an idle connection is over just then.
struct Moody {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Moody {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (port, connections) = (listener.local_addr()?.port(), Arc::<AtomicUsize>::default());
        let count = connections.clone();
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Relaxed);
                thread::spawn(move || answer(&stream));
            }
        });
        Ok(Self { port, connections })
    }

    /// Has an app ask for so many pages.
    fn ask(&self, command: &mut Command, pages: usize) -> Result<()> {
        let urls = (0..pages).map(|page| format!("http://127.0.0.1:{}/{page}", self.port));
        let ran = run(command.args(urls), &[])?;
        let wanted: String = (0..pages).map(|page| format!("200\nGET /{page} HTTP/1.1\n")).collect();
        ensure!(ran.code == Some(0), "wanted an orderly end, found {:?}: {}", ran.code, ran.errors());
        ensure!(ran.stdout == wanted.as_bytes(), "wanted {wanted:?}, found {:?}", String::from_utf8_lossy(&ran.stdout));
        Ok(())
    }
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    for answered in 0..=ANSWERS {
        let Some(request) = lines.next().transpose()? else { return Ok(()) };
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        if answered < ANSWERS {
            let length = request.len() + 1;
            write!({ stream }, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{request}\n")?;
        }
    }
    Ok(())
}

/// Runs `check` with a maker of commands for each app, in this process's kind of run and as an image, that may connect to `port`.
fn each(port: u16, check: impl Fn(&mut Command) -> Result<()>) -> Result<()> {
    let grant = format!("tcp:127.0.0.1:{port}");
    for app in APPS {
        let mut here = Command::new(mwasm()?);
        check(here.arg("run").arg(guest(app)?).args(["--connect", &grant, "--"]))
            .with_context(|| format!("{app}, run"))?;
        let folder = tempfile::tempdir()?;
        let image = folder.path().join("image");
        let mut aot = Command::new(mwasm()?);
        aot.arg("aot").arg(guest(app)?).args(["--target", "desktop", "--connect", &grant, "-o"]).arg(&image);
        succeed(&mut aot)?;
        check(&mut Command::new(&image)).with_context(|| format!("{app}, image"))?;
    }
    Ok(())
}

#[test]
fn connections_are_used_again_and_stale_ones_replaced() -> Result<()> {
    let server = Moody::start()?;
    each(server.port, |command| {
        let before = server.connections.load(Relaxed);
        server.ask(command, 3 * ANSWERS)?;
        // The third request of a connection is one too many, and is made again on the next.
        let used = server.connections.load(Relaxed) - before;
        ensure!(used == 3, "wanted 3 connections, found {used}");
        Ok(())
    })
}
