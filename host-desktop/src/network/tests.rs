//! Sockets against those of the standard library, on loopback, with the reactor that ships.

use super::*;
use core::future::poll_fn;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use mwasm_host_core::reactor::Reactor;
use mwasm_plan::net::Listen;
use mwasm_ports::Clock;
use mwasm_ports::network::{TcpListener, TcpOptions, TcpStream, UdpOptions};
use std::io::{ErrorKind, Read, Write};
use std::net;
use std::task::Wake;

/// A machine with the kernel's sockets, and its reactor.
struct Machine {
    network: Arc<dyn Network>,
    idle: Arc<dyn Idle>,
    reactor: Arc<Reactor>,
}

impl Machine {
    fn new(policy: Policy<'static>) -> Self {
        let mut ports = Process::ports();
        Linux::open(&mut ports, &Plan { policy, ..Plan::default() }).unwrap();
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

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_server_answers_until_the_client_ends() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let machine = Machine::usual();
        let listener = machine.listen(local, 8);
        let mut client = net::TcpStream::connect(listener.local()).unwrap();
        let stream = machine.accept(&*listener);
        assert_eq!((stream.remote(), stream.local()), (client.local_addr().unwrap(), listener.local()));
        assert_eq!(machine.wait(|context| stream.poll_connected(context)), Ok(()));
        for text in [&b"one"[..], b"another"] {
            client.write_all(text).unwrap();
            assert_eq!(machine.receive(&*stream).unwrap(), text);
            machine.send(&*stream, text);
            let mut echo = vec![0; text.len()];
            client.read_exact(&mut echo).unwrap();
            assert_eq!(echo, text);
        }
        drop(client);
        assert_eq!(machine.receive(&*stream), Ok(Vec::new()));
    }
}

#[test]
fn a_client_connects_from_any_port_or_a_bound_one() {
    let machine = Machine::usual();
    let server = net::TcpListener::bind("127.0.0.1:0").unwrap();
    for local in ["0.0.0.0:0", "127.0.0.1:0"] {
        let stream = machine.connect(local, server.local_addr().unwrap()).unwrap();
        let (mut peer, from) = server.accept().unwrap();
        assert_eq!((stream.local(), stream.remote()), (from, server.local_addr().unwrap()));
        machine.send(&*stream, b"hello");
        drop(stream);
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello", "what was sent is delivered before the end");
    }
    let bound = machine.network.bind_tcp("0.0.0.0:0".parse().unwrap()).unwrap();
    let local = bound.local();
    assert_ne!(local.port(), 0, "a port that is asked for is there");
    assert_eq!(bound.local(), local);
    let stream = bound.connect(server.local_addr().unwrap(), &TcpOptions::default()).unwrap();
    assert_eq!(stream.local().port(), local.port());
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let machine = Machine::usual();
    // Bound, so that no other test listens there.
    let silent = machine.network.bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = silent.local();
    let refused = |result: Result<Box<dyn TcpStream>, NetError>| result.map(drop);
    assert_eq!(refused(machine.connect("0.0.0.0:0", address)), Err(NetError::ConnectionRefused));
    assert_eq!(refused(machine.connect("[::]:0", address)), Err(NetError::InvalidArgument), "the other family");
}

#[test]
fn an_address_is_bound_once_and_only_if_it_is_the_machines() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let bind = |address| machine.network.bind_tcp(address).map(drop);
    assert_eq!(bind(listener.local()), Err(NetError::AddressInUse));
    // TEST-NET-1 (RFC 5737) is nobody's.
    assert_eq!(bind("192.0.2.1:0".parse().unwrap()), Err(NetError::AddressNotBindable));
    let local = listener.local();
    let client = net::TcpStream::connect(local).unwrap();
    let stream = machine.accept(&*listener);
    // This side ends first, so it is the one whose port stays in TIME-WAIT.
    drop((stream, listener));
    drop(client);
    assert!(machine.network.bind_tcp(local).unwrap().listen(1, &TcpOptions::default()).is_ok());
}

#[test]
fn the_families_have_ports_of_their_own() {
    let machine = Machine::usual();
    until_free(|| {
        let six = machine.listen("[::]:0", 1);
        let four = machine.network.bind_tcp(SocketAddr::new([0, 0, 0, 0].into(), six.local().port()))?;
        four.listen(1, &TcpOptions::default()).map(drop)
    });
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
fn connections_that_wait_are_accepted_in_order() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 4);
    assert!(listener.poll_acceptable(&mut noop()).is_pending());
    let clients: Vec<_> = (0..4).map(|_| net::TcpStream::connect(listener.local()).unwrap()).collect();
    machine.wait(|context| listener.poll_acceptable(context));
    for client in &clients {
        assert_eq!(machine.accept(&*listener).remote(), client.local_addr().unwrap());
    }
    assert!(listener.poll_accept(&mut noop()).is_pending());
}

