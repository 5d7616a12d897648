//! An app that computes for ever: it is stopped where the manifest bounds its instructions, and others are served meanwhile.

use anyhow::{Context, Result, ensure};
use mwasm_tests::process::{HANG, Running, run, succeed};
use mwasm_tests::server::free_port;
use mwasm_tests::{guest, mwasm};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

/// A handler of `wasi:http` 0.2 that never answers, and never calls its host.
const ENDLESS: &str = r#"(component
    (import "wasi:http/types@0.2.0" (instance $types
        (export "incoming-request" (type (sub resource)))
        (export "response-outparam" (type (sub resource)))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $outparam))
    (core module $m (func (export "handle") (param i32 i32) (loop $again (br $again))))
    (core instance $i (instantiate $m))
    (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
        (canon lift (core func $i "handle")))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#;

/// Starts it with a bound, in this process's kind of run or as an image.
fn start(folder: &Path, max_instructions: u64, is_image: bool) -> Result<(Running, u16)> {
    let app = folder.join("app.wat");
    fs::write(&app, ENDLESS)?;
    start_app(&app, folder, max_instructions, is_image)
}

fn start_app(app: &Path, folder: &Path, max_instructions: u64, is_image: bool) -> Result<(Running, u16)> {
    let port = free_port()?;
    let [manifest, image] = ["mwasm.toml", "image"].map(|name| folder.join(name));
    fs::write(
        &manifest,
        format!("[http]\nport = {port}\nmax-instructions = {max_instructions}\nreceive-timeout = \"500ms\"\n"),
    )?;
    let mut mwasm = Command::new(mwasm()?);
    let server = if is_image {
        mwasm.arg("aot").arg(app).args(["--target", "desktop", "--verbose", "-m"]).arg(&manifest).arg("-o").arg(&image);
        succeed(&mut mwasm)?;
        Running::start(&mut Command::new(&image), &[])?
    } else {
        Running::start(mwasm.arg("run").arg(app).arg("-m").arg(&manifest), &[])?
    };
    server.wait_for_error(b"serving http://")?;
    Ok((server, port))
}

fn send(port: u16, request: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(HANG))?;
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn answer(mut stream: TcpStream) -> Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading an answer")?;
    Ok(answer)
}

const GOOD: &str = "GET / HTTP/1.1\r\nhost: t\r\n\r\n";
/// Refused by the server itself, which takes nobody's instructions.
const BAD: &str = "nonsense\r\n\r\n";

#[test]
fn who_computes_for_too_long_is_answered_503() -> Result<()> {
    for is_image in [false, true] {
        let folder = tempfile::tempdir()?;
        let (_server, port) = start(folder.path(), 20_000_000, is_image)?;
        let together = [send(port, GOOD)?, send(port, GOOD)?];
        for stream in together {
            let answer = answer(stream)?;
            ensure!(answer.starts_with("HTTP/1.1 503 "), "wanted 503, found {answer:?}");
        }
        // The instances are gone, the server is not.
        let answer = answer(send(port, GOOD)?)?;
        ensure!(answer.starts_with("HTTP/1.1 503 "), "wanted 503 once more, found {answer:?}");
    }
    Ok(())
}

/// One thread serves all. While an app computed, nobody else was heard.
#[test]
fn who_computes_gives_way() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_server, port) = start(folder.path(), i64::MAX.unsigned_abs(), true)?;
    let _endless = send(port, GOOD)?;
    for _ in 0..3 {
        let answer = answer(send(port, BAD)?)?;
        ensure!(answer.starts_with("HTTP/1.1 400 "), "wanted 400, found {answer:?}");
    }
    // A client that sends half a head is told that it takes too long: the timers go on, too.
    let answer = answer(send(port, "GET / HT")?)?;
    ensure!(answer.starts_with("HTTP/1.1 408 "), "wanted 408, found {answer:?}");
    Ok(())
}

/// A long answer takes more instructions than a short one. What has begun to be sent ends where they do, and others are answered.
#[test]
fn the_bound_is_for_a_request() -> Result<()> {
    for app in ["http-rust", "http-rust-p3"] {
        for is_image in [false, true] {
            let folder = tempfile::tempdir()?;
            let (_server, port) = start_app(&guest(app)?, folder.path(), 2_000_000, is_image)?;
            let ask = |path: &str| {
                let url = format!("http://127.0.0.1:{port}{path}");
                run(
                    Command::new("curl").args(["-s", "-m", "200", "-w", "%{http_code}", "-o", "/dev/null"]).arg(url),
                    &[],
                )
            };
            for _ in 0..30 {
                let short = ask("/")?;
                ensure!(short.stdout == b"200", "{app}: {short:?}");
            }
            let long = ask("/bytes/1000000000")?;
            ensure!(long.code != Some(0), "{app}: a gigabyte was made of two million instructions: {long:?}");
            let short = ask("/")?;
            ensure!(short.stdout == b"200", "{app}, after the instance was lost: {short:?}");
        }
    }
    Ok(())
}
