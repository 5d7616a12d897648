//! A world of stacks under virtual time: everything happens at once, and time passes only when nothing can happen.
#![allow(dead_code, missing_docs, reason = "each test uses some of it")]

use mwasm_net::Stack;
use mwasm_net::resolver::Timer;
use mwasm_plan::net::{Ipv4, Ipv6, Net};
use mwasm_ports::Clock;
use mwasm_ports::fake::{LinkEnd, Machine, link};
use mwasm_ports::faulty::{DeviceFaults, FaultyDevice};
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::network::{NetError, Network, TcpListener, TcpOptions, TcpStream, UdpSocket};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

pub const SECOND: u64 = 1_000_000_000;
/// A test that takes longer than this in virtual time hangs.
const MOST_NS: u64 = 4 * 3600 * SECOND;
/// A test that takes more steps than this goes in a circle.
const MOST_STEPS: u64 = 3_000_000;
pub const SERVER: &str = "10.0.0.1";
pub const CLIENT: &str = "10.0.0.2";

/// Something at the other end of a cable that is no stack; says whether it did anything.
type Peer = Box<dyn FnMut(u64) -> bool>;

pub struct World {
    pub machine: Arc<Machine>,
    pub stacks: RefCell<Vec<Arc<Stack>>>,
    devices: RefCell<Vec<Arc<dyn NetDevice>>>,
    peers: RefCell<Vec<Peer>>,
    sleepers: Arc<Sleepers>,
    pub steps: Cell<u64>,
    /// How often devices may call, in nanoseconds: one whose queue was full says so when there is room again.
    pub interrupts: Cell<Option<u64>>,
}

#[derive(Default)]
pub struct Sleepers(Mutex<Vec<(u64, Waker)>>);

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            machine: Machine::new(seed),
            stacks: RefCell::default(),
            devices: RefCell::default(),
            peers: RefCell::default(),
            sleepers: Arc::default(),
            steps: Cell::new(0),
            interrupts: Cell::new(None),
        }
    }

    pub fn stack(&self, device: Arc<dyn NetDevice>, net: &Net<'_>) -> Arc<Stack> {
        let seed = 1000 + self.stacks.borrow().len() as u64;
        let stack = Stack::new(device.clone(), self.machine.clone(), seed, net);
        self.stacks.borrow_mut().push(stack.clone());
        self.devices.borrow_mut().push(device);
        stack
    }

    pub fn peer(&self, peer: impl FnMut(u64) -> bool + 'static) {
        self.peers.borrow_mut().push(Box::new(peer));
    }

    pub fn now(&self) -> u64 {
        self.machine.monotonic_ns()
    }

    pub async fn sleep(&self, ns: u64) {
        let until = self.now() + ns;
        poll_fn(|context| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            self.sleepers.0.lock().unwrap().push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    pub fn timer(&self) -> Arc<dyn Timer> {
        Arc::new(TestTimer(self.machine.clone(), self.sleepers.clone()))
    }

    /// Runs until `future` is done.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        loop {
            self.steps.set(self.steps.get() + 1);
            assert!(self.steps.get() < MOST_STEPS, "the test goes in a circle");
            if woken.0.swap(false, Ordering::Relaxed)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
            for stack in self.stacks.borrow().iter() {
                stack.advance();
            }
            let now = self.now();
            let mut busy = woken.0.load(Ordering::Relaxed);
            for peer in self.peers.borrow_mut().iter_mut() {
                busy |= peer(now);
            }
            if busy || self.devices.borrow().iter().any(|device| device.has_frame()) {
                continue;
            }
            let stacks = self.stacks.borrow();
            let deadlines = stacks.iter().filter_map(|stack| stack.deadline_ns());
            let sleeper = self.sleepers.0.lock().unwrap().iter().map(|(at, _)| *at).min();
            let interrupt = self.interrupts.get().map(|ns| now + ns);
            let Some(next) = deadlines.chain(sleeper).chain(interrupt).min() else {
                panic!("nothing will ever happen")
            };
            assert!(next < MOST_NS, "the test hangs");
            // Whoever asks for now again has had its turn: time goes on a little, so that nobody can stop it.
            let now = if next <= now { now + 1000 } else { next };
            self.machine.state().now_ns = now;
            let mut sleepers = self.sleepers.0.lock().unwrap();
            sleepers.retain(|(at, waker)| {
                if *at <= now {
                    waker.wake_by_ref();
                }
                *at > now
            });
        }
    }
}

struct TestTimer(Arc<Machine>, Arc<Sleepers>);

