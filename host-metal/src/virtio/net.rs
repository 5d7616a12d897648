//! The network device (virtio 1.2, section 5.1): one queue of frames each way.
//!
//! A buffer holds a header and a frame behind it. Frames that come are lent from the buffer that the device wrote to, and frames that
//! go are written to the buffer that the device reads from, so nothing is copied here.
//!
//! Interrupts: while frames are being taken, none are asked for; [`flush`](NetDevice::flush) asks for the next one. What the device
//! has sent is only looked at when no buffer is left, and an interrupt for it is only asked for then.

#[cfg(test)]
mod tests;

use super::header::{self, HEADER_BYTES, LEGACY_HEADER_BYTES, feature};
use super::queue::{Buffers, Lie, Writer};
use crate::doorbell::Doorbell;
use crate::exclusive::Exclusive;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use mwasm_ports::net_device::{
    ETHERNET_HEADER_BYTES, MAX_MTU_BYTES, MacAddress, NetDevice, NetDeviceError, NetDeviceInfo, ReceivedChecksum,
    TransmitChecksum,
};
use virtio_drivers::transport::{DeviceStatus, Transport};
use virtio_drivers::{Hal, PAGE_SIZE};

/// Frames that can come before the first is taken.
pub const RECEIVE_BUFFERS: usize = 128;
/// Frames that can be queued before the device has sent the first.
pub const TRANSMIT_BUFFERS: usize = 128;
/// Indexes of the queues.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// The largest payload of a frame, in bytes, if the device does not say.
const DEFAULT_MTU_BYTES: u16 = 1500;
/// The smallest that makes sense (virtio 1.2, section 5.1.4.1).
const MIN_MTU_BYTES: u16 = 68;
/// Buffers start at multiples of this many bytes: those of the usual size do not cross a page.
const BUFFER_ALIGN: usize = 2048;
/// A frame may carry a tag of this many bytes.
const VLAN_TAG_BYTES: usize = 4;

/// Positions in the configuration, in bytes.
const CONFIG_MAC: usize = 0;
const CONFIG_STATUS: usize = 6;
const CONFIG_MTU: usize = 10;
/// Status: the cable is plugged in.
const STATUS_LINK_UP: u16 = 1;
/// The first bit on the wire: an address of many.
const GROUP_ADDRESS: u8 = 1;
/// How often the status is read until a reset is done, and a configuration until it holds still.
const TRIES: u32 = 1000;

