//! UDP.

use super::*;

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
