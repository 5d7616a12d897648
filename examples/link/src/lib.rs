//! Answers ARP requests, frame by frame (`mwasm:net/link`). What it prints is in ../README.md.

use std::net::Ipv4Addr;
use wasip3::cli::{environment, exit, stdout};
use wasip3::clocks::monotonic_clock;
use wasip3::wit_bindgen::spawn_local;
use wasip3::wit_stream;

mod bindings {
    wit_bindgen::generate!({
        inline: "package local:app; world app { import mwasm:net/link@0.1.0; }",
        path: "../../wit/net",
        world: "local:app/app",
        generate_all,
    });
}

use bindings::mwasm::net::link::{self, Error, Event, Port};

/// The most frames that are taken at a time.
const BATCH: u32 = 64;
/// How long to wait for a port that is gone, in nanoseconds.
const PAUSE_NS: u64 = 100_000_000;
/// ARP over Ethernet for IPv4: the frame's type, and what every request begins with.
const REQUEST: [u8; 10] = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
/// Where these are in a frame.
const SENDER: usize = 6;
const TYPE: usize = 12;
const OPERATION: usize = 21;
const ADDRESSES: usize = 22;
const TARGET_IP: usize = 38;
/// Bytes of an ARP packet with its Ethernet header; and of the shortest frame.
const ARP_BYTES: usize = 42;
const MIN_FRAME_BYTES: usize = 60;
const REPLY: u8 = 2;

type Mac = [u8; 6];

wasip3::cli::command::export!(App);

struct App;

impl wasip3::exports::cli::run::Guest for App {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let Some(address) = arguments.get(1).and_then(|text| text.parse::<Ipv4Addr>().ok()) else {
            print("usage: link ADDRESS").await;
            return Err(());
        };
        let mut events = link::events();
        for port in link::ports() {
            print(&format!("port {}", describe(&port))).await;
        }
        spawn_local(answer_all(address));
        while let Some(event) = events.next().await {
            print(&match event {
                Event::Added(port) => format!("added {}", describe(&port)),
                Event::Changed(port) => format!("changed {}", describe(&port)),
                Event::Removed(name) => format!("removed {name}"),
            })
            .await;
        }
        Ok(())
    }
}

/// Answers on `eth0`, for as long as the program runs.
async fn answer_all(address: Ipv4Addr) {
    loop {
        match link::receive("eth0".into(), BATCH).await {
            Ok(frames) => {
                let Some(mac) = mac() else { continue };
                let replies: Vec<Vec<u8>> = frames.iter().filter_map(|frame| reply(frame, mac, address)).collect();
                if !replies.is_empty() {
                    // Frames get lost: whoever asked asks again.
                    let _ = link::send("eth0".into(), replies).await;
                }
            }
            Err(Error::Denied) => {
                print("eth0 is not granted").await;
                exit::exit_with_code(1);
            }
            Err(_) => monotonic_clock::wait_for(PAUSE_NS).await,
        }
    }
}

fn mac() -> Option<Mac> {
    link::ports().into_iter().find(|port| port.name == "eth0").map(|port| port.mac.into())
}

fn describe(port: &Port) -> String {
    let mac: Mac = port.mac.into();
    let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {} mtu {} {}", port.name, mac.join(":"), port.mtu, if port.up { "up" } else { "down" })
}

/// The reply to a request for `address`; `None` if the frame is none.
fn reply(frame: &[u8], mac: Mac, address: Ipv4Addr) -> Option<Vec<u8>> {
    let is_request = frame.get(TYPE..)?.starts_with(&REQUEST);
    let target = frame.get(TARGET_IP..ARP_BYTES)?;
    if !is_request || target != address.octets() {
        return None;
    }
    let (asker_mac, asker) = (frame.get(SENDER..TYPE)?, frame.get(ADDRESSES..TARGET_IP - 6)?);
    let mut reply = [asker_mac, &mac, &REQUEST, &mac, &address.octets(), asker].concat();
    *reply.get_mut(OPERATION)? = REPLY;
    reply.resize(MIN_FRAME_BYTES, 0);
    Some(reply)
}

async fn print(line: &str) {
    let (mut writer, reader) = wit_stream::new();
    let written = stdout::write_via_stream(reader);
    writer.write_all(format!("{line}\n").into_bytes()).await;
    drop(writer);
    // Without a reader there is nobody to tell.
    let _ = written.await;
}
