//! A TCP echo server in Rust, on the standard library. What it does is in ../../README.md.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;

const DEFAULT_PORT: u16 = 7;
/// The most of a client's bytes that are in memory.
const CHUNK_BYTES: usize = 16 << 10;

fn main() -> ExitCode {
    let port = match std::env::args().nth(1).map(|port| port.parse::<u16>()) {
        None => DEFAULT_PORT,
        Some(Ok(port @ 1..)) => port,
        Some(_) => {
            eprintln!("echo: wanted a port from 1 to 65535");
            return ExitCode::from(2);
        }
    };
    match serve(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: cannot listen on port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("echo: listening on port {port}");
    for client in listener.incoming() {
        // A client that went away is no concern of the others.
        let _ = client.and_then(echo);
    }
    Ok(())
}

fn echo(mut client: TcpStream) -> io::Result<()> {
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        match client.read(&mut chunk)? {
            0 => return Ok(()),
            count => client.write_all(&chunk[..count])?,
        }
    }
}
