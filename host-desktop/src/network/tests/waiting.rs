//! Who is woken when, and what happens when there is much or nothing left.

use super::*;

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
        let (passed, text) =
            again("waiting::without_descriptors_a_listener_rests", FEW_FILES, "ulimit -n 24; exec \"$@\"");
        assert!(passed, "{text}");
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
