//! The app's sockets over our stack, with a peer at the other end of a cable: all of it in memory, under virtual time.

use super::address::Family;
use super::connection::Connection;
use super::dial::Dialer;
use super::names::Names;
use super::tcp::TcpSocket;
use super::udp::UdpSocket;
use super::*;
use crate::reactor::Reactor;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Waker;
use mwasm_net::Stack;
use mwasm_plan::Plan;
use mwasm_plan::net::{Connect, Ipv4, Ipv6, Listen, Net, Policy};
use mwasm_ports::fake::{LinkEnd, Machine, link};
use mwasm_ports::network::{NetStatus, TcpBound, TcpOptions, UdpSocket as UdpPort};

const APP: [u8; 4] = [10, 0, 0, 1];
const PEER: [u8; 4] = [10, 0, 0, 2];

/// The app's stack; whoever drives it drives the peer's, too.
struct Cable {
    app: Arc<Stack>,
    peer: Arc<Stack>,
}

impl Network for Cable {
    fn advance(&self) {
        // Several frames go there and back before time passes.
        for _ in 0..4 {
            self.app.advance();
            self.peer.advance();
        }
    }
    fn deadline_ns(&self) -> Option<u64> {
        self.app.deadline_ns().into_iter().chain(self.peer.deadline_ns()).min()
    }
    fn status(&self) -> NetStatus {
        self.app.status()
    }
    fn poll_configured(&self, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.app.poll_configured(context)
    }
    fn bind_tcp(&self, local: SocketAddr) -> Result<Box<dyn TcpBound>, NetError> {
        self.app.bind_tcp(local)
    }
    fn bind_udp(&self, local: SocketAddr) -> Result<Box<dyn UdpPort>, NetError> {
        self.app.bind_udp(local)
    }
}

struct World {
    state: State,
    reactor: Arc<Reactor>,
    peer: Arc<Stack>,
    cable: Arc<LinkEnd>,
}

fn world(listen: &[&str], connect: &[&'static str], loopback: bool) -> World {
    let machine = Machine::new(1);
    let [app_end, peer_end] = link(1500, false);
    let net = |address: [u8; 4]| {
        let ipv4 = Ipv4::Static { address: address.into(), prefix_bits: 24, gateway: None };
        Net { ipv4, ipv6: Ipv6::Off, ..Net::default() }
    };
    let app = Stack::new(app_end, machine.clone(), 1, &net(APP));
    let peer = Stack::new(peer_end.clone(), machine.clone(), 2, &net(PEER));
    let mut ports = machine.ports();
    ports.network = Some(Arc::new(Cable { app, peer: peer.clone() }));
    let policy = Policy {
        listen: listen.iter().map(|grant| Listen::parse(grant).unwrap()).collect(),
        connect: connect.iter().map(|grant| Connect::parse(grant).unwrap()).collect(),
        loopback,
        ..Policy::default()
    };
    let state = State::new(ports, &Plan { policy, ..Plan::default() });
    World { reactor: state.reactor.clone(), state, peer, cable: peer_end }
}

fn at(ip: [u8; 4], port: u16) -> SocketAddr {
    (ip, port).into()
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 13) as u8).collect()
}

