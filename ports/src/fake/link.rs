//! An Ethernet cable between two devices in memory.
//!
//! Frames arrive at once and in order; what real cables do to them, [`FaultyDevice`](crate::faulty::FaultyDevice) does.

use crate::net_device::{
    ETHERNET_HEADER_BYTES, MacAddress, NetDevice, NetDeviceError, NetDeviceInfo, ReceivedChecksum, TransmitChecksum,
};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many frames wait on a cable for each side, like the rings of real devices.
pub const QUEUE_FRAMES: usize = 256;
/// Spare buffers that a cable keeps, in frames.
const SPARE_FRAMES: usize = QUEUE_FRAMES;

/// One end of a cable.
pub struct LinkEnd {
    info: NetDeviceInfo,
    end: usize,
    cable: Arc<Mutex<Cable>>,
}

#[derive(Default)]
struct Cable {
    /// Frames on their way to each end, and whether a checksum in them was left out.
    to: [VecDeque<(Vec<u8>, bool)>; 2],
    spare: Vec<Vec<u8>>,
    unplugged: bool,
    flushes: u64,
}

/// A cable between two devices with an MTU of `mtu_bytes`. With `checksums`, the devices finish checksums, or rather leave them out,
/// since the frames never leave the machine.
pub fn link(mtu_bytes: u16, checksums: bool) -> [Arc<LinkEnd>; 2] {
    let cable = Arc::new(Mutex::new(Cable::default()));
    [0, 1].map(|end| {
        let mac: MacAddress = [0x02, 0, 0, 0, 0, end as u8 + 1];
        let info = NetDeviceInfo { mac, mtu_bytes, transmit_checksums: checksums };
        Arc::new(LinkEnd { info, end, cable: cable.clone() })
    })
}

impl LinkEnd {
    fn cable(&self) -> MutexGuard<'_, Cable> {
        self.cable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plugs the cable in or out, for both ends. Frames on their way are lost when it is pulled.
    pub fn plug(&self, plugged: bool) {
        let mut cable = self.cable();
        cable.unplugged = !plugged;
        if !plugged {
            cable.to.iter_mut().for_each(VecDeque::clear);
        }
    }

    /// Puts a frame on the cable to the other end, whatever it holds and however full the queue is.
    pub fn inject(&self, frame: &[u8]) {
        self.cable().to[1 - self.end].push_back((frame.to_vec(), false));
    }

    /// Takes a frame off the cable that came to this end.
    pub fn take(&self) -> Option<Vec<u8>> {
        self.cable().to[self.end].pop_front().map(|(frame, _)| frame)
    }

    /// How often both ends were flushed.
    pub fn flushes(&self) -> u64 {
        self.cable().flushes
    }
}

impl NetDevice for LinkEnd {
    fn info(&self) -> NetDeviceInfo {
        self.info
    }

    fn is_up(&self) -> bool {
        !self.cable().unplugged
    }

    fn has_frame(&self) -> bool {
        !self.cable().to[self.end].is_empty()
    }

    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError> {
        let Some((mut frame, unfinished)) = self.cable().to[self.end].pop_front() else { return Ok(false) };
        take(&mut frame, if unfinished { ReceivedChecksum::Good } else { ReceivedChecksum::Unknown });
        let mut cable = self.cable();
        if cable.spare.len() < SPARE_FRAMES {
            cable.spare.push(frame);
        }
        Ok(true)
    }

    fn has_room(&self) -> bool {
        self.cable().to[1 - self.end].len() < QUEUE_FRAMES
    }

    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        let mut frame = {
            let mut cable = self.cable();
            if cable.unplugged {
                return Err(NetDeviceError::Down);
            }
            if bytes > usize::from(self.info.mtu_bytes) + ETHERNET_HEADER_BYTES {
                return Err(NetDeviceError::TooLong);
            }
            if cable.to[1 - self.end].len() >= QUEUE_FRAMES {
                return Err(NetDeviceError::Full);
            }
            cable.spare.pop().unwrap_or_default()
        };
        frame.resize(bytes, 0);
        let unfinished = fill(&mut frame).is_some();
        if unfinished && !self.info.transmit_checksums {
            return Err(NetDeviceError::Broken("a checksum was asked for that this device does not do"));
        }
        self.cable().to[1 - self.end].push_back((frame, unfinished));
        Ok(())
    }

    fn flush(&self) {
        self.cable().flushes += 1;
    }
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
