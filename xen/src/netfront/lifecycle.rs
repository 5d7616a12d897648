//! A network device's life, as xenstore tells it: found, connected, and gone; and found again when somebody attaches one.
//!
//! ```text
//!   device/vif/0   found --> the backend offers (InitWait) --> rings and ports written, Connected --> in use
//!        ^                                                                                              |
//!        +--- the toolstack removes it <--- Closed <--- all taken back <--- the backend is Closing -----+
//! ```

use super::Shared;
use crate::xenbus::{State, Store};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;
use mwasm_ports::net_device::{MAX_MTU_BYTES, MacAddress};

/// Where the domain's network devices are.
const DEVICES: &str = "device/vif";
/// Watches: of [`DEVICES`], and of the backend's directory.
const WATCH_DEVICES: u32 = 0;
const WATCH_BACKEND: u32 = 1;
/// The payload of a frame where nobody says anything else, and the least that IPv6 works with.
const DEFAULT_MTU_BYTES: u16 = 1500;
const MIN_MTU_BYTES: u16 = 1280;
/// What a backend must be able to do; all since Xen 3.4 can.
const NO_COPY: &str = "the backend cannot copy received frames";
/// The device has answered `info` already.
const OTHER_OFFER: &str = "a new backend that computes no checksums in place of one that did";

/// A network device in xenstore.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its directory, relative to the domain's.
    path: String,
    /// The backend's directory.
    backend: String,
    /// The backend's domain.
    remote: u16,
    /// Its address.
    pub mac: MacAddress,
    /// The largest payload of a frame, in bytes.
    pub mtu_bytes: u16,
}

/// What a backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Copy received frames into pages that it is given.
    copies: bool,
    /// An event channel for each direction.
    split: bool,
    /// Take frames of several slots.
    scatter: bool,
    /// Compute checksums of frames with IPv4 and with IPv6.
    pub checksums: bool,
}

impl Device {
    /// The first network device of the domain. What makes no sense is as if it were not there.
    pub async fn find(store: &Store) -> Option<Self> {
        let mut names = store.directory(DEVICES).await;
        names.sort_by_key(|name| name.parse::<u32>().unwrap_or(u32::MAX));
        let path = format!("{DEVICES}/{}", names.first()?);
        let backend = store.read(&format!("{path}/backend")).await?;
        let remote = store.number(&format!("{path}/backend-id")).await?;
        let mac = parse_mac(&store.read(&format!("{path}/mac")).await?)?;
        let mtu_bytes = store.number(&format!("{path}/mtu")).await.unwrap_or(DEFAULT_MTU_BYTES);
        let mtu_bytes = mtu_bytes.clamp(MIN_MTU_BYTES, MAX_MTU_BYTES);
        Some(Self { path, backend, remote, mac, mtu_bytes })
    }

    /// What the backend can do, once it has said so; `None` if the backend goes away.
    pub async fn offer(&self, store: &Store) -> Option<Offer> {
        store.watch(&self.backend, WATCH_BACKEND).await.ok()?;
        loop {
            match store.state(&self.of_backend("state")).await {
                State::InitWait => break,
                State::Unknown if store.read(&self.node("state")).await.is_none() => return None,
                _ => store.changed(WATCH_BACKEND).await,
            }
        }
        let feature = async |name: &str| store.feature(&self.of_backend(name)).await;
        Some(Offer {
            copies: feature("feature-rx-copy").await,
            split: feature("feature-split-event-channels").await,
            scatter: feature("feature-sg").await,
            checksums: !feature("feature-no-csum-offload").await && feature("feature-ipv6-csum-offload").await,
        })
    }