async fn receive_all(connection: &Connection) -> Result<Vec<u8>, NetError> {
    let (mut all, mut buffer) = (Vec::new(), [0; 5000]);
    loop {
        match poll_fn(|context| connection.poll_receive(&mut buffer, context)).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Connects as a guest does: start, wait, finish.
async fn connect(socket: &TcpSocket, remote: SocketAddr) -> Result<Arc<Connection>, Refusal> {
    socket.start_connect(remote)?;
    poll_fn(|context| socket.poll_connect(context)).await;
    socket.finish_connect()
}

fn listen(socket: &TcpSocket, local: SocketAddr) -> Result<(), Refusal> {
    socket.start_bind(local)?;
    socket.finish_bind()?;
    socket.start_listen()?;
    socket.finish_listen()
}

const DENIED: Refusal = Refusal::Network(NetError::AccessDenied);
const WRONG_STATE: Refusal = Refusal::Network(NetError::InvalidState);

/// A write of 0.2 is taken whole, however little the socket takes; a shutdown right behind it must not cut it off.
#[test]
fn all_that_was_written_arrives_before_the_end() {
    let World { state, reactor, peer, .. } = world(&[], &["tcp:10.0.0.2:7"], false);
    let (sent, written) = (text(1_000_000), text(1_000_000));
    let received = reactor.block_on(async {
        let listener = peer.bind_tcp(at(PEER, 7)).unwrap().listen(1, &TcpOptions::default()).unwrap();
        let socket = TcpSocket::of(&state, Family::Ipv4).unwrap();
        let connection = connect(&socket, at(PEER, 7)).await.unwrap();
        let other = Connection::new(poll_fn(|context| listener.poll_accept(context)).await.unwrap());
        let app = async {
            for piece in written.chunks(connection::WRITE_BYTES) {
                poll_fn(|context| connection.poll_sendable(context)).await;
                assert!(connection.room(&reactor).unwrap().unwrap() >= piece.len());
                connection.write(&reactor, piece).unwrap();
            }
            connection.end_sending();
            assert_eq!(connection.room(&reactor), Ok(None));
        };
        futures_util::future::join(app, receive_all(&other)).await.1.unwrap()
    });
    assert!(received.unwrap() == sent);
}

#[test]
fn what_a_dropped_connection_was_given_arrives() {
    let World { state, reactor, peer, .. } = world(&[], &["tcp:10.0.0.2:7"], false);
    let received = reactor.block_on(async {
        let listener = peer.bind_tcp(at(PEER, 7)).unwrap().listen(1, &TcpOptions::default()).unwrap();
        let socket = TcpSocket::of(&state, Family::Ipv4).unwrap();
        let connection = connect(&socket, at(PEER, 7)).await.unwrap();
        let other = Connection::new(poll_fn(|context| listener.poll_accept(context)).await.unwrap());
        connection.write(&reactor, &text(500_000)).unwrap();
        drop((connection, socket));
        receive_all(&other).await.unwrap()
    });
    assert!(received.unwrap() == text(500_000));
}

#[test]
fn a_connection_is_accepted_with_the_options_of_its_listener() {
    let World { state, reactor, peer, .. } = world(&["tcp:80"], &[], false);
    let socket = TcpSocket::of(&state, Family::Ipv4).unwrap();
    socket.set_options(|options| options.hop_limit = 9).unwrap();
    listen(&socket, at([0; 4], 80)).unwrap();
    assert!(socket.is_listening());
    let noop = &mut Context::from_waker(Waker::noop());
    assert!(socket.poll_accept(noop).is_pending());
    let answered = reactor.block_on(async {
        let bound = peer.bind_tcp(at(PEER, 0)).unwrap();
        let other = Connection::new(bound.connect(at(APP, 80), &TcpOptions::default()).unwrap());
        let (accepted, connection) = poll_fn(|context| socket.poll_accept(context)).await.unwrap();
        assert_eq!(accepted.options().unwrap().hop_limit, 9);
        assert_eq!(accepted.local(), Ok(at(APP, 80)));
        assert_eq!(accepted.connection().unwrap().remote().ip(), at(PEER, 0).ip());
        assert!(accepted.start_listen().is_err() && !accepted.is_listening());
        connection.write(&reactor, b"welcome").unwrap();
        connection.end_sending();
        receive_all(&other).await
    });
    assert_eq!(answered.unwrap().unwrap(), b"welcome");
}

#[test]
fn each_step_has_its_state() {
    let World { state, .. } = world(&["tcp:80"], &["tcp:10.0.0.2:7"], false);
    let socket = TcpSocket::of(&state, Family::Ipv4).unwrap();
    assert_eq!(socket.finish_bind(), Err(Refusal::NotInProgress));
    assert_eq!(socket.finish_listen(), Err(Refusal::NotInProgress));
    assert_eq!(socket.finish_connect().err(), Some(Refusal::NotInProgress));
    assert_eq!(socket.start_listen(), Err(WRONG_STATE));
    assert_eq!(socket.local(), Err(NetError::InvalidState));
    // A bind that failed may be tried again.
    assert_eq!(socket.start_bind("[::1]:80".parse().unwrap()), Err(NetError::InvalidArgument.into()));
    assert_eq!(socket.start_bind(at([0; 4], 81)), Err(DENIED));
    assert_eq!(socket.start_bind(at([0; 4], 80)), Ok(()));
    assert_eq!(socket.start_bind(at([0; 4], 80)), Err(Refusal::InProgress));
    assert_eq!(socket.start_listen(), Err(Refusal::InProgress));
    assert_eq!(socket.finish_bind(), Ok(()));
    assert_eq!(socket.finish_bind(), Err(Refusal::NotInProgress));
    assert_eq!(socket.start_bind(at([0; 4], 80)), Err(WRONG_STATE));
    assert_eq!(socket.local(), Ok(at([0; 4], 80)));
    assert_eq!(socket.set_backlog(0), Err(NetError::InvalidArgument));
    assert_eq!(socket.set_backlog(u64::MAX), Ok(()));
    assert_eq!((socket.start_listen(), socket.finish_listen()), (Ok(()), Ok(())));
    assert_eq!(socket.start_listen(), Err(WRONG_STATE));
    assert_eq!(socket.start_connect(at(PEER, 7)), Err(WRONG_STATE));
    assert_eq!(socket.set_backlog(5), Ok(()));
    assert_eq!(socket.connection().err(), Some(NetError::InvalidState));
}

#[test]
fn a_connection_that_fails_closes_its_socket() {
    let World { state, reactor, .. } = world(&[], &["tcp:10.0.0.2:*"], false);
    let socket = TcpSocket::of(&state, Family::Ipv4).unwrap();
    for (remote, wanted) in [
        (at([0; 4], 7), Refusal::Network(NetError::InvalidArgument)),
        (at(PEER, 0), Refusal::Network(NetError::InvalidArgument)),
        (at([10, 0, 0, 3], 7), DENIED),
    ] {
        assert_eq!(socket.start_connect(remote), Err(wanted));
    }
    // Nothing was tried yet, so the socket is as good as new.
    let failed = reactor.block_on(connect(&socket, at(PEER, 7))).unwrap();
    assert_eq!(failed.err(), Some(Refusal::Network(NetError::ConnectionRefused)));
    assert_eq!(socket.start_connect(at(PEER, 7)), Err(WRONG_STATE));
    assert_eq!(socket.options().err(), Some(NetError::InvalidState));
}

#[test]
fn connecting_takes_its_time() {
    let World { state, reactor, peer, .. } = world(&[], &["tcp:10.0.0.2:*"], false);
    let _listener = peer.bind_tcp(at(PEER, 7)).unwrap().listen(1, &TcpOptions::default()).unwrap();
    let socket = TcpSocket::of(&state, Family::Ipv4).unwrap();
    assert_eq!(socket.start_connect(at(PEER, 7)), Ok(()));
    assert_eq!(socket.finish_connect().err(), Some(Refusal::WouldBlock));
    assert_eq!(socket.start_connect(at(PEER, 7)), Err(Refusal::InProgress));
    // An app that never waits, only asks, is connected at last.
    while reactor.now(|context| socket.poll_connect(context)).is_pending() {}
    assert!(socket.finish_connect().is_ok());
    assert_eq!(socket.finish_connect().err(), Some(Refusal::NotInProgress));
    assert_eq!(socket.set_backlog(5), Err(NetError::InvalidState));
}

#[test]
fn what_is_refused_leaves_no_frame() {
    let World { mut state, reactor, cable, .. } = world(&["tcp:80"], &["udp:10.0.0.2:53"], true);
    // What the stack says by itself when it starts.
    reactor.block_on(async { reactor.turn() }).unwrap();
    while cable.take().is_some() {}
    let tcp = TcpSocket::of(&state, Family::Ipv4).unwrap();
    assert_eq!(tcp.start_connect(at(PEER, 53)), Err(DENIED));
    let mut udp = UdpSocket::of(&state, Family::Ipv4).unwrap();
    assert_eq!(udp.bind_any().unwrap().destination(Some(at(PEER, 54))), Err(NetError::AccessDenied));
    let names = Names::of(&mut state).unwrap();
    assert_eq!(names.start("example.org").err(), Some(NetError::AccessDenied));
    assert_eq!(names.start("no name").err(), Some(NetError::InvalidArgument));
    let dialer = Dialer::of(&mut state).unwrap();
    for host in ["10.0.0.2", "example.org"] {
        assert_eq!(reactor.block_on(dialer.connect(host, 80)).unwrap().err(), Some(NetError::AccessDenied));
    }
    reactor.block_on(async { reactor.turn() }).unwrap();
    assert_eq!(cable.take(), None);
}

#[test]
fn a_dialer_finds_what_listens_on_this_machine() {
    let World { mut state, reactor, .. } = world(&[], &[], true);
    let server = TcpSocket::of(&state, Family::Ipv4).unwrap();
    listen(&server, at([127, 0, 0, 1], 8080)).unwrap();
    let dialer = Dialer::of(&mut state).unwrap();
    let remote = reactor.block_on(async { dialer.connect("localhost", 8080).await.map(|stream| stream.remote()) });
    assert_eq!(remote.unwrap(), Ok(at([127, 0, 0, 1], 8080)));
    let refused = reactor.block_on(async { dialer.connect("127.0.0.1", 8081).await.err() });
    assert_eq!(refused.unwrap(), Some(NetError::ConnectionRefused));
}

#[test]
fn a_datagram_may_be_answered_and_no_other_peer_written_to() {
    let World { state, reactor, peer, .. } = world(&["udp:53"], &[], false);
    let mut socket = UdpSocket::of(&state, Family::Ipv4).unwrap();
    assert_eq!(socket.start_bind(at([0; 4], 54)), Err(DENIED));
    assert_eq!((socket.start_bind(at([0; 4], 53)), socket.finish_bind()), (Ok(()), Ok(())));
    let datagrams = socket.datagrams().unwrap();
    assert_eq!(datagrams.destination(Some(at(PEER, 999))), Err(NetError::AccessDenied));
    let client = peer.bind_udp(at(PEER, 999)).unwrap();
    let answer = reactor.block_on(async {
        poll_fn(|context| client.poll_send(b"question", at(APP, 53), context)).await.unwrap();
        let (question, from) = poll_fn(|context| datagrams.poll_receive(context)).await.unwrap();
        assert_eq!((question.as_slice(), from), (b"question".as_slice(), at(PEER, 999)));
        let to = datagrams.destination(Some(from)).unwrap();
        poll_fn(|context| datagrams.poll_send(b"answer", to, context)).await.unwrap();
        let mut buffer = [0; 100];
        let (count, from) = poll_fn(|context| client.poll_receive(&mut buffer, context)).await.unwrap();
        assert_eq!(from, at(APP, 53));
        buffer[..count].to_vec()
    });
    assert_eq!(answer.unwrap(), b"answer");
    assert_eq!(datagrams.destination(Some(at(PEER, 998))), Err(NetError::AccessDenied));
}

#[test]
fn strangers_are_not_heard_on_a_port_of_the_machines_choice() {
    let World { state, reactor, peer, .. } = world(&[], &["udp:10.0.0.2:53"], false);
    let mut socket = UdpSocket::of(&state, Family::Ipv4).unwrap();
    let datagrams = socket.bind_any().unwrap();
    let (server, stranger) = (peer.bind_udp(at(PEER, 53)).unwrap(), peer.bind_udp(at(PEER, 54)).unwrap());
    let port = datagrams.local().port();
    let heard = reactor.block_on(async {
        poll_fn(|context| stranger.poll_send(b"psst", at(APP, port), context)).await.unwrap();
        poll_fn(|context| server.poll_send(b"hello", at(APP, port), context)).await.unwrap();
        poll_fn(|context| datagrams.poll_receive(context)).await
    });
    assert_eq!(heard.unwrap(), Ok((b"hello".to_vec(), at(PEER, 53))));
}

#[test]
fn a_socket_with_one_peer_hears_no_other() {
    let World { state, reactor, peer, .. } = world(&[], &["udp:10.0.0.2:*"], false);
    let mut socket = UdpSocket::of(&state, Family::Ipv4).unwrap();
    let datagrams = socket.bind_any().unwrap();
    assert_eq!(datagrams.destination(None), Err(NetError::InvalidArgument));
    let first = datagrams.set_peer(Some(at(PEER, 2))).unwrap();
    assert_eq!(datagrams.destination(None), Ok(at(PEER, 2)));
    assert_eq!(datagrams.destination(Some(at(PEER, 1))), Err(NetError::InvalidArgument));
    let senders = [1, 2].map(|port| peer.bind_udp(at(PEER, port)).unwrap());
    let to = at(APP, datagrams.local().port());
    let heard = reactor.block_on(async {
        for sender in &senders {
            poll_fn(|context| sender.poll_send(b"x", to, context)).await.unwrap();
        }
        poll_fn(|context| datagrams.poll_receive(context)).await
    });
    assert_eq!(heard.unwrap().unwrap().1, at(PEER, 2));
    assert!(datagrams.set_peer(Some(at(PEER, 2))).unwrap() != first, "old streams must not work on");
    assert_eq!(datagrams.set_peer(Some(at([0; 4], 2))), Err(NetError::InvalidArgument));
}

#[test]
fn without_a_network_nothing_is_made() {
    let mut state = State::new(Machine::new(1).ports(), &Plan::default());
    assert_eq!(TcpSocket::of(&state, Family::Ipv4).err(), Some(NetError::AccessDenied));
    assert_eq!(UdpSocket::of(&state, Family::Ipv6).err(), Some(NetError::AccessDenied));
    assert_eq!(Names::of(&mut state).err(), Some(NetError::AccessDenied));
}