impl Timer for TestTimer {
    fn sleep_until(&self, deadline_ns: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (machine, sleepers) = (self.0.clone(), self.1.clone());
        Box::pin(poll_fn(move |context| {
            if machine.monotonic_ns() >= deadline_ns {
                return Poll::Ready(());
            }
            sleepers.0.lock().unwrap().push((deadline_ns, context.waker().clone()));
            Poll::Pending
        }))
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A fixed address, and no IPv6.
pub fn fixed(address: &str) -> Net<'static> {
    let ipv4 = Ipv4::Static { address: address.parse().unwrap(), prefix_bits: 24, gateway: None };
    Net { ipv4, ipv6: Ipv6::Off, ..Net::default() }
}

/// A world of a server and a client on a cable that has `faults` both ways.
pub struct Pair {
    pub world: World,
    pub server: Arc<Stack>,
    pub client: Arc<Stack>,
    pub server_end: Arc<LinkEnd>,
    pub client_end: Arc<LinkEnd>,
    pub faulty: [Arc<FaultyDevice>; 2],
}

impl Pair {
    pub fn new(faults: DeviceFaults, seed: u64) -> Self {
        Self::with(faults, seed, &fixed(SERVER), &fixed(CLIENT))
    }

    pub fn with(faults: DeviceFaults, seed: u64, server: &Net<'_>, client: &Net<'_>) -> Self {
        let world = World::new(seed);
        world.interrupts.set((faults.full > 0).then_some(100_000));
        let [server_end, client_end] = link(1500, seed % 2 == 1);
        let faulty = [
            FaultyDevice::new(server_end.clone(), faults, seed * 2),
            FaultyDevice::new(client_end.clone(), faults, seed * 2 + 1),
        ];
        let server = world.stack(faulty[0].clone(), server);
        let client = world.stack(faulty[1].clone(), client);
        Self { world, server, client, server_end, client_end, faulty }
    }

    pub fn listen(&self, port: u16, backlog: usize) -> Box<dyn TcpListener> {
        listen(&self.server, SocketAddr::new(SERVER.parse().unwrap(), port), backlog)
    }

    pub fn start(&self, port: u16) -> Box<dyn TcpStream> {
        start(&self.client, SocketAddr::new(SERVER.parse().unwrap(), port)).unwrap()
    }

    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.world.run(future)
    }
}

pub fn any(like: SocketAddr) -> SocketAddr {
    if like.is_ipv4() { "0.0.0.0:0".parse().unwrap() } else { "[::]:0".parse().unwrap() }
}

pub fn listen(stack: &Arc<Stack>, local: SocketAddr, backlog: usize) -> Box<dyn TcpListener> {
    stack.bind_tcp(local).unwrap().listen(backlog, &TcpOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

pub fn start(stack: &Arc<Stack>, remote: SocketAddr) -> Result<Box<dyn TcpStream>, NetError> {
    stack.bind_tcp(any(remote))?.connect(remote, &TcpOptions::default())
}

pub async fn connected(stream: &dyn TcpStream) -> Result<(), NetError> {
    poll_fn(|context| stream.poll_connected(context)).await
}

pub async fn accept(listener: &dyn TcpListener) -> Box<dyn TcpStream> {
    poll_fn(|context| listener.poll_accept(context)).await.unwrap_or_else(|error| panic!("{error}"))
}

pub async fn read(stream: &dyn TcpStream, into: &mut [u8]) -> Result<usize, NetError> {
    poll_fn(|context| stream.poll_receive(into, context)).await
}

pub async fn read_to_end(stream: &dyn TcpStream) -> Result<Vec<u8>, NetError> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 16384]);
    loop {
        match read(stream, &mut buffer).await? {
            0 => return Ok(all),
            bytes => all.extend_from_slice(&buffer[..bytes]),
        }
    }
}

pub async fn write_all(stream: &dyn TcpStream, mut bytes: &[u8]) -> Result<(), NetError> {
    while !bytes.is_empty() {
        let taken = poll_fn(|context| stream.poll_send(bytes, context)).await?;
        bytes = &bytes[taken..];
    }
    Ok(())
}

pub async fn receive(socket: &dyn UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (bytes, from) = poll_fn(|context| socket.poll_receive(&mut buffer, context)).await.unwrap();
    buffer.truncate(bytes);
    (buffer, from)
}

pub async fn send(socket: &dyn UdpSocket, bytes: &[u8], to: SocketAddr) -> Result<(), NetError> {
    poll_fn(|context| socket.poll_send(bytes, to, context)).await
}

/// Waits for all of `futures`.
pub async fn all<'a, T>(futures: Vec<Pin<Box<dyn Future<Output = T> + 'a>>>) -> Vec<T> {
    let mut slots: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(|context| {
        for (future, output) in &mut slots {
            if let Some(running) = future
                && let Poll::Ready(done) = running.as_mut().poll(context)
            {
                (*future, *output) = (None, Some(done));
            }
        }
        if slots.iter().all(|(future, _)| future.is_none()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    slots.into_iter().filter_map(|(_, output)| output).collect()
}

/// Bytes that look like no others.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut all = vec![0; bytes];
    mwasm_ports::Entropy::fill(&*Machine::new(seed), &mut all).unwrap();
    all
}

/// FNV-1a, to compare transfers with.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
