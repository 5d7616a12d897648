//! An Ethernet cable between two devices in memory.
//!
//! Frames arrive at once and in order; what real cables do to them, [`FaultyDevice`](crate::faulty::FaultyDevice) does.

use crate::net_device::{
    ETHERNET_HEADER_BYTES, MacAddress, NetDevice, NetDeviceError, NetDeviceInfo, ReceivedChecksum, TransmitChecksum,
};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many frames wait on a cable for each side, like the rings of real devices.
pub const QUEUE_FRAMES: usize = 256;
/// Spare buffers that a cable keeps, in frames.
const SPARE_FRAMES: usize = QUEUE_FRAMES;

/// One end of a cable.
pub struct LinkEnd {
    info: NetDeviceInfo,
    incoming: Arc<Wire>,
    outgoing: Arc<Wire>,
}

/// One direction of a cable.
#[derive(Default)]
struct Wire {
    /// How many frames are on their way, so that whoever only wants to know needs no lock.
    count: AtomicUsize,
    unplugged: AtomicBool,
    frames: Mutex<Frames>,
}

#[derive(Default)]
struct Frames {
    /// Frames on their way, and whether a checksum in them was left out.
    queue: VecDeque<(Vec<u8>, bool)>,
    spare: Vec<Vec<u8>>,
}

impl Wire {
    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, frame: Vec<u8>, unfinished: bool) {
        self.frames().queue.push_back((frame, unfinished));
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn pop(&self) -> Option<(Vec<u8>, bool)> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let frame = self.frames().queue.pop_front()?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(frame)
    }

    fn plug(&self, plugged: bool) {
        self.unplugged.store(!plugged, Ordering::Relaxed);
        while !plugged && self.pop().is_some() {}
    }
}

/// A cable between two devices with an MTU of `mtu_bytes`. With `checksums`, the devices finish checksums, or rather leave them out,
/// since the frames never leave the machine.
pub fn link(mtu_bytes: u16, checksums: bool) -> [Arc<LinkEnd>; 2] {
    let (one, other) = (Arc::new(Wire::default()), Arc::new(Wire::default()));
    let end = |number: u8, incoming: &Arc<Wire>, outgoing: &Arc<Wire>| {
        let mac: MacAddress = [0x02, 0, 0, 0, 0, number];
        let info = NetDeviceInfo { mac, mtu_bytes, transmit_checksums: checksums };
        Arc::new(LinkEnd { info, incoming: incoming.clone(), outgoing: outgoing.clone() })
    };
    [end(1, &one, &other), end(2, &other, &one)]
}

impl LinkEnd {
    /// Plugs the cable in or out, for both ends. Frames on their way are lost when it is pulled.
    pub fn plug(&self, plugged: bool) {
        self.incoming.plug(plugged);
        self.outgoing.plug(plugged);
    }

    /// Puts a frame on the cable to the other end, whatever it holds and however full the queue is.
    pub fn inject(&self, frame: &[u8]) {
        self.outgoing.push(frame.to_vec(), false);
    }

    /// Takes a frame off the cable that came to this end.
    pub fn take(&self) -> Option<Vec<u8>> {
        self.incoming.pop().map(|(frame, _)| frame)
    }
}

impl NetDevice for LinkEnd {
    fn info(&self) -> NetDeviceInfo {
        self.info
    }

    fn is_up(&self) -> bool {
        !self.incoming.unplugged.load(Ordering::Relaxed)
    }

    fn has_frame(&self) -> bool {
        self.incoming.count.load(Ordering::Relaxed) > 0
    }

    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError> {
        let Some((mut frame, unfinished)) = self.incoming.pop() else { return Ok(false) };
        take(&mut frame, if unfinished { ReceivedChecksum::Good } else { ReceivedChecksum::Unknown });
        let mut frames = self.incoming.frames();
        if frames.spare.len() < SPARE_FRAMES {
            frames.spare.push(frame);
        }
        Ok(true)
    }

    fn has_room(&self) -> bool {
        self.outgoing.count.load(Ordering::Relaxed) < QUEUE_FRAMES
    }

    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        if !self.is_up() {
            return Err(NetDeviceError::Down);
        }
        if bytes > usize::from(self.info.mtu_bytes) + ETHERNET_HEADER_BYTES {
            return Err(NetDeviceError::TooLong);
        }
        if !self.has_room() {
            return Err(NetDeviceError::Full);
        }
        let mut frame = self.outgoing.frames().spare.pop().unwrap_or_default();
        frame.resize(bytes, 0);
        let unfinished = fill(&mut frame).is_some();
        if unfinished && !self.info.transmit_checksums {
            return Err(NetDeviceError::Broken("a checksum was asked for that this device does not do"));
        }
        self.outgoing.push(frame, unfinished);
        Ok(())
    }

    /// Frames are on their way at once.
    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(device: &LinkEnd, frame: &[u8]) -> Result<(), NetDeviceError> {
        device.transmit(frame.len(), &mut |buffer| {
            buffer.copy_from_slice(frame);
            None
        })
    }

    #[test]
    fn frames_arrive_at_the_other_end_in_order() {
        let [one, other] = link(1500, false);
        assert_eq!(send(&one, b"first"), Ok(()));
        assert_eq!(send(&one, b"second"), Ok(()));
        assert!(other.has_frame() && !one.has_frame());
        let mut seen = Vec::new();
        while other.receive(&mut |frame, _| seen.push(frame.to_vec())) == Ok(true) {}
        assert_eq!(seen, [b"first".to_vec(), b"second".to_vec()]);
    }

    #[test]
    fn a_cable_is_as_long_as_its_queue_and_as_wide_as_its_mtu() {
        let [one, other] = link(100, false);
        assert_eq!(send(&one, &[0; 115]), Err(NetDeviceError::TooLong));
        for _ in 0..QUEUE_FRAMES {
            assert_eq!(send(&one, b"frame"), Ok(()));
        }
        assert!(!one.has_room());
        assert_eq!(send(&one, b"frame"), Err(NetDeviceError::Full));
        one.plug(false);
        assert!(!other.is_up() && !other.has_frame());
        assert_eq!(send(&other, b"frame"), Err(NetDeviceError::Down));
    }
}