#[test]
fn each_direction_ends_by_itself() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let mut client = net::TcpStream::connect(listener.local()).unwrap();
    let stream = machine.accept(&*listener);
    client.write_all(b"question").unwrap();
    client.shutdown(net::Shutdown::Write).unwrap();
    assert_eq!(machine.receive_all(&*stream), b"question");
    machine.send(&*stream, b"answer");
    stream.shutdown_send().unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
    assert_eq!(machine.wait(|context| stream.poll_send(b"more", context)), Err(NetError::ConnectionBroken));
}

#[test]
fn what_comes_after_the_end_of_receiving_is_not_seen() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let mut client = net::TcpStream::connect(listener.local()).unwrap();
    let stream = machine.accept(&*listener);
    assert!(stream.poll_receivable(&mut noop()).is_pending());
    stream.shutdown_receive().unwrap();
    client.write_all(b"in vain").unwrap();
    assert!(stream.poll_receivable(&mut noop()).is_ready());
    assert_eq!(machine.receive(&*stream), Ok(Vec::new()));
}

#[test]
fn an_aborted_connection_is_reset_at_once() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let mut client = net::TcpStream::connect(listener.local()).unwrap();
    let stream = machine.accept(&*listener);
    stream.abort();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_by_the_other_side_is_told() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let client = net::TcpStream::connect(listener.local()).unwrap();
    let stream = machine.accept(&*listener);
    machine.send(&*stream, b"unread");
    client.peek(&mut [0]).unwrap();
    drop(client);
    assert_eq!(machine.receive(&*stream), Err(NetError::ConnectionReset));
}

/// The end and the last bytes come in one event, and the app reads with a buffer that they do not fill: a short read says that all is
/// taken, but there is no other event to tell of the end.
#[test]
fn an_end_that_came_with_the_last_bytes_is_seen() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let mut client = net::TcpStream::connect(listener.local()).unwrap();
    let stream = machine.accept(&*listener);
    assert!(stream.poll_receive(&mut [0; 8], &mut noop()).is_pending());
    client.write_all(b"last").unwrap();
    drop(client);
    machine.wait(|context| stream.poll_receivable(context));
    assert_eq!(machine.receive(&*stream).unwrap(), b"last");
    assert_eq!(machine.receive(&*stream), Ok(Vec::new()));
}

#[test]
fn a_waker_is_called_once_and_only_by_advance() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let calls = || count.0.load(Ordering::Relaxed);
    assert!(listener.poll_accept(&mut context).is_pending());
    machine.network.advance();
    assert_eq!(calls(), 0);
    let client = net::TcpStream::connect(listener.local()).unwrap();
    assert_eq!(calls(), 0);
    machine.network.advance();
    machine.network.advance();
    assert_eq!(calls(), 1);
    let stream = machine.accept(&*listener);
    assert!(stream.poll_receive(&mut [0], &mut context).is_pending());
    drop((stream, client));
    machine.network.advance();
    assert_eq!((calls(), Arc::strong_count(&count)), (1, 2), "a socket that is gone wakes nobody and keeps nothing");
}

#[test]
fn a_park_ends_with_the_network_whether_the_console_is_waited_for_or_not() {
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 2);
    for interest in [Ready::NETWORK, Ready::NETWORK.with(Ready::CONSOLE_OUT)] {
        assert!(listener.poll_accept(&mut noop()).is_pending());
        let _client = net::TcpStream::connect(listener.local()).unwrap();
        let mut happened = Ready::NONE;
        while !happened.contains(Ready::NETWORK) {
            happened = machine.idle.park(None, interest);
        }
        machine.network.advance();
        assert!(listener.poll_accept(&mut noop()).is_ready());
    }
    let deadline_ns = Process.monotonic_ns() + 1_000_000;
    while Process.monotonic_ns() < deadline_ns {
        assert_eq!(machine.idle.park(Some(deadline_ns), Ready::NETWORK), Ready::NONE);
    }
}

