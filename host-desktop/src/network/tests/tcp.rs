//! TCP: from the first packet to the last.

use super::*;
use std::io::ErrorKind;

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
