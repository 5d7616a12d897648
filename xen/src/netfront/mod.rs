//! The network of a domain (`xen/include/public/io/netif.h`): a [`NetDevice`] whose other half, *netback*, is in another domain, most
//! often a bridge in the control domain.
//!
//! ```text
//!             stack                                            netback
//!        transmit | receive                            maps or copies | copies into
//!                 v                                                   v
//!   buffers (pages) --lent by grants--> two shared rings --> vif1.0 --> bridge --> wire
//! ```
//!
//! * [`lifecycle`]: how the two halves find each other, in xenstore, and part again.
//! * [`transmit`], [`receive`]: the two directions, each a ring and a fixed set of [buffers](buffer).
//! * [`protocol`]: what is in the rings' slots.
//!
//! Frames are not copied here, except those of several pages, which are put together. Each side asks the other for an event only when it
//! has nothing left to do, so a batch of frames costs one.

mod buffer;
mod lifecycle;
mod protocol;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use crate::kernel::Kernel;
use crate::xenbus::Store;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::task::{Context, Waker};
use lifecycle::{Device, Offer};
use mwasm_ports::net_device::{
    ETHERNET_HEADER_BYTES, NetDevice, NetDeviceError, NetDeviceInfo, ReceivedChecksum, TransmitChecksum,
};
use receive::Receiver;
use spin::Mutex;
use transmit::Transmitter;

/// What to say where the domain has no network.
pub const NO_DEVICE: &str = "the app uses the network and this domain has no network device; give it one: vif=['bridge=xenbr0'] in its configuration";
const NO_ANSWER: &str =
    "the network device's backend does not come up: is netback running in the domain that has the bridge?";
const NO_MEMORY: &str = "no memory for the network device; give the domain more memory";
const NO_PORT: &str = "Xen gives this domain no more event channels";
/// Bytes of a tag of a virtual LAN, which a frame may have in addition.
const TAG_BYTES: usize = 4;

/// What a device is made of, for the stack and for the device's [life](lifecycle).
struct Shared {
    kernel: &'static dyn Kernel,
    info: NetDeviceInfo,
    up: AtomicBool,
    core: Mutex<Core>,
}

struct Core {
    transmitter: Transmitter,
    receiver: Receiver,
    /// The event channels to the backend, while there is one: for sent and for received frames.
    ports: Option<(u32, u32)>,
    /// How a backend broke the protocol. The device is not used any more.
    broken: Option<&'static str>,
}

/// What the backend has to know.
struct Wires {
    transmit_ring: u32,
    receive_ring: u32,
    transmit_port: u32,
    receive_port: u32,
}

impl Shared {
    /// Prepares both directions for the backend in domain `remote`.
    fn connect(&self, remote: u16, split: bool) -> Result<Wires, &'static str> {
        let port = || self.kernel.allocate_port(remote).map_err(|_| NO_PORT);
        let transmit_port = port()?;
        let receive_port =
            if split { port().inspect_err(|_| self.kernel.close_port(transmit_port))? } else { transmit_port };
        let mut core = self.core.lock();
        core.ports = Some((transmit_port, receive_port));
        let (transmit_ring, receive_ring) = (core.transmitter.connect(remote), core.receiver.connect(remote));
        Ok(Wires { transmit_ring, receive_ring, transmit_port, receive_port })
    }

    /// Uses the rings no more; returns the event channels, if there were any.
    fn stop(&self) -> Option<(u32, u32)> {
        self.set_link(false);
        self.core.lock().ports.take()
    }

    /// Takes back what was lent to a backend that has closed. It is an error if it still uses something.
    fn take_back(&self, ports: Option<(u32, u32)>) -> Result<(), &'static str> {
        let Some((transmit, receive)) = ports else { return Ok(()) };
        self.kernel.close_port(transmit);
        if transmit != receive {
            self.kernel.close_port(receive);
        }
        let mut core = self.core.lock();
        let (sent, received) = (core.transmitter.disconnect(), core.receiver.disconnect());
        if sent && received { Ok(()) } else { Err("a backend that has closed, and still uses this domain's memory") }
    }

    fn set_link(&self, up: bool) {
        if self.up.swap(up, Relaxed) == up {
            return;
        }
        self.kernel.ring();
        if let Some((transmit, receive)) = self.core.lock().ports.filter(|_| up) {
            // What was written while the backend could not listen.
            self.kernel.notify(transmit);
            self.kernel.notify(receive);
        }
    }

    fn broken(&self) -> Option<&'static str> {
        self.core.lock().broken
    }

    /// The backend broke the protocol: the device is down, and its life ends.
    fn give_up(&self, how: &'static str) {
        self.up.store(false, Relaxed);
        self.core.lock().broken.get_or_insert(how);
        self.kernel.store_news().fetch_add(1, Relaxed);
        self.kernel.ring();
    }
}

/// The network device of a domain.
pub struct Netfront {
    shared: Arc<Shared>,
    /// The device's life; `None` when it has ended.
    life: Mutex<Option<Life>>,
    /// The count of xenstore's news when the life went on last.
    seen: AtomicU32,
}

