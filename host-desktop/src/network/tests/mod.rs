//! Sockets against those of the standard library, on loopback, with the reactor that ships.

mod tap;
mod tcp;
mod udp;
mod waiting;

use super::*;
use core::future::poll_fn;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use mwasm_host_core::reactor::Reactor;
use mwasm_plan::net::Listen;
use mwasm_ports::Clock;
use mwasm_ports::network::{TcpListener, TcpOptions, TcpStream, UdpOptions};
use std::io::{Read, Write};
use std::net;
use std::task::Wake;

/// Opens a network.
type OpenPort = fn(&mut Ports, &Plan<'static>) -> Result<(), &'static str>;

/// A machine with a network, and its reactor.
struct Machine {
    network: Arc<dyn Network>,
    idle: Arc<dyn Idle>,
    reactor: Arc<Reactor>,
}

impl Machine {
    fn new(policy: Policy<'static>) -> Self {
        Self::open(Linux::open, &Plan { policy, ..Plan::default() })
    }

    fn open(opener: OpenPort, plan: &Plan<'static>) -> Self {
        let mut ports = Process::ports();
        opener(&mut ports, plan).unwrap();
        let (network, idle) = (ports.network.clone().unwrap(), ports.idle.clone());
        Self { network, idle, reactor: Reactor::new(ports) }
    }

    fn usual() -> Self {
        Self::new(Policy { loopback: true, ..Policy::default() })
    }

    fn listen(&self, local: &str, backlog: usize) -> Box<dyn TcpListener> {
        let bound = self.network.bind_tcp(local.parse().unwrap()).unwrap();
        bound.listen(backlog, &TcpOptions::default()).unwrap()
    }

    /// Waits for what a function of a socket says.
    fn wait<T>(&self, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        self.reactor.block_on(poll_fn(poll)).unwrap()
    }

    fn accept(&self, listener: &dyn TcpListener) -> Box<dyn TcpStream> {
        self.wait(|context| listener.poll_accept(context)).unwrap()
    }

    fn connect(&self, local: &str, remote: SocketAddr) -> Result<Box<dyn TcpStream>, NetError> {
        let bound = self.network.bind_tcp(local.parse().unwrap())?;
        let stream = bound.connect(remote, &TcpOptions::default())?;
        self.wait(|context| stream.poll_connected(context)).map(|()| stream)
    }

    fn send(&self, stream: &dyn TcpStream, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.wait(|context| stream.poll_send(bytes, context)).unwrap();
            bytes = &bytes[count..];
        }
    }

    fn receive(&self, stream: &dyn TcpStream) -> Result<Vec<u8>, NetError> {
        let mut buffer = [0; 1024];
        let count = self.wait(|context| stream.poll_receive(&mut buffer, context))?;
        Ok(buffer[..count].to_vec())
    }

    fn receive_all(&self, stream: &dyn TcpStream) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.receive(stream).unwrap() {
                end if end.is_empty() => return all,
                bytes => all.extend(bytes),
            }
        }
    }
}

/// A waker that counts its calls.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs the test `name` once more, in a process of its own that a shell script starts as `"$@"`; returns whether it passed, and all text.
fn again(name: &str, variable: &str, script: &str) -> (bool, String) {
    let name = format!("network::tests::{name}");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    let output = command.args([&name, "--exact", "--test-threads", "1"]).env(variable, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success() && text.contains("1 passed"), text)
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Other tests take ports at the same time, and may take the one that was free a moment ago: then try another one.
fn until_free<T>(mut attempt: impl FnMut() -> Result<T, NetError>) -> T {
    loop {
        match attempt() {
            Err(NetError::AddressInUse) => {}
            result => return result.unwrap(),
        }
    }
}

#[test]
fn the_machine_lends_another_port() {
    let (machine, listener, datagrams, free) = until_free(|| {
        let free = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listen = |protocol| Listen { protocol, port: 80, host_port: free.port() };
        let machine =
            Machine::new(Policy { listen: vec![listen(Protocol::Tcp), listen(Protocol::Udp)], ..Policy::default() });
        let local = "127.0.0.1:80".parse().unwrap();
        let listener = machine.network.bind_tcp(local)?.listen(1, &TcpOptions::default())?;
        let datagrams = machine.network.bind_udp(local)?;
        Ok((machine, listener, datagrams, free))
    });
    assert_eq!(listener.local().port(), 80);
    let _client = net::TcpStream::connect(free).unwrap();
    assert_eq!(machine.accept(&*listener).local().port(), 80);
    assert_eq!(datagrams.local().port(), 80);
    let client = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"x", free).unwrap();
    let (_, from) = machine.wait(|context| datagrams.poll_receive(&mut [0], context)).unwrap();
    assert_eq!(from, client.local_addr().unwrap());
}

#[test]
fn options_are_kept_and_go_to_what_is_accepted() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let machine = Machine::usual();
        let options = TcpOptions {
            keep_alive: true,
            keep_alive_idle_ns: 1_500_000_000,
            keep_alive_interval_ns: 3_000_000_000,
            keep_alive_count: 5,
            hop_limit: 7,
            receive_buffer_bytes: Some(50_000),
            send_buffer_bytes: Some(60_000),
        };
        let listener = machine.network.bind_tcp(local.parse().unwrap()).unwrap().listen(1, &options).unwrap();
        let _client = net::TcpStream::connect(listener.local()).unwrap();
        let stream = machine.accept(&*listener);
        let rounded = TcpOptions { keep_alive_idle_ns: 2_000_000_000, ..options };
        assert_eq!(stream.options(), Ok(rounded));
        let changed = TcpOptions { keep_alive: false, hop_limit: 8, ..rounded };
        stream.set_options(&changed).unwrap();
        assert_eq!(stream.options(), Ok(changed));
        assert_eq!(stream.set_options(&TcpOptions { hop_limit: 0, ..changed }), Err(NetError::InvalidArgument));
        let socket = machine.network.bind_udp(local.parse().unwrap()).unwrap();
        let options = UdpOptions { hop_limit: 9, receive_buffer_bytes: Some(50_000), send_buffer_bytes: Some(60_000) };
        socket.set_options(&options).unwrap();
        assert_eq!(socket.options(), Ok(options));
    }
}

#[test]
fn the_machine_is_set_up_and_knows_itself() {
    let machine = Machine::usual();
    assert_eq!(machine.wait(|context| machine.network.poll_configured(context)), Ok(()));
    assert!(!machine.network.status().nameservers.is_empty());
    assert!(machine.network.hosts("no such name").is_empty());
}
