//! `mwasm:net/link`: Ethernet frames, for apps that bring their own protocol.
//!
//! ```text
//!   [net] link = ["eth0"]   send, receive  --policy--> Links -> the machine's card
//!                           events         <- what differs from the ports as they were when the app looked last
//! ```
//!
//! A port that is not granted is not there: it is in no list and no event, and its name is answered with `denied`.

use crate::State;
use crate::interface::{Context, interface, plain};
use crate::policy::Policy;
use crate::v03::concurrent;
use crate::v03::streams::pending;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{self, Poll};
use mwasm_ports::links::{LinkError, LinkPort, Links};
use mwasm_ports::network::Network;
use wasmtime::component::{
    Accessor, ComponentType, Destination, Lift, Lower, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// The most frames that one call returns.
const MAX_FRAMES: usize = 256;

/// `mwasm:net/link.error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "no-such-port")]
    NoSuchPort,
    #[component(name = "denied")]
    Denied,
    #[component(name = "too-long")]
    TooLong,
    #[component(name = "full")]
    Full,
    #[component(name = "down")]
    Down,
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::NoSuchPort => Self::NoSuchPort,
            LinkError::BadLength => Self::TooLong,
            LinkError::Down => Self::Down,
        }
    }
}

/// `mwasm:net/link.port`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
struct Port {
    name: String,
    mac: (u8, u8, u8, u8, u8, u8),
    mtu: u32,
    up: bool,
}

impl From<LinkPort> for Port {
    fn from(port: LinkPort) -> Self {
        let [a, b, c, d, e, f] = port.mac;
        Self { name: port.name, mac: (a, b, c, d, e, f), mtu: port.mtu_bytes.into(), up: port.up }
    }
}

/// `mwasm:net/link.event`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
enum Event {
    #[component(name = "added")]
    Added(Port),
    #[component(name = "removed")]
    Removed(String),
    #[component(name = "changed")]
    Changed(Port),
}

/// The machine's ports as far as the policy lets the app see them.
#[derive(Clone)]
struct Granted {
    network: Option<Arc<dyn Network>>,
    policy: Arc<Policy>,
}

impl Granted {
    fn of(state: &State) -> Self {
        Self { network: state.ports.network.clone(), policy: state.policy.clone() }
    }

    fn links(&self) -> Option<&dyn Links> {
        self.network.as_ref()?.links()
    }

    /// The links, for something with a port.
    fn with(&self, port: &str) -> Result<&dyn Links, Error> {
        if !self.policy.link(port) {
            return Err(Error::Denied);
        }
        self.links().ok_or(Error::NoSuchPort)
    }

    fn ports(&self) -> Vec<LinkPort> {
        let mut ports = self.links().map(Links::ports).unwrap_or_default();
        ports.retain(|port| self.policy.may_link(&port.name));
        ports
    }
}

/// Sends all frames, waiting for room; how many were sent before the first that could not be. That one's error is told if it is the
/// first of all.
async fn send(granted: &Granted, port: &str, frames: &[Vec<u8>]) -> Result<u32, Error> {
    let links = granted.with(port)?;
    let mut sent = 0;
    let mut outcome = Ok(());
    for frame in frames {
        outcome = poll_fn(|context| links.poll_send(port, frame, context)).await;
        if outcome.is_err() {
            break;
        }
        sent += 1;
    }
    links.flush(port);
    match outcome {
        Err(error) if sent == 0 => Err(error.into()),
        _ => Ok(sent),
    }
}

