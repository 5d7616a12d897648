//! A server without an app, on a network that is a script: what each client sends at what time, and what it got.

use super::*;
use crate::http::{Incoming, Outgoing, Responder};
use alloc::collections::VecDeque;
use core::task::Waker;
use mwasm_http::{BodyLength, Headers};
use mwasm_ports::fake::Machine;
use mwasm_ports::network::{NetStatus, TcpBound, UdpSocket};
use spin::Mutex;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// One client.
#[derive(Default)]
struct Wire {
    /// What it sends, and when; an empty text is the end.
    script: VecDeque<(u64, Vec<u8>)>,
    /// What it got, by send.
    got: Vec<Vec<u8>>,
    /// How many bytes it takes, if it does not take all.
    window: Option<usize>,
    /// The server ended its side.
    is_shut: bool,
    was_reset: bool,
    /// When the client goes away without a word.
    breaks_at_ns: Option<u64>,
    wakers: Vec<Waker>,
}

impl Wire {
    fn is_broken(&self, now_ns: u64) -> bool {
        self.breaks_at_ns.is_some_and(|at_ns| at_ns <= now_ns)
    }
}

type SharedWire = Arc<Mutex<Wire>>;

struct Socket {
    machine: Arc<Machine>,
    wire: SharedWire,
}

/// Clients that wait to be accepted, and all that there are.
struct Script {
    machine: Arc<Machine>,
    waiting: Mutex<VecDeque<SharedWire>>,
    wires: Vec<SharedWire>,
}

fn here() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 80)
}

impl Network for Script {
    fn advance(&self) {
        let now_ns = self.machine.state().now_ns;
        for wire in &self.wires {
            let mut wire = wire.lock();
            if wire.is_broken(now_ns) || wire.script.front().is_some_and(|(at_ns, _)| *at_ns <= now_ns) {
                wire.wakers.drain(..).for_each(Waker::wake);
            }
        }
    }

    fn deadline_ns(&self) -> Option<u64> {
        let waited_for = self.wires.iter().map(|wire| wire.lock());
        let next =
            |wire: &Wire| wire.script.front().map(|(at_ns, _)| *at_ns).into_iter().chain(wire.breaks_at_ns).min();
        waited_for.filter(|wire| !wire.wakers.is_empty()).filter_map(|wire| next(&wire)).min()
    }

    fn status(&self) -> NetStatus {
        NetStatus::default()
    }

    fn poll_configured(&self, _context: &mut Context<'_>) -> Poll<core::result::Result<(), NetError>> {
        Poll::Ready(Ok(()))
    }

    fn bind_tcp(&self, _local: SocketAddr) -> core::result::Result<Box<dyn TcpBound>, NetError> {
        Err(NetError::NotSupported)
    }

    fn bind_udp(&self, _local: SocketAddr) -> core::result::Result<Box<dyn UdpSocket>, NetError> {
        Err(NetError::NotSupported)
    }
}

struct Listener(Arc<Script>);

impl TcpListener for Listener {
    fn local(&self) -> SocketAddr {
        here()
    }

    fn poll_accept(&self, _context: &mut Context<'_>) -> Poll<core::result::Result<Box<dyn TcpStream>, NetError>> {
        match self.0.waiting.lock().pop_front() {
            Some(wire) => Poll::Ready(Ok(Box::new(Socket { machine: self.0.machine.clone(), wire }))),
            None => Poll::Pending,
        }
    }

    fn poll_acceptable(&self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn set_options(&self, _options: &TcpOptions) -> core::result::Result<(), NetError> {
        Ok(())
    }
}

impl TcpStream for Socket {
    fn local(&self) -> SocketAddr {
        here()
    }

    fn remote(&self) -> SocketAddr {
        here()
    }

