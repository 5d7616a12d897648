//! The machine's network card without a stack: frames for an app that brings its own protocol.
//!
//! ```text
//!   Links::poll_send    -> NetDevice::transmit, flush -> wire
//!   Links::poll_receive <- a frame that advance() found, and those behind it <- NetDevice::receive <- wire
//! ```
//!
//! A card can go away, and another one come in its place: a device that breaks is closed, and from then on one is asked for, time and
//! again, until there is one. Frames that nobody asked for yet wait in the device's own queue; of these [`RawCard`] takes
//! out one, by which it sees that a device is broken.

mod checksums;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use mwasm_ports::links::{FIRST_PORT, LinkError, LinkPort, Links};
use mwasm_ports::net_device::{ETHERNET_HEADER_BYTES, NetDevice, NetDeviceError, ReceivedChecksum};
use mwasm_ports::network::{NetError, NetStatus, Network, TcpBound, UdpSocket};
use mwasm_ports::{Clock, NANOS_PER_SECOND};
use spin::Mutex;

/// How long it takes at most until a card that came back is seen, in nanoseconds.
const LOOK_EVERY_NS: u64 = NANOS_PER_SECOND / 4;
/// A VLAN tag, in bytes, which the MTU does not count.
const TAG_BYTES: usize = 4;

/// Opens the machine's card; `None`: there is none now.
pub type OpenCard = Box<dyn Fn() -> Option<Arc<dyn NetDevice>> + Send + Sync>;

/// A network that is one card, and has no sockets.
pub struct RawCard {
    clock: Arc<dyn Clock>,
    open: OpenCard,
    state: Mutex<State>,
}

struct State {
    /// `None`: it is gone.
    device: Option<Arc<dyn NetDevice>>,
    /// Whether its cable was plugged in when it was looked at.
    up: bool,
    /// When to look for another one.
    look_at_ns: u64,
    /// A frame that was taken out of the device.
    ahead: Option<Vec<u8>>,
    /// How often the port has changed, from 1 on.
    version: u64,
    receivers: Vec<Waker>,
    senders: Vec<Waker>,
    watchers: Vec<Waker>,
}

impl RawCard {
    /// A network of a card that is there; `open` is asked for another one when it is gone.
    pub fn new(device: Arc<dyn NetDevice>, clock: Arc<dyn Clock>, open: OpenCard) -> Arc<Self> {
        let up = device.is_up();
        let state = State {
            device: Some(device),
            up,
            look_at_ns: 0,
            ahead: None,
            version: 1,
            receivers: Vec::new(),
            senders: Vec::new(),
            watchers: Vec::new(),
        };
        Arc::new(Self { clock, open, state: Mutex::new(state) })
    }

    /// Sees whether the card came, went, or changed.
    fn watch(&self, state: &mut State) {
        let now_ns = self.clock.monotonic_ns();
        if state.device.is_none() && now_ns >= state.look_at_ns {
            state.look_at_ns = now_ns.saturating_add(LOOK_EVERY_NS);
            state.device = (self.open)();
            if let Some(device) = &state.device {
                state.up = device.is_up();
                state.version += 1;
            }
        }
        let Some(device) = state.device.clone() else { return };
        state.look_ahead(&*device);
        if state.device.is_none() {
            state.look_at_ns = now_ns.saturating_add(LOOK_EVERY_NS);
            return;
        }
        state.see(device.is_up());
        // Asks for the next interrupt.
        device.flush();
    }
}

impl State {
    /// Takes the next frame out of the device, unless there is one already; the device is gone if it is broken.
    fn look_ahead(&mut self, device: &dyn NetDevice) {
        if self.ahead.is_none() {
            let ahead = &mut self.ahead;
            let mut keep = |frame: &mut [u8], checksum: ReceivedChecksum| {
                if checksum == ReceivedChecksum::Good {
                    checksums::finish(frame);
                }
                *ahead = Some(frame.to_vec());
            };
            if let Err(NetDeviceError::Broken(_)) = device.receive(&mut keep) {
                self.lose();
            }
        }
    }

    fn lose(&mut self) {
        self.device = None;
        self.ahead = None;
        self.version += 1;
    }

    fn see(&mut self, up: bool) {
        if core::mem::replace(&mut self.up, up) != up {
            self.version += 1;
        }
    }