type Life = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Netfront {
    /// Opens the domain's first network device. Waits for xenstore and for the backend's offer, and leaves it to later calls to connect:
    /// the device is down until then.
    pub fn open(kernel: &'static dyn Kernel) -> Result<Self, &'static str> {
        let store = Store::new(kernel);
        let find = async {
            let device = Device::find(&store).await?;
            let offer = device.offer(&store).await?;
            Some((device, offer))
        };
        let (device, offer) = wait(kernel, find).ok_or(NO_ANSWER)?.ok_or(NO_DEVICE)?;
        Self::start(kernel, device, offer)
    }

    fn start(kernel: &'static dyn Kernel, device: Device, offer: Offer) -> Result<Self, &'static str> {
        let (mac, mtu_bytes) = (device.mac, device.mtu_bytes);
        let info = NetDeviceInfo { mac, mtu_bytes, transmit_checksums: offer.checksums };
        let max_bytes = ETHERNET_HEADER_BYTES + TAG_BYTES + usize::from(mtu_bytes);
        let core = Mutex::new(Core {
            transmitter: Transmitter::new(kernel, max_bytes).map_err(|_| NO_MEMORY)?,
            receiver: Receiver::new(kernel, max_bytes).map_err(|_| NO_MEMORY)?,
            ports: None,
            broken: None,
        });
        let shared = Arc::new(Shared { kernel, info, up: AtomicBool::new(false), core });
        let life: Life = Box::pin(lifecycle::live(shared.clone(), device, offer));
        let seen = AtomicU32::new(kernel.store_news().load(Relaxed).wrapping_sub(1));
        let netfront = Self { shared, life: Mutex::new(Some(life)), seen };
        netfront.go_on();
        Ok(netfront)
    }

    /// Lets the device's life go on, if xenstore had news.
    fn go_on(&self) {
        let news = self.shared.kernel.store_news().load(Relaxed);
        if self.seen.load(Relaxed) == news {
            return;
        }
        self.seen.store(news, Relaxed);
        let mut life = self.life.lock();
        let ended = life.as_mut().is_some_and(|life| poll(life.as_mut()).is_some());
        if ended {
            *life = None;
        }
    }

    /// Lets `f` use the device's insides, while it is connected. What `f` says of the backend ends the device.
    fn with<R>(&self, f: impl FnOnce(&mut Core, (u32, u32)) -> Result<R, NetDeviceError>) -> Result<R, NetDeviceError> {
        let result = {
            let mut core = self.shared.core.lock();
            match (core.broken, core.ports) {
                (Some(how), _) => return Err(NetDeviceError::Broken(how)),
                (None, None) => return Err(NetDeviceError::Down),
                (None, Some(ports)) => f(&mut core, ports),
            }
        };
        if let Err(NetDeviceError::Broken(how)) = result {
            self.shared.give_up(how);
            // The life hears of it and takes back what was lent.
            self.go_on();
        }
        result
    }
}

impl NetDevice for Netfront {
    fn info(&self) -> NetDeviceInfo {
        self.shared.info
    }

    fn is_up(&self) -> bool {
        self.go_on();
        self.shared.up.load(Relaxed)
    }

    fn has_frame(&self) -> bool {
        self.go_on();
        // What is wrong is for `receive` to say.
        self.with(|core, _| Ok(core.receiver.has_frame().unwrap_or(true))) == Ok(true)
    }

    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError> {
        self.go_on();
        match self.with(|core, _| core.receiver.receive(take).map_err(NetDeviceError::Broken)) {
            Err(NetDeviceError::Down) => Ok(false),
            result => result,
        }
    }

    fn has_room(&self) -> bool {
        self.is_up()
            && self.with(|core, _| {
                core.transmitter.reap().map_err(NetDeviceError::Broken)?;
                Ok(core.transmitter.has_room())
            }) == Ok(true)
    }

    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        let up = self.is_up();
        self.with(|core, _| {
            if !up {
                return Err(NetDeviceError::Down);
            }
            core.transmitter.reap().map_err(NetDeviceError::Broken)?;
            core.transmitter.write(bytes, fill)
        })
    }

    fn flush(&self) {
        let kernel = self.shared.kernel;
        // A device that is down or broken has nothing to flush.
        let _ = self.with(|core, ports| {
            let (sent, offered) = (core.transmitter.show(), core.receiver.show());
            if sent {
                kernel.notify(ports.0);
            }
            if offered && !(sent && ports.0 == ports.1) {
                kernel.notify(ports.1);
            }
            // Both, without a short cut: each asks.
            if core.receiver.ask_for_frame() | core.transmitter.ask_for_room() {
                kernel.ring();
            }
            Ok(())
        });
    }
}

/// Polls a future once. Nothing wakes it: it is polled when there are news.
fn poll<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        core::task::Poll::Ready(value) => Some(value),
        core::task::Poll::Pending => None,
    }
}

/// Waits until a future that talks to xenstore is ready; `None` if xenstore has nothing to say.
fn wait<T>(kernel: &dyn Kernel, future: impl Future<Output = T>) -> Option<T> {
    let mut future = core::pin::pin!(future);
    loop {
        if let Some(value) = poll(future.as_mut()) {
            return Some(value);
        }
        if !kernel.wait_for_store() {
            return None;
        }
    }
}