    fn poll_connected(&self, _context: &mut Context<'_>) -> Poll<core::result::Result<(), NetError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<core::result::Result<usize, NetError>> {
        let now_ns = self.machine.state().now_ns;
        let mut wire = self.wire.lock();
        match wire.script.front_mut() {
            Some((at_ns, bytes)) if *at_ns <= now_ns => {
                let count = bytes.len().min(into.len());
                for (slot, byte) in into.iter_mut().zip(bytes.drain(..count)) {
                    *slot = byte;
                }
                // The end stays.
                if bytes.is_empty() && count > 0 {
                    wire.script.pop_front();
                }
                Poll::Ready(Ok(count))
            }
            _ => {
                wire.wakers.push(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_send(&self, bytes: &[u8], context: &mut Context<'_>) -> Poll<core::result::Result<usize, NetError>> {
        let now_ns = self.machine.state().now_ns;
        let mut wire = self.wire.lock();
        if wire.is_broken(now_ns) {
            return Poll::Ready(Err(NetError::ConnectionReset));
        }
        let count = bytes.len().min(wire.window.unwrap_or(usize::MAX));
        if count == 0 {
            wire.wakers.push(context.waker().clone());
            return Poll::Pending;
        }
        wire.window = wire.window.map(|window| window - count);
        wire.got.push(bytes[..count].into());
        Poll::Ready(Ok(count))
    }

    fn poll_receivable(&self, _context: &mut Context<'_>) -> Poll<()> {
        let now_ns = self.machine.state().now_ns;
        if self.wire.lock().script.front().is_some_and(|(at_ns, _)| *at_ns <= now_ns) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn poll_sendable(&self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn shutdown_send(&self) -> core::result::Result<(), NetError> {
        self.wire.lock().is_shut = true;
        Ok(())
    }

    fn shutdown_receive(&self) -> core::result::Result<(), NetError> {
        Ok(())
    }

    fn abort(&self) {
        self.wire.lock().was_reset = true;
    }

    fn options(&self) -> core::result::Result<TcpOptions, NetError> {
        Ok(TcpOptions::default())
    }

    fn set_options(&self, _options: &TcpOptions) -> core::result::Result<(), NetError> {
        Ok(())
    }
}

/// An app in Rust.
struct App {
    reactor: Arc<Reactor>,
}

impl App {
    async fn read(exchange: &Exchange) -> core::result::Result<Vec<u8>, crate::http::Failure> {
        let mut body = Vec::new();
        loop {
            poll_fn(|context| exchange.poll_readable(context)).await;
            match exchange.read(1000)? {
                Some(bytes) => body.extend(bytes),
                None => return Ok(body),
            }
        }
    }
}

impl Handler for App {
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    async fn handle(&self, request: RequestHead, exchange: Arc<Exchange>) {
        let respond = || exchange.respond(200, &Headers::new(), BodyLength::Unknown);
        match request.path.as_str() {
            "/hello" => {
                respond().unwrap();
                exchange.write(b"hello").unwrap();
                exchange.finish(None).unwrap();
            }
            "/echo" => {
                if let Ok(body) = Self::read(&exchange).await {
                    respond().unwrap();
                    exchange.write(&body).unwrap();
                    exchange.finish(None).unwrap();
                }
            }
            "/half" => {
                respond().unwrap();
                exchange.write(b"half").unwrap();
            }
            "/sleep" => {
                respond().unwrap();
                exchange.write(b"a").unwrap();
                self.reactor.sleep_until(50 * MS).await;
                exchange.write(b"b").unwrap();
                exchange.finish(None).unwrap();
            }
            "/big" => {
                respond().unwrap();
                for _ in 0..100 {
                    poll_fn(|context| exchange.poll_room(context)).await;
                    if exchange.write(&[b'x'; 4096]).is_err() {
                        return;
                    }
                }
                exchange.finish(None).unwrap();
            }
            _ => {}
        }
    }
}

/// What became of a client.
struct Seen {
    /// All that it got.
    text: String,
    sends: usize,
    is_shut: bool,
    was_reset: bool,
}

/// Serves clients, each with what it sends when (in milliseconds), until nothing happens any more.
fn serve(http: Http, windows: &[Option<usize>], clients: &[&[(u64, &str)]]) -> Vec<Seen> {
    serve_on(&Machine::new(1), http, windows, None, clients)
}

/// As [`serve`]; all clients go away at a time (in milliseconds).
fn serve_on(
    machine: &Arc<Machine>,
    http: Http,
    windows: &[Option<usize>],
    breaks_at_ms: Option<u64>,
    clients: &[&[(u64, &str)]],
) -> Vec<Seen> {
    let breaks_at_ns = breaks_at_ms.map(|ms| ms * MS);
    let wire = |(at, script): (usize, &&[(u64, &str)])| {
        let script = script.iter().map(|(ms, text)| (ms * MS, text.as_bytes().to_vec())).collect();
        Arc::new(Mutex::new(Wire {
            script,
            window: windows.get(at).copied().flatten(),
            breaks_at_ns,
            ..Wire::default()
        }))
    };
    let wires: Vec<_> = clients.iter().enumerate().map(wire).collect();
    let waiting = Mutex::new(wires.iter().cloned().collect());
    let script = Arc::new(Script { machine: machine.clone(), waiting, wires: wires.clone() });
    let mut ports = machine.ports();
    ports.network = Some(script.clone());
    let reactor = Reactor::new(ports.clone());
    let app = App { reactor: reactor.clone() };
    let server = Server::new(app, Clock::new(ports.clock.clone()), http, Rc::new(Report::new(ports.console)));
    let listeners: [Box<dyn TcpListener>; 1] = [Box::new(Listener(script))];
    assert_eq!(server.run(&reactor, &listeners), Outcome::Stopped);
    assert!(server.connections.borrow().is_empty());
    let seen = |wire: &SharedWire| {
        let wire = wire.lock();
        Seen {
            text: String::from_utf8(wire.got.concat()).unwrap(),
            sends: wire.got.len(),
            is_shut: wire.is_shut,
            was_reset: wire.was_reset,
        }
    };
    wires.iter().map(seen).collect()
}

fn serve_one(http: Http, client: &[(u64, &str)]) -> Seen {
    serve(http, &[], &[client]).remove(0)
}

const DATE: &str = "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

fn hello() -> String {
    format!("HTTP/1.1 200 OK\r\n{DATE}content-length: 5\r\n\r\nhello")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

#[test]
fn head_and_body_leave_in_one_piece_and_the_connection_is_kept() {
    let request = get("/hello");
    let seen = serve_one(Http::default(), &[(0, &request), (5, &request), (6, "")]);
    assert_eq!((seen.text.as_str(), seen.sends), ([hello(), hello()].concat().as_str(), 2));
}

#[test]
fn answers_to_requests_that_came_together_leave_together() {
    let requests = get("/hello").repeat(3);
    let seen = serve_one(Http::default(), &[(0, &requests), (1, "")]);
    assert_eq!((seen.text.as_str(), seen.sends), (hello().repeat(3).as_str(), 1));
}

#[test]
fn what_is_written_leaves_when_the_app_waits() {
    let seen = serve_one(Http::default(), &[(0, &get("/sleep")), (100, "")]);
    let answer = format!("HTTP/1.1 200 OK\r\n{DATE}transfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    assert_eq!((seen.text, seen.sends), (answer, 2));
}

#[test]
fn a_body_comes_in_pieces_after_it_was_asked_for() {
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
    let seen = serve_one(Http::default(), &[(0, head), (10, "ab"), (20, "cd"), (30, "")]);
    let answer = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{DATE}content-length: 4\r\n\r\nabcd");
    assert_eq!(seen.text, answer);
}

#[test]
fn an_app_that_answers_nothing_or_half_is_answered_for() {
    let seen = serve_one(Http::default(), &[(0, &get("/nothing")), (1, "")]);
    assert!(seen.text.starts_with("HTTP/1.1 500 ") && seen.is_shut && !seen.was_reset, "{}", seen.text);
    let seen = serve_one(Http::default(), &[(0, &get("/half")), (1, "")]);
    assert!(seen.was_reset);
}

/// A client that sends its head byte by byte would hold a connection for ever if each byte bought it time.
#[test]
fn a_slow_head_is_answered_408_and_an_idle_connection_closed() {
    let http = Http { receive_timeout_ms: 1000, idle_timeout_ms: 2000, ..Http::default() };
    let drip: Vec<_> = (0..10).map(|at| (at * 400, "G")).collect();
    let seen = serve_one(http, &drip);
    assert!(seen.text.starts_with("HTTP/1.1 408 ") && seen.is_shut, "{}", seen.text);
    let seen = serve_one(http, &[(0, &get("/hello"))]);
    assert!(seen.text == hello() && seen.is_shut && !seen.was_reset);
    let seen = serve_one(http, &[(0, "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")]);
    assert!(seen.text.starts_with("HTTP/1.1 408 ") && seen.is_shut, "{}", seen.text);
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let http = Http { send_timeout_ms: 1000, ..Http::default() };
    let request = get("/big");
    let seen = serve(http, &[Some(5000)], &[&[(0, &request)]]).remove(0);
    assert!(seen.text.len() == 5000 && seen.was_reset);
}

/// An app that waited for room was not told that the client was gone, and its instance was lost until the timeout.
#[test]
fn an_app_that_waits_for_room_sees_that_its_client_is_gone() {
    let (machine, request) = (Machine::new(1), get("/big"));
    serve_on(&machine, Http::default(), &[Some(5000)], Some(10), &[&[(0, &request)]]);
    assert!(machine.state().now_ns < 5 * NANOS_PER_SECOND, "{}", machine.state().now_ns);
}

#[test]
fn what_is_too_large_is_refused() {
    let http = Http { max_head_bytes: 100, max_body_bytes: 5, ..Http::default() };
    for (request, status) in [
        (format!("GET /hello HTTP/1.1\r\nhost: {}\r\n\r\n", "a".repeat(100)), "431"),
        ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabcdef".into(), "413"),
        ("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n".into(), "413"),
    ] {
        let seen = serve_one(http, &[(0, &request), (1, "")]);
        assert!(seen.text.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {}", seen.text);
    }
}

#[test]
fn one_client_too_many_is_turned_away_and_others_are_served() {
    let http = Http { max_connections: 1, ..Http::default() };
    let request = get("/hello");
    let client: &[(u64, &str)] = &[(0, &request), (1, "")];
    let seen = serve(http, &[], &[client, client]);
    assert_eq!(seen[0].text, hello());
    assert!(seen[1].text.starts_with("HTTP/1.1 503 ") && seen[1].is_shut, "{}", seen[1].text);
}
