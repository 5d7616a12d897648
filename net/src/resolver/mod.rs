//! Names to addresses: DNS (RFC 1035) over the sockets of whatever [`Network`] there is, our own stack's or an operating system's.
//!
//! ```text
//!   literal address, localhost -> Network::hosts -> cache -> name servers, over UDP, and over TCP if an answer is cut off
//! ```
//!
//! Both kinds of addresses are asked for at once. A server that does not answer in [`ANSWER_NS`] gives way to the next; all are asked
//! [`ROUNDS`] times. Whoever wants to forge an answer must guess a port and an identifier, both random (RFC 5452), and send from the
//! server's address.

mod cache;
mod message;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};
use mwasm_ports::network::{NetError, Network, TcpOptions, UdpSocket};
use mwasm_ports::{Clock, NANOS_PER_SECOND};
use spin::Mutex;

use crate::secret::Secret;
use cache::Cache;
use message::{Answer, Family, answer, canonical, question};

/// How long a name server may take, in nanoseconds.
pub const ANSWER_NS: u64 = 2 * NANOS_PER_SECOND;
/// How often every name server is asked.
pub const ROUNDS: usize = 3;
/// The most name servers that are asked.
const MAX_SERVERS: usize = 3;
/// How many names are asked for in turn, each the alias of the one before.
const MAX_ALIASES: usize = 8;
/// The longest answer that is taken over UDP, in bytes: more than any server sends to a question without EDNS (RFC 1035, section 2.3.4).
const DATAGRAM_BYTES: usize = 4096;
/// The most datagrams that are looked at before a server counts as silent. A forger can send many.
const MAX_DATAGRAMS: usize = 256;

