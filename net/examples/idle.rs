//! What connections cost while nothing happens to them: bytes of memory each, and the time of one round of the stack.
//!
//! `cargo run --release -p mwasm-net --example idle` prints a table.
#![allow(clippy::unwrap_used, missing_docs)]

use mwasm_net::Stack;
use mwasm_plan::net::{Ipv4, Ipv6, Net};
use mwasm_ports::fake::{Machine, link};
use mwasm_ports::network::{Network, TcpListener, TcpOptions, TcpStream};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// Counts what is allocated.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator; only a counter is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn fixed(address: [u8; 4]) -> Net<'static> {
    let ipv4 = Ipv4::Static { address: address.into(), prefix_bits: 24, gateway: None };
    Net { ipv4, ipv6: Ipv6::Off, ..Net::default() }
}

struct Pair {
    server: Arc<Stack>,
    client: Arc<Stack>,
    listener: Box<dyn TcpListener>,
    streams: Vec<Box<dyn TcpStream>>,
}

impl Pair {
    fn new() -> Self {
        let machine = Machine::new(1);
        let [one, other] = link(1500, false);
        let server = Stack::new(one, machine.clone(), 1, &fixed([10, 0, 0, 1]));
        let client = Stack::new(other, machine, 2, &fixed([10, 0, 0, 2]));
        let bound = server.bind_tcp("10.0.0.1:80".parse().unwrap()).unwrap();
        let listener = bound.listen(4096, &TcpOptions::default()).ok().unwrap();
        Self { server, client, listener, streams: Vec::new() }
    }

    fn connect(&mut self, count: usize) {
        let at: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..count {
            let bound = self.client.bind_tcp("0.0.0.0:0".parse().unwrap()).unwrap();
            self.streams.push(bound.connect(at, &TcpOptions::default()).ok().unwrap());
            for _ in 0..3 {
                self.client.advance();
                self.server.advance();
            }
            while let Poll::Ready(Ok(stream)) = self.listener.poll_accept(&mut context) {
                self.streams.push(stream);
            }
        }
    }
}

/// The time that this program had a processor, in nanoseconds: what others do on the machine does not count.
fn cpu_ns() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default()
}

fn main() {
    println!("a stack without connections: {} bytes", {
        let before = BYTES.load(Ordering::Relaxed);
        let pair = Pair::new();
        let bytes = BYTES.load(Ordering::Relaxed) - before;
        drop(pair);
        bytes / 2
    });
    let mut pair = Pair::new();
    println!("{:>12} {:>18} {:>16} {:>16}", "connections", "bytes each", "ns a round", "ns an echo");
    for count in [1, 9, 90, 900, 1000] {
        let before = BYTES.load(Ordering::Relaxed);
        pair.connect(count);
        let each = (BYTES.load(Ordering::Relaxed) - before) / (2 * count);
        let connections = pair.server.statistics().connections;
        let rounds = 200_000;
        let before = cpu_ns();
        for _ in 0..rounds {
            pair.server.advance();
            pair.server.deadline_ns();
        }
        let round_ns = (cpu_ns() - before) / rounds;
        let mut context = Context::from_waker(Waker::noop());
        let (stream, served) = (&pair.streams[0], &pair.streams[1]);
        let before = cpu_ns();
        for _ in 0..rounds {
            let _ = stream.poll_send(b"echo", &mut context);
            pair.client.advance();
            pair.server.advance();
            let mut bytes = [0; 8];
            let _ = served.poll_receive(&mut bytes, &mut context);
            let _ = served.poll_send(&bytes[..4], &mut context);
            pair.server.advance();
            pair.client.advance();
            let _ = stream.poll_receive(&mut bytes, &mut context);
        }
        let echo_ns = (cpu_ns() - before) / rounds;
        println!("{connections:>12} {each:>18} {round_ns:>16} {echo_ns:>16}");
    }
}