    /// Those who have something to do now.
    fn take_woken(&mut self, seen: u64) -> Vec<Waker> {
        let mut woken = Vec::new();
        let has_changed = self.version != seen;
        if has_changed || self.ahead.is_some() {
            woken.append(&mut self.receivers);
        }
        if has_changed || self.device.as_ref().is_some_and(|device| device.has_room()) {
            woken.append(&mut self.senders);
        }
        if has_changed {
            woken.append(&mut self.watchers);
        }
        woken
    }

    fn device(&self, port: &str) -> Result<Arc<dyn NetDevice>, LinkError> {
        self.device.clone().filter(|_| port == FIRST_PORT).ok_or(LinkError::NoSuchPort)
    }
}

/// Keeps a waker, once.
fn keep(wakers: &mut Vec<Waker>, context: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
        wakers.push(context.waker().clone());
    }
}

impl Links for RawCard {
    fn ports(&self) -> Vec<LinkPort> {
        let state = self.state.lock();
        let port = |device: &Arc<dyn NetDevice>| {
            let info = device.info();
            LinkPort { name: String::from(FIRST_PORT), mac: info.mac, mtu_bytes: info.mtu_bytes, up: state.up }
        };
        state.device.iter().map(port).collect()
    }

    fn poll_send(&self, port: &str, frame: &[u8], context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let state = &mut *self.state.lock();
        let device = match state.device(port) {
            Ok(device) => device,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let most = ETHERNET_HEADER_BYTES + TAG_BYTES + usize::from(device.info().mtu_bytes);
        if !(ETHERNET_HEADER_BYTES..=most).contains(&frame.len()) {
            return Poll::Ready(Err(LinkError::BadLength));
        }
        if !device.has_room() {
            keep(&mut state.senders, context);
            device.flush();
            return Poll::Pending;
        }
        let sent = device.transmit(frame.len(), &mut |buffer| {
            buffer.iter_mut().zip(frame).for_each(|(to, from)| *to = *from);
            None
        });
        Poll::Ready(match sent {
            Ok(()) => Ok(()),
            Err(NetDeviceError::Full) => {
                keep(&mut state.senders, context);
                device.flush();
                return Poll::Pending;
            }
            Err(NetDeviceError::TooLong) => Err(LinkError::BadLength),
            // Seen by all others when the card is looked at next.
            Err(NetDeviceError::Down) => Err(LinkError::Down),
            Err(NetDeviceError::Broken(_)) => Err(LinkError::NoSuchPort),
        })
    }

    fn flush(&self, port: &str) {
        if let Ok(device) = self.state.lock().device(port) {
            device.flush();
        }
    }

    fn poll_receive(&self, port: &str, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, LinkError>> {
        let state = &mut *self.state.lock();
        let device = match state.device(port) {
            Ok(device) => device,
            Err(error) => return Poll::Ready(Err(error)),
        };
        state.look_ahead(&*device);
        match state.ahead.take() {
            Some(frame) => Poll::Ready(Ok(frame)),
            None => {
                keep(&mut state.receivers, context);
                Poll::Pending
            }
        }
    }

    fn poll_changed(&self, seen: u64, context: &mut Context<'_>) -> Poll<u64> {
        let state = &mut *self.state.lock();
        if state.version != seen {
            return Poll::Ready(state.version);
        }
        keep(&mut state.watchers, context);
        Poll::Pending
    }
}

impl Network for RawCard {
    fn advance(&self) {
        let mut state = self.state.lock();
        let seen = state.version;
        self.watch(&mut state);
        let woken = state.take_woken(seen);
        // Whoever is woken may ask for a frame at once.
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    fn deadline_ns(&self) -> Option<u64> {
        let state = self.state.lock();
        state.device.is_none().then_some(state.look_at_ns)
    }

    fn status(&self) -> NetStatus {
        NetStatus::default()
    }

    fn poll_configured(&self, _context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        Poll::Ready(Err(NetError::NotSupported))
    }

    fn links(&self) -> Option<&dyn Links> {
        Some(self)
    }

    fn bind_tcp(&self, _local: SocketAddr) -> Result<Box<dyn TcpBound>, NetError> {
        Err(NetError::NotSupported)
    }

    fn bind_udp(&self, _local: SocketAddr) -> Result<Box<dyn UdpSocket>, NetError> {
        Err(NetError::NotSupported)
    }
}

#[cfg(test)]
mod tests;