/// A virtio network device in use.
pub struct VirtioNet<H: Hal, T: Transport> {
    info: NetDeviceInfo,
    has_status: bool,
    /// Whether what a header says of a checksum counts.
    trusts_checksums: bool,
    header_bytes: usize,
    bell: &'static Doorbell,
    complain: fn(&'static str),
    up: AtomicBool,
    /// The number of the [`Lie`] that ended the device; 0: none.
    lie: AtomicU8,
    transport: Exclusive<T>,
    receive: Exclusive<Buffers<H, RECEIVE_BUFFERS>>,
    transmit: Exclusive<Transmit<H>>,
}

/// The queue of frames that go.
struct Transmit<H: Hal> {
    buffers: Buffers<H, TRANSMIT_BUFFERS>,
    /// The first `free_count` of these are buffers that the device does not have.
    free: [u16; TRANSMIT_BUFFERS],
    free_count: usize,
    /// Somebody waits for room.
    wanted: bool,
}

/// What the driver and the device agree on.
struct Agreement {
    features: u64,
    info: NetDeviceInfo,
}

impl<H: Hal, T: Transport> VirtioNet<H, T> {
    /// Starts a device. Its interrupts ring `bell`; `complain` hears the reason if it breaks its protocol, once.
    pub fn start(mut transport: T, bell: &'static Doorbell, complain: fn(&'static str)) -> Result<Self, &'static str> {
        match Self::set_up(&mut transport) {
            Ok((agreement, receive, transmit)) => {
                bell.ring_link();
                Ok(Self {
                    info: agreement.info,
                    has_status: agreement.features & feature::STATUS != 0,
                    trusts_checksums: agreement.features & feature::GUEST_CSUM != 0,
                    header_bytes: header_bytes(agreement.features),
                    bell,
                    complain,
                    up: AtomicBool::new(true),
                    lie: AtomicU8::new(0),
                    transport: Exclusive::new(transport),
                    receive: Exclusive::new(receive),
                    transmit: Exclusive::new(transmit),
                })
            }
            Err(why) => {
                transport.set_status(DeviceStatus::FAILED);
                Err(why)
            }
        }
    }

    fn set_up(transport: &mut T) -> Result<(Agreement, Buffers<H, RECEIVE_BUFFERS>, Transmit<H>), &'static str> {
        let features = negotiate(transport)?;
        let info = configuration(transport, features)?;
        let buffer_bytes = (HEADER_BYTES + frame_bytes(&info)).next_multiple_of(BUFFER_ALIGN);
        let mut receive = Buffers::new(transport, RECEIVE, Writer::Device, buffer_bytes)?;
        let mut buffers = Buffers::new(transport, TRANSMIT, Writer::Driver, buffer_bytes)?;
        buffers.interrupt(false);
        let free = core::array::from_fn(|number| number as u16);
        let transmit = Transmit { buffers, free, free_count: TRANSMIT_BUFFERS, wanted: false };
        for number in 0..RECEIVE_BUFFERS as u16 {
            receive.give(number, buffer_bytes);
        }
        transport.finish_init();
        receive.tell(transport);
        Ok((Agreement { features, info }, receive, transmit))
    }

    /// The error of a device that lied.
    fn check(&self) -> Result<(), NetDeviceError> {
        Lie::from_number(self.lie.load(Relaxed)).map_or(Ok(()), |lie| Err(NetDeviceError::Broken(lie.text())))
    }

    /// Ends the device: it forgets its queues, and nothing it does counts any more.
    fn break_off(&self, lie: Lie) -> NetDeviceError {
        self.lie.store(lie as u8, Relaxed);
        self.transport.try_with(|transport| transport.set_status(DeviceStatus::empty()));
        (self.complain)(lie.text());
        // Whoever waits must hear of it.
        self.bell.ring();
        NetDeviceError::Broken(lie.text())
    }

    /// Looks at the device's state, if it has notified of a change.
    fn look_at_state(&self) {
        if self.bell.take_link() && self.check().is_ok() {
            let state = self.transport.try_with(|transport| {
                if transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET) {
                    return Err(Lie::NeedsReset);
                }
                if !self.has_status {
                    return Ok(true);
                }
                let status: u16 = consistent(transport, |transport| transport.read_config_space(CONFIG_STATUS).ok())
                    .ok_or(Lie::Configuration)?;
                Ok(status & STATUS_LINK_UP != 0)
            });
            match state {
                Some(Ok(up)) => self.up.store(up, Relaxed),
                Some(Err(lie)) => {
                    self.break_off(lie);
                }
                None => self.bell.ring_link(),
            }
        }
    }
}

/// Agrees on features (virtio 1.2, section 3.1.1).
fn negotiate<T: Transport>(transport: &mut T) -> Result<u64, &'static str> {
    transport.set_status(DeviceStatus::empty());
    if !(0..TRIES).any(|_| transport.get_status().is_empty()) {
        return Err("the network device does not reset");
    }
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    let mut features = transport.read_device_features() & feature::WANTED;
    if features & (feature::VERSION_1 | feature::ANY_LAYOUT) == 0 {
        return Err("the network device is too old: it has neither VIRTIO_F_VERSION_1 nor VIRTIO_F_ANY_LAYOUT");
    }
    if features & feature::MAC == 0 {
        return Err("the network device has no address (VIRTIO_NET_F_MAC)");
    }
    // A length that cannot be served must not be agreed on.
    if features & feature::MTU != 0 && !transport.read_config_space(CONFIG_MTU).is_ok_and(is_mtu) {
        features &= !feature::MTU;
    }
    transport.write_driver_features(features);
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK);
    // Legacy devices know no such status; they agree to all that they offered.
    if features & feature::VERSION_1 != 0 && !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err("the network device does not agree to features that it offered");
    }
    transport.set_guest_page_size(PAGE_SIZE as u32);
    Ok(features)
}

/// What the device says of itself.
fn configuration<T: Transport>(transport: &T, features: u64) -> Result<NetDeviceInfo, &'static str> {
    const NONE: &str = "the network device has no configuration, or one that changes all the time";
    let mac: MacAddress =
        consistent(transport, |transport| transport.read_config_space(CONFIG_MAC).ok()).ok_or(NONE)?;
    if mac[0] & GROUP_ADDRESS != 0 {
        return Err("the network device's address is that of a group");
    }
    let mtu_bytes = match features & feature::MTU {
        0 => DEFAULT_MTU_BYTES,
        _ => consistent(transport, |transport| transport.read_config_space(CONFIG_MTU).ok())
            .filter(|mtu| is_mtu(*mtu))
            .ok_or(NONE)?,
    };
    Ok(NetDeviceInfo { mac, mtu_bytes, transmit_checksums: features & feature::CSUM != 0 })
}

