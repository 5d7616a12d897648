//! An authoritative DNS server over UDP. What it can do is in ../README.md.
//!
//! ```text
//!   zone files --zone--> records by name
//!   datagram --message::Query--> question --answer--> records --message::Reply--> datagram
//! ```

mod answer;
mod message;
mod name;
mod zone;

use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::{fs, io};
use zone::Zone;

/// Where the zone files are.
const ZONES: &str = "/zones";
const DEFAULT_PORT: u16 = 53;
/// The largest query that is looked at, in bytes; no client sends more.
const MAX_QUERY_BYTES: usize = 4096;

fn main() -> ExitCode {
    let port = match std::env::args().nth(1).map(|port| port.parse::<u16>()) {
        None => DEFAULT_PORT,
        Some(Ok(port @ 1..)) => port,
        Some(_) => {
            eprintln!("dns: wanted a port from 1 to 65535");
            return ExitCode::from(2);
        }
    };
    let zones = match zones() {
        Ok(zones) => zones,
        Err(why) => {
            eprintln!("dns: {why}");
            return ExitCode::FAILURE;
        }
    };
    let Err(error) = serve(&zones, port);
    eprintln!("dns: cannot serve on UDP port {port}: {error}");
    ExitCode::FAILURE
}

/// Reads all zone files.
fn zones() -> Result<Vec<Zone>, String> {
    let unreadable = |error: io::Error| format!("cannot read the zones in {ZONES}: {error}");
    let mut zones = Vec::new();
    for entry in fs::read_dir(ZONES).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let text = fs::read_to_string(&path).map_err(unreadable)?;
        zones.push(Zone::parse(&text).map_err(|why| format!("{}:{why}", path.display()))?);
    }
    Ok(zones)
}

fn serve(zones: &[Zone], port: u16) -> io::Result<std::convert::Infallible> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("dns: {} zones on UDP port {port}", zones.len());
    let mut query = [0; MAX_QUERY_BYTES];
    loop {
        let (length, client) = socket.recv_from(&mut query)?;
        if let Some(reply) = answer::answer(zones, &query[..length]) {
            // A reply that is lost is asked for again.
            let _ = socket.send_to(&reply, client);
        }
    }
}