#[test]
fn a_sender_waits_for_a_slow_reader() {
    const BYTES: usize = 16 << 20;
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 1);
    let client = net::TcpStream::connect(listener.local()).unwrap();
    let stream = machine.accept(&*listener);
    let text: Vec<u8> = (0..BYTES).map(|at| (at / 251 + at) as u8).collect();
    let mut sent = 0;
    while let Poll::Ready(count) = stream.poll_send(&text[sent..], &mut noop()) {
        sent += count.unwrap();
    }
    assert!(sent < BYTES && stream.poll_sendable(&mut noop()).is_pending());
    let reader = std::thread::spawn(move || {
        let (mut client, mut all) = (client, Vec::new());
        client.read_to_end(&mut all).unwrap();
        all
    });
    machine.send(&*stream, &text[sent..]);
    drop(stream);
    assert!(reader.join().unwrap() == text);
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
fn datagrams_are_cut_to_the_buffer_and_answered() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let machine = Machine::usual();
        let socket = machine.network.bind_udp(local.parse().unwrap()).unwrap();
        let client = net::UdpSocket::bind(local).unwrap();
        client.send_to(b"question", socket.local()).unwrap();
        let mut buffer = [0; 5];
        let received = machine.wait(|context| socket.poll_receive(&mut buffer, context));
        assert_eq!((received, &buffer), (Ok((5, client.local_addr().unwrap())), b"quest"));
        assert!(socket.poll_receivable(&mut noop()).is_pending(), "the rest is gone");
        let to = client.local_addr().unwrap();
        machine.wait(|context| socket.poll_send(b"answer", to, context)).unwrap();
        let (count, from) = client.recv_from(&mut [0; 16]).unwrap();
        assert_eq!((count, from), (6, socket.local()));
        let too_long = vec![0; 65_536];
        assert_eq!(machine.wait(|context| socket.poll_send(&too_long, to, context)), Err(NetError::DatagramTooLarge));
    }
}

#[test]
fn a_client_of_datagrams_gets_its_port_when_it_sends_or_asks() {
    let machine = Machine::usual();
    let server = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap();
    let sends = machine.network.bind_udp("0.0.0.0:0".parse().unwrap()).unwrap();
    machine.wait(|context| sends.poll_send(b"x", to, context)).unwrap();
    assert_eq!(server.recv_from(&mut [0]).unwrap().1.port(), sends.local().port());
    let asks = machine.network.bind_udp("0.0.0.0:0".parse().unwrap()).unwrap();
    let port = asks.local().port();
    machine.wait(|context| asks.poll_send(b"x", to, context)).unwrap();
    assert_eq!(server.recv_from(&mut [0]).unwrap().1.port(), port);
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

/// The number of descriptors that this process may have.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    // Both ends are this process's; other tests have some, too.
    let connections = 1000.min(descriptors().saturating_sub(200) / 2);
    assert!(connections > 0, "the limit of descriptors is too low for this test: raise it (ulimit -n)");
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 16);
    let mut pairs = Vec::new();
    for _ in 0..connections {
        let client = net::TcpStream::connect(listener.local()).unwrap();
        pairs.push((client, machine.accept(&*listener)));
    }
    for round in 0..3u32 {
        let counts: Vec<_> = pairs.iter().map(|_| Arc::new(Count::default())).collect();
        for ((_, stream), count) in pairs.iter().zip(&counts) {
            let waker = Waker::from(count.clone());
            assert!(stream.poll_receive(&mut [0; 8], &mut Context::from_waker(&waker)).is_pending());
        }
        for (client, _) in &mut pairs {
            client.write_all(&round.to_le_bytes()).unwrap();
        }
        machine.network.advance();
        assert!(counts.iter().all(|count| count.0.load(Ordering::Relaxed) == 1), "one advance takes all events");
        for (_, stream) in &pairs {
            assert_eq!(machine.receive(&**stream).unwrap(), round.to_le_bytes());
        }
    }
}

/// Set in the process that has few descriptors.
const FEW_FILES: &str = "MWASM_TEST_FEW_FILES";

/// A listener without a descriptor left for a connection once told its app so again and again, as fast as it asked.
#[test]
fn without_descriptors_a_listener_rests() {
    if std::env::var_os(FEW_FILES).is_none() {
        let name = "network::tests::without_descriptors_a_listener_rests";
        let script = "ulimit -n 24; exec \"$0\" --exact \"$1\" --test-threads 1";
        let program = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new("sh");
        let output = command.args(["-c", script]).arg(program).arg(name).env(FEW_FILES, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let machine = Machine::usual();
    let listener = machine.listen("127.0.0.1:0", 4);
    let client = net::TcpStream::connect(listener.local()).unwrap();
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    assert_eq!(machine.network.bind_udp("127.0.0.1:0".parse().unwrap()).map(drop), Err(NetError::NewSocketLimit));
    let accepted = machine.wait(|context| listener.poll_accept(context));
    assert_eq!(accepted.map(drop), Err(NetError::NewSocketLimit));
    assert!(machine.network.deadline_ns().is_some_and(|deadline_ns| deadline_ns > Process.monotonic_ns()));
    assert!(listener.poll_accept(&mut noop()).is_pending());
    files.clear();
    assert_eq!(machine.accept(&*listener).remote(), client.local_addr().unwrap());
    assert_eq!(machine.network.deadline_ns(), None);
}

#[test]
fn the_machine_is_set_up_and_knows_itself() {
    let machine = Machine::usual();
    assert_eq!(machine.wait(|context| machine.network.poll_configured(context)), Ok(()));
    assert!(!machine.network.status().nameservers.is_empty());
    assert!(machine.network.hosts("no such name").is_empty());
}