fn is_mtu(bytes: u16) -> bool {
    (MIN_MTU_BYTES..=MAX_MTU_BYTES).contains(&bytes)
}

/// Bytes of the longest frame.
fn frame_bytes(info: &NetDeviceInfo) -> usize {
    ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + usize::from(info.mtu_bytes)
}

/// Bytes of a header with these features.
fn header_bytes(features: u64) -> usize {
    if features & feature::VERSION_1 != 0 { HEADER_BYTES } else { LEGACY_HEADER_BYTES }
}

/// Reads a configuration that does not change meanwhile.
fn consistent<T: Transport, R>(transport: &T, read: impl Fn(&T) -> Option<R>) -> Option<R> {
    for _ in 0..TRIES {
        let before = transport.read_config_generation();
        let value = read(transport)?;
        if transport.read_config_generation() == before {
            return Some(value);
        }
    }
    None
}

impl<H: Hal> Transmit<H> {
    /// Whether there is a free buffer, or the device returns one now.
    fn has_room(&mut self) -> Result<bool, Lie> {
        if self.free_count == 0 {
            while let Some((number, _)) = self.buffers.take()? {
                if let Some(slot) = self.free.get_mut(self.free_count) {
                    *slot = number;
                    self.free_count += 1;
                }
            }
        }
        self.wanted = self.free_count == 0;
        Ok(!self.wanted)
    }
}

impl<H: Hal, T: Transport + Send> NetDevice for VirtioNet<H, T> {
    fn info(&self) -> NetDeviceInfo {
        self.info
    }

    fn is_up(&self) -> bool {
        self.look_at_state();
        self.up.load(Relaxed) && self.check().is_ok()
    }

    fn has_frame(&self) -> bool {
        self.check().is_ok() && self.receive.try_with(|receive| receive.has_returned()) == Some(true)
    }

    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError> {
        self.check()?;
        // A frame is not received while another one is lent.
        let Some(result) = self.receive.try_with(|receive| {
            let Some((number, bytes)) = receive.take()? else { return Ok(false) };
            receive.interrupt(false);
            let bytes = usize::try_from(bytes).map_err(|_| Lie::Length)?;
            let buffer = receive.buffer(number, bytes).ok_or(Lie::Length)?;
            let (header, frame) = buffer.split_at_mut_checked(self.header_bytes).ok_or(Lie::Length)?;
            let checksum = if self.trusts_checksums { header::read(header) } else { ReceivedChecksum::Unknown };
            take(frame, checksum);
            receive.give(number, receive.buffer_bytes());
            Ok(true)
        }) else {
            return Ok(false);
        };
        result.map_err(|lie| self.break_off(lie))
    }

    fn has_room(&self) -> bool {
        if self.check().is_err() {
            return false;
        }
        match self.transmit.try_with(Transmit::has_room) {
            Some(Ok(room)) => room,
            Some(Err(lie)) => {
                self.break_off(lie);
                false
            }
            None => false,
        }
    }

    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        self.check()?;
        if !self.up.load(Relaxed) {
            return Err(NetDeviceError::Down);
        }
        if bytes > frame_bytes(&self.info) {
            return Err(NetDeviceError::TooLong);
        }
        if !self.has_room() {
            return Err(self.check().err().unwrap_or(NetDeviceError::Full));
        }
        let sent = self.transmit.try_with(|transmit| {
            let last = transmit.free_count.checked_sub(1)?;
            let number = *transmit.free.get(last)?;
            let buffer = transmit.buffers.buffer(number, self.header_bytes + bytes)?;
            let (header, frame) = buffer.split_at_mut_checked(self.header_bytes)?;
            let checksum = fill(frame).filter(|_| self.info.transmit_checksums);
            header::write(header, checksum);
            transmit.buffers.give(number, self.header_bytes + bytes);
            transmit.free_count = last;
            Some(())
        });
        sent.flatten().ok_or(NetDeviceError::Full)
    }

    fn flush(&self) {
        self.look_at_state();
        if self.check().is_err() {
            return;
        }
        self.transport.try_with(|transport| {
            let frames = self.receive.try_with(|receive| {
                receive.tell(transport);
                receive.interrupt(true)
            });
            let room = self.transmit.try_with(|transmit| {
                transmit.buffers.tell(transport);
                let wanted = core::mem::take(&mut transmit.wanted);
                transmit.buffers.interrupt(wanted) && wanted
            });
            if frames != Some(false) || room != Some(false) {
                self.bell.ring();
            }
        });
    }
}
