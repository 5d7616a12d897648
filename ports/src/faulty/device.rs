//! An Ethernet device that loses, duplicates, reorders and damages frames, is full or without a link for a while, or breaks.

use crate::net_device::{NetDevice, NetDeviceError, NetDeviceInfo, ReceivedChecksum, TransmitChecksum};
use crate::{Entropy, fake::Machine};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which faults to make. Rates are in 1/256 of the frames that come, or of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceFaults {
    /// A frame that never comes.
    pub lose: u8,
    /// A frame that comes twice.
    pub duplicate: u8,
    /// A frame that comes after the next ones.
    pub reorder: u8,
    /// A frame with a bit that was turned.
    pub corrupt: u8,
    /// A frame whose end is missing.
    pub cut: u8,
    /// A queue that is full.
    pub full: u8,
    /// A frame that the device refuses to send though it said that it has room.
    pub refuse: u8,
    /// The device breaks with this frame that comes.
    pub breaks_after_frames: Option<u64>,
}

/// How many frames a frame that is late lets pass.
const LATE_FRAMES: u8 = 4;

/// A faulty device over a good one.
pub struct FaultyDevice {
    below: Arc<dyn NetDevice>,
    dice: Arc<Machine>,
    state: Mutex<State>,
}

struct State {
    faults: DeviceFaults,
    /// Frames that were taken from below and are not lost: how many others each lets pass, the bytes, and what is known of it.
    waiting: VecDeque<(u8, Vec<u8>, ReceivedChecksum)>,
    came: u64,
}

impl FaultyDevice {
    /// `below`, with `faults` thrown by `seed`.
    pub fn new(below: Arc<dyn NetDevice>, faults: DeviceFaults, seed: u64) -> Arc<Self> {
        let state = State { faults, waiting: VecDeque::new(), came: 0 };
        Arc::new(Self { below, dice: Machine::new(seed), state: Mutex::new(state) })
    }

    /// Makes other faults from now on.
    pub fn set(&self, faults: DeviceFaults) {
        self.state().faults = faults;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> u64 {
        let mut bytes = [0; 8];
        // The dice of a machine in memory never refuse.
        let _ = self.dice.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn happens(&self, rate: u8) -> bool {
        rate != 0 && (self.draw() as u8) < rate
    }

    /// Takes what has come below and does to it what the faults say.
    fn pull(&self) {
        loop {
            let mut frame = None;
            let taken = self.below.receive(&mut |bytes, checksum| frame = Some((bytes.to_vec(), checksum)));
            let (Ok(true), Some((mut bytes, mut checksum))) = (taken, frame) else { return };
            let mut state = self.state();
            let faults = state.faults;
            state.came += 1;
            if self.happens(faults.lose) {
                continue;
            }
            if self.happens(faults.corrupt) && !bytes.is_empty() {
                let bit = self.draw() as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                checksum = ReceivedChecksum::Unknown;
            }
            if self.happens(faults.cut) {
                let length = self.draw() as usize % (bytes.len() + 1);
                bytes.truncate(length);
                checksum = ReceivedChecksum::Unknown;
            }
            let late = if self.happens(faults.reorder) { LATE_FRAMES } else { 0 };
            if self.happens(faults.duplicate) {
                state.waiting.push_back((0, bytes.clone(), checksum));
            }
            state.waiting.push_back((late, bytes, checksum));
        }
    }
}

impl NetDevice for FaultyDevice {
    fn info(&self) -> NetDeviceInfo {
        self.below.info()
    }

    fn is_up(&self) -> bool {
        self.below.is_up()
    }

    fn has_frame(&self) -> bool {
        self.pull();
        !self.state().waiting.is_empty()
    }

    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError> {
        self.pull();
        let mut state = self.state();
        if state.faults.breaks_after_frames.is_some_and(|frames| state.came > frames) {
            return Err(NetDeviceError::Broken("it was made to"));
        }
        // The first that is not late; those before it have let one more pass. If all are late, the first waits for nobody.
        let at = state.waiting.iter().position(|(late, ..)| *late == 0).unwrap_or(0);
        for (late, ..) in state.waiting.iter_mut().take(at) {
            *late -= 1;
        }
        let Some((_, mut bytes, checksum)) = state.waiting.remove(at) else { return Ok(false) };
        drop(state);
        take(&mut bytes, checksum);
        Ok(true)
    }

    fn has_room(&self) -> bool {
        let full = self.state().faults.full;
        self.below.has_room() && !self.happens(full)
    }

    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        let refuse = self.state().faults.refuse;
        if self.happens(refuse) {
            return Err(NetDeviceError::Full);
        }
        self.below.transmit(bytes, fill)
    }

    fn flush(&self) {
        self.below.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::link;

    /// Sends 1,000 numbered frames through a device with `faults`, and returns what comes out.
    fn through(faults: DeviceFaults, seed: u64) -> Vec<Vec<u8>> {
        let [one, other] = link(1500, false);
        let faulty = FaultyDevice::new(other, faults, seed);
        let mut seen = Vec::new();
        for number in 0..1000_u32 {
            let sent = one.transmit(4, &mut |frame| {
                frame.copy_from_slice(&number.to_be_bytes());
                None
            });
            assert_eq!(sent, Ok(()));
            while faulty.has_frame() && number % 10 == 9 {
                assert_eq!(faulty.receive(&mut |frame, _| seen.push(frame.to_vec())), Ok(true));
            }
        }
        seen
    }

    #[test]
    fn without_faults_all_come_in_order() {
        let seen = through(DeviceFaults::default(), 1);
        assert!(seen.len() == 1000 && seen.is_sorted());
    }

    #[test]
    fn each_fault_shows() {
        let rate = 26;
        let lost = through(DeviceFaults { lose: rate, ..Default::default() }, 1).len();
        assert!((850..950).contains(&lost), "{lost}");
        let doubled = through(DeviceFaults { duplicate: rate, ..Default::default() }, 1).len();
        assert!((1050..1150).contains(&doubled), "{doubled}");
        let late = through(DeviceFaults { reorder: rate, ..Default::default() }, 1);
        assert!(late.len() == 1000 && !late.is_sorted());
        let damaged = through(DeviceFaults { corrupt: rate, ..Default::default() }, 1);
        assert!(damaged.len() == 1000 && damaged != through(DeviceFaults::default(), 1));
        assert_eq!(through(DeviceFaults { lose: rate, ..Default::default() }, 7), {
            through(DeviceFaults { lose: rate, ..Default::default() }, 7)
        });
    }

    #[test]
    fn a_device_that_broke_stays_broken() {
        let [one, other] = link(1500, false);
        let faulty = FaultyDevice::new(other, DeviceFaults { breaks_after_frames: Some(0), ..Default::default() }, 1);
        one.inject(b"frame");
        for _ in 0..2 {
            assert!(matches!(faulty.receive(&mut |_, _| ()), Err(NetDeviceError::Broken(_))));
        }
    }
}
