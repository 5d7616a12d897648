//! A bad cable, in user space: it needs no module of the kernel's, and its faults come from a seed.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The longest frame that crosses, in bytes.
const MAX_FRAME_BYTES: usize = 65_536;

/// How often frames fare badly, each of a thousand and in each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Lost.
    pub lose: u32,
    /// Sent twice.
    pub double: u32,
    /// Sent after the next one.
    pub reorder: u32,
    /// One bit turned.
    pub corrupt: u32,
}

/// What a link has done.
#[derive(Debug, Default)]
pub struct Counts {
    /// Frames that came.
    pub frames: AtomicU64,
    /// Frames that fared badly.
    pub faults: AtomicU64,
}

/// Connects a TAP device's file and a machine of QEMU's (`-netdev dgram` between `local` and `machine`). The link ends when its ends do,
/// at the latest with the process.
pub fn connect(tap: &File, local: SocketAddr, machine: SocketAddr, faults: Faults, seed: u64) -> Result<Arc<Counts>> {
    let socket = UdpSocket::bind(local).with_context(|| format!("binding {local}"))?;
    socket.connect(machine)?;
    let counts = Arc::new(Counts::default());
    let (mut from_tap, mut to_tap) = (tap.try_clone()?, tap.try_clone()?);
    let (from_machine, to_machine) = (socket.try_clone()?, socket);
    // A machine that is not there yet, or no more, refuses datagrams: so does an unplugged cable.
    let mut out = Wire::new(faults, seed, counts.clone(), move |frame: &[u8]| drop(to_machine.send(frame)));
    let mut back = Wire::new(faults, !seed, counts.clone(), move |frame: &[u8]| drop(to_tap.write(frame)));
    thread::spawn(move || {
        let mut frame = vec![0; MAX_FRAME_BYTES];
        while let Ok(count) = from_tap.read(&mut frame) {
            out.carry(frame.get(..count).unwrap_or_default());
        }
    });
    thread::spawn(move || {
        let mut frame = vec![0; MAX_FRAME_BYTES];
        loop {
            match from_machine.recv(&mut frame) {
                Ok(count) => back.carry(frame.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    });
    Ok(counts)
}

/// One direction.
struct Wire<Deliver> {
    faults: Faults,
    dice: u64,
    held: Option<Vec<u8>>,
    counts: Arc<Counts>,
    deliver: Deliver,
}

impl<Deliver: FnMut(&[u8])> Wire<Deliver> {
    fn new(faults: Faults, seed: u64, counts: Arc<Counts>, deliver: Deliver) -> Self {
        Self { faults, dice: seed | 1, held: None, counts, deliver }
    }

    /// Whether something that happens `per_mille` times of a thousand happens now (xorshift64).
    fn happens(&mut self, per_mille: u32) -> bool {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let yes = self.dice % 1000 < u64::from(per_mille);
        self.counts.faults.fetch_add(u64::from(yes), Ordering::Relaxed);
        yes
    }

    fn carry(&mut self, frame: &[u8]) {
        self.counts.frames.fetch_add(1, Ordering::Relaxed);
        let Faults { lose, double, reorder, corrupt } = self.faults;
        if self.happens(lose) {
            return;
        }
        let mut frame = frame.to_vec();
        if self.happens(corrupt) {
            let at = self.dice as usize % frame.len().max(1);
            frame.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (self.dice >> 32 & 7));
        }
        if self.held.is_none() && self.happens(reorder) {
            self.held = Some(frame);
            return;
        }
        (self.deliver)(&frame);
        if self.happens(double) {
            (self.deliver)(&frame);
        }
        if let Some(held) = self.held.take() {
            (self.deliver)(&held);
        }
    }
}