    fn node(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    fn of_backend(&self, name: &str) -> String {
        format!("{}/{name}", self.backend)
    }

    async fn set_state(&self, store: &Store, state: State) {
        // If it is refused, the device has gone, and the next look finds that out.
        let _ = store.write(&self.node("state"), &format!("{}", state as u8)).await;
    }
}

/// Lives with `device`, and with those that come after it. Ends when a backend broke the protocol.
pub async fn live(shared: Arc<Shared>, mut device: Device, mut offer: Offer) {
    let store = Store::new(shared.kernel);
    // Without it no other device is found.
    let _ = store.watch(DEVICES, WATCH_DEVICES).await;
    loop {
        let used = match check(&shared, &device, offer) {
            Ok(()) => serve(&shared, &store, &device, offer).await,
            Err(how) => Err(how),
        };
        store.unwatch(&device.backend, WATCH_BACKEND).await;
        let taken_back = shared.disconnect();
        device.set_state(&store, State::Closed).await;
        if let Err(how) = used.and(taken_back) {
            shared.give_up(how);
            return;
        }
        (device, offer) = next(&store, &device).await;
    }
}

/// Waits until `device` was removed, and another one is there.
async fn next(store: &Store, device: &Device) -> (Device, Offer) {
    while store.read(&device.node("state")).await.is_some() {
        store.changed(WATCH_DEVICES).await;
    }
    loop {
        if let Some(device) = Device::find(store).await
            && let Some(offer) = device.offer(store).await
        {
            return (device, offer);
        }
        store.changed(WATCH_DEVICES).await;
    }
}

/// Whether the backend does what was promised to the stack when the first device was found.
fn check(shared: &Shared, device: &Device, offer: Offer) -> Result<(), &'static str> {
    match offer {
        Offer { copies: false, .. } => Err(NO_COPY),
        Offer { checksums: false, .. } if shared.info.transmit_checksums => Err(OTHER_OFFER),
        Offer { scatter: false, .. } if device.mtu_bytes > DEFAULT_MTU_BYTES => {
            Err("frames of several pages are wanted of a backend that takes none")
        }
        _ => Ok(()),
    }
}

/// Connects, and stays until the backend goes, or breaks the protocol.
async fn serve(shared: &Shared, store: &Store, device: &Device, offer: Offer) -> Result<(), &'static str> {
    let wires = shared.connect(device.remote, offer.split)?;
    let numbers = [("tx-ring-ref", wires.transmit_ring), ("rx-ring-ref", wires.receive_ring)];
    let ports = match offer.split {
        true => [("event-channel-tx", wires.transmit_port), ("event-channel-rx", wires.receive_port)],
        false => [("event-channel", wires.transmit_port), ("event-channel", wires.receive_port)],
    };
    let wishes =
        [("request-rx-copy", 1), ("feature-rx-notify", 1), ("feature-sg", 1), ("feature-ipv6-csum-offload", 1)];
    for (name, value) in numbers.into_iter().chain(ports).chain(wishes) {
        if store.write(&device.node(name), &format!("{value}")).await.is_err() {
            // The device has gone meanwhile.
            return Ok(());
        }
    }
    device.set_state(store, State::Connected).await;
    loop {
        let state = store.state(&device.of_backend("state")).await;
        let carrier = store.number::<u32>(&device.of_backend("carrier")).await;
        shared.set_link(state == State::Connected && carrier != Some(0));
        if matches!(state, State::Closing | State::Closed | State::Unknown) {
            return Ok(());
        }
        poll_fn(|_| match shared.broken() {
            Some(how) => Poll::Ready(Err(how)),
            None if store.fired(WATCH_BACKEND) => Poll::Ready(Ok(())),
            None => Poll::Pending,
        })
        .await?;
    }
}

fn parse_mac(text: &str) -> Option<MacAddress> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let digits =
            parts.next().filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_six_bytes_in_hexadecimal() {
        assert_eq!(parse_mac("00:16:3e:00:aB:05"), Some([0, 0x16, 0x3e, 0, 0xab, 5]));
        for nonsense in ["", "00:16:3e:00:ab", "00:16:3e:00:ab:05:06", "00:16:3e:00:ab:5", "00:16:3e:00:ab:+5", "x"] {
            assert_eq!(parse_mac(nonsense), None, "{nonsense:?}");
        }
    }
}