/// Waits for a frame, and takes those behind it that are there.
async fn receive(granted: &Granted, port: &str, most: u32) -> Result<Vec<Vec<u8>>, Error> {
    let links = granted.with(port)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(MAX_FRAMES);
    let mut frames = Vec::new();
    poll_fn(|context| {
        while frames.len() < most {
            match links.poll_receive(port, context) {
                Poll::Ready(Ok(frame)) => frames.push(frame),
                Poll::Ready(Err(error)) if frames.is_empty() => return Poll::Ready(Err(error)),
                Poll::Pending if frames.is_empty() => return Poll::Pending,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    Ok(frames)
}

/// What an app that knew the ports `before` has to be told.
fn differences(before: &[LinkPort], now: &[LinkPort]) -> VecDeque<Event> {
    let find = |ports: &[LinkPort], name: &str| ports.iter().find(|port| port.name == name).cloned();
    let gone = before.iter().filter(|port| find(now, &port.name).is_none());
    let mut events: VecDeque<Event> = gone.map(|port| Event::Removed(port.name.clone())).collect();
    for port in now {
        match find(before, &port.name) {
            None => events.push_back(Event::Added(port.clone().into())),
            Some(known) if known != *port => events.push_back(Event::Changed(port.clone().into())),
            Some(_) => {}
        }
    }
    events
}

/// Brings events to the guest.
struct Events {
    granted: Granted,
    /// The number of the last change that was looked at, and the ports after it.
    seen: u64,
    known: Vec<LinkPort>,
    waiting: VecDeque<Event>,
}

impl Events {
    /// Of all that changes from now on.
    fn new(granted: Granted) -> Self {
        let seen = granted.links().map_or(0, |links| {
            match links.poll_changed(0, &mut task::Context::from_waker(task::Waker::noop())) {
                Poll::Ready(seen) => seen,
                Poll::Pending => 0,
            }
        });
        Self { seen, known: granted.ports(), waiting: VecDeque::new(), granted }
    }

    fn poll_waiting(&mut self, context: &mut task::Context<'_>) -> Poll<()> {
        while self.waiting.is_empty() {
            let Some(links) = self.granted.links() else { return Poll::Pending };
            self.seen = task::ready!(links.poll_changed(self.seen, context));
            let now = self.granted.ports();
            self.waiting = differences(&self.known, &now);
            self.known = now;
        }
        Poll::Ready(())
    }
}

impl StreamProducer<State> for Events {
    type Item = Event;
    type Buffer = VecBuffer<Event>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, Event, VecBuffer<Event>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if me.poll_waiting(context).is_pending() {
            return pending(finish);
        }
        // A guest that takes none only asks whether there is something.
        if destination.remaining(store.as_context_mut()) != Some(0) {
            let events: Vec<Event> = me.waiting.drain(..).collect();
            destination.set_buffer(events.into());
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn ports(context: Context<'_>, (): ()) -> Result<(Vec<Port>,)> {
    Ok((Granted::of(context.data()).ports().into_iter().map(Port::from).collect(),))
}

fn granted(accessor: &Accessor<State>) -> Granted {
    accessor.with(|mut access| Granted::of(access.get()))
}

interface! {
    /// `mwasm:net/link@0.1`.
    LINK = "mwasm:net/link", "0.1", "mwasm:net/link@0.1.0" {
        plain, "ports", ports;
        concurrent, "send", |accessor, (port, frames): (String, Vec<Vec<u8>>)| {
            Box::pin(async move { Ok((send(&granted(accessor), &port, &frames).await,)) })
        };
        concurrent, "receive", |accessor, (port, most): (String, u32)| {
            Box::pin(async move { Ok((receive(&granted(accessor), &port, most).await,)) })
        };
        plain, "events", |context, (): ()| {
            let events = Events::new(Granted::of(context.data()));
            Ok((StreamReader::new(context, events)?,))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, up: bool) -> LinkPort {
        LinkPort { name: name.into(), mac: [2, 0, 0, 0, 0, 1], mtu_bytes: 1500, up }
    }

    #[test]
    fn events_are_what_differs() {
        let told = |before: &[LinkPort], now: &[LinkPort]| Vec::from(differences(before, now));
        let [one, down, other] = [("eth0", true), ("eth0", false), ("eth1", true)].map(|(name, up)| [port(name, up)]);
        let event = |kind: fn(Port) -> Event, ports: &[LinkPort; 1]| kind(ports[0].clone().into());
        assert_eq!(told(&one, &one), []);
        assert_eq!(told(&[], &one), [event(Event::Added, &one)]);
        assert_eq!(told(&one, &down), [event(Event::Changed, &down)]);
        let exchanged = [Event::Removed("eth0".into()), event(Event::Added, &other)];
        assert_eq!(told(&one, &other), exchanged);
    }
}