/// Wakes somebody at a time.
pub trait Timer: Send + Sync {
    /// Ready at `deadline_ns` on the monotonic clock; may end early.
    fn sleep_until(&self, deadline_ns: u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Looks names up, and remembers what it found.
pub struct Resolver {
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    state: Mutex<State>,
}

struct State {
    secret: Secret,
    cache: Cache,
}

impl Resolver {
    /// A resolver with an empty cache. `seed` must be a secret: the numbers of questions follow from it.
    pub fn new(clock: Arc<dyn Clock>, timer: Arc<dyn Timer>, seed: u64) -> Self {
        let state = State { secret: Secret::new(seed), cache: Cache::default() };
        Self { clock, timer, state: Mutex::new(state) }
    }

    /// The addresses of `name`, which may also be an address as text; never empty. Errors are [`NetError::InvalidArgument`] for what is no
    /// name, [`NetError::NameUnresolvable`], [`NetError::TemporaryResolverFailure`] and [`NetError::PermanentResolverFailure`].
    pub async fn resolve(&self, network: &Arc<dyn Network>, name: &str) -> Result<Vec<IpAddr>, NetError> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(alloc::vec![address]);
        }
        let name = canonical(name).ok_or(NetError::InvalidArgument)?;
        // RFC 6761, section 6.3.
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(alloc::vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let known = network.hosts(&name);
        if !known.is_empty() {
            return Ok(known);
        }
        if let Some(resolved) = self.state.lock().cache.get(&name, self.clock.monotonic_ns()) {
            return resolved;
        }
        let (resolved, seconds) = match self.ask(network, &name).await {
            Ok((addresses, seconds)) => (Ok(addresses), seconds),
            Err(error) => (Err(error), 0),
        };
        if matches!(resolved, Ok(_) | Err(NetError::NameUnresolvable)) {
            self.state.lock().cache.insert(&name, &resolved, seconds, self.clock.monotonic_ns());
        }
        resolved
    }

    /// Asks the name servers for both kinds of addresses, and for how long they hold in seconds.
    async fn ask(&self, network: &Arc<dyn Network>, name: &str) -> Result<(Vec<IpAddr>, u32), NetError> {
        let configured = poll_fn(|context| network.poll_configured(context)).await;
        configured.map_err(|_| NetError::TemporaryResolverFailure)?;
        let status = network.status();
        let servers: Vec<SocketAddr> = status.nameservers.into_iter().take(MAX_SERVERS).collect();
        // IPv6 first where it leads anywhere (RFC 6724, section 6, rules 1 and 2).
        let leads = |(address, _): &(IpAddr, u8)| match address {
            IpAddr::V6(address) => !(address.is_loopback() || address.is_unicast_link_local()),
            IpAddr::V4(_) => false,
        };
        let families = match status.addresses.iter().any(leads) {
            true => [Family::V6, Family::V4],
            false => [Family::V4, Family::V6],
        };
        let mut found = both(families.map(|family| self.ask_for(network, &servers, name, family))).await;
        found.sort_by_key(Result::is_err);
        let mut addresses = Vec::new();
        let mut seconds = u32::MAX;
        let mut error = NetError::NameUnresolvable;
        for one in found {
            match one {
                Ok((more, for_seconds)) => {
                    addresses.extend(more);
                    seconds = seconds.min(for_seconds);
                }
                // That nobody answered weighs more than that there is no address of one kind.
                Err(NetError::NameUnresolvable) => {}
                Err(other) => error = other,
            }
        }
        if addresses.is_empty() { Err(error) } else { Ok((addresses, seconds)) }
    }

    /// Asks for addresses of one kind, and follows aliases.
    async fn ask_for(
        &self,
        network: &Arc<dyn Network>,
        servers: &[SocketAddr],
        name: &str,
        family: Family,
    ) -> Result<(Vec<IpAddr>, u32), NetError> {
        let mut name = String::from(name);
        for _ in 0..MAX_ALIASES {
            match self.ask_servers(network, servers, &name, family).await? {
                Answer::Addresses(addresses, seconds) => return Ok((addresses, seconds)),
                Answer::Alias(alias) => name = canonical(&alias).ok_or(NetError::NameUnresolvable)?,
                _ => return Err(NetError::NameUnresolvable),
            }
        }
        Err(NetError::NameUnresolvable)
    }

    /// Asks one server after the other, until one knows.
    async fn ask_servers(
        &self,
        network: &Arc<dyn Network>,
        servers: &[SocketAddr],
        name: &str,
        family: Family,
    ) -> Result<Answer, NetError> {
        let mut refused = 0;
        for _ in 0..ROUNDS {
            for server in servers {
                let answered = self.ask_server(network, *server, name, family).await;
                match answered {
                    Ok(Some(Answer::Refused)) => refused += 1,
                    Ok(Some(Answer::Failed | Answer::Truncated) | None) => {}
                    Ok(Some(answer)) => return Ok(answer),
                    Err(NetError::AccessDenied) => return Err(NetError::AccessDenied),
                    // No way to this server now; perhaps to the next.
                    Err(_) => {}
                }
            }
        }
        let all_refused = refused > 0 && refused == ROUNDS * servers.len();
        Err(if all_refused { NetError::PermanentResolverFailure } else { NetError::TemporaryResolverFailure })
    }

    /// Asks one server once; `None`: it did not answer in time.
    async fn ask_server(
        &self,
        network: &Arc<dyn Network>,
        server: SocketAddr,
        name: &str,
        family: Family,
    ) -> Result<Option<Answer>, NetError> {
        let id = self.state.lock().secret.random() as u16;
        let question = question(id, name, family);
        let deadline_ns = self.clock.monotonic_ns() + ANSWER_NS;
        let socket = network.bind_udp(any(server))?;
        let sent = self.in_time(deadline_ns, |context| socket.poll_send(&question, server, context)).await;
        let Some(sent) = sent else { return Ok(None) };
        sent?;
        let read = |message: &[u8]| answer(message, id, name, family);
        match self.hear(&*socket, server, deadline_ns, read).await? {
            Some(Answer::Truncated) => {}
            heard => return Ok(heard),
        }
        let stream = network.bind_tcp(any(server))?.connect(server, &TcpOptions::default())?;
        let Some(connected) = self.in_time(deadline_ns, |context| stream.poll_connected(context)).await else {
            return Ok(None);
        };
        connected?;
        // Over TCP, the length goes first (RFC 1035, section 4.2.2).
        let length = u16::try_from(question.len()).map_err(|_| NetError::InvalidArgument)?.to_be_bytes();
        let mut outgoing = [&length[..], &question].concat();
        while !outgoing.is_empty() {
            let sent = self.in_time(deadline_ns, |context| stream.poll_send(&outgoing, context)).await;
            let Some(sent) = sent else { return Ok(None) };
            outgoing.drain(..sent?);
        }
        let mut incoming = Vec::new();
        let mut piece = [0; 512];
        loop {
            if let Some((length, message)) = incoming.split_first_chunk::<2>()
                && let Some(message) = message.get(..usize::from(u16::from_be_bytes(*length)))
            {
                return Ok(read(message));
            }
            let received = self.in_time(deadline_ns, |context| stream.poll_receive(&mut piece, context)).await;
            match received {
                None => return Ok(None),
                Some(received) => match received? {
                    0 => return Ok(Some(Answer::Failed)),
                    bytes => incoming.extend_from_slice(&piece[..bytes]),
                },
            }
        }
    }

    /// Waits for the answer of `server` among all that comes.
    async fn hear(
        &self,
        socket: &dyn UdpSocket,
        server: SocketAddr,
        deadline_ns: u64,
        read: impl Fn(&[u8]) -> Option<Answer>,
    ) -> Result<Option<Answer>, NetError> {
        let mut buffer = alloc::vec![0; DATAGRAM_BYTES];
        for _ in 0..MAX_DATAGRAMS {
            let received = self.in_time(deadline_ns, |context| socket.poll_receive(&mut buffer, context)).await;
            let Some(received) = received else { return Ok(None) };
            let (bytes, from) = received?;
            if from == server
                && let Some(answer) = read(&buffer[..bytes])
            {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// What `poll` gives, or nothing if it takes too long.
    async fn in_time<T>(&self, deadline_ns: u64, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        let mut sleep = self.timer.sleep_until(deadline_ns);
        poll_fn(|context| {
            if let Poll::Ready(output) = poll(context) {
                return Poll::Ready(Some(output));
            }
            while sleep.as_mut().poll(context).is_ready() {
                if self.clock.monotonic_ns() >= deadline_ns {
                    return Poll::Ready(None);
                }
                sleep = self.timer.sleep_until(deadline_ns);
            }
            Poll::Pending
        })
        .await
    }
}

/// Any address and port of the family of `like`.
fn any(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}

/// Waits for both futures at once.
async fn both<F: Future>(futures: [F; 2]) -> [F::Output; 2] {
    let [one, other] = futures;
    let (mut one, mut other) = (core::pin::pin!(one), core::pin::pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(move |context| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(context)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(one), Some(other)) => Poll::Ready([one, other]),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}
