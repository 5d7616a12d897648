//! An Ethernet device: frames in, frames out.
//!
//! ```text
//!   wire -> driver (host-*) -> NetDevice::receive -> stack      stack -> NetDevice::transmit -> driver -> wire
//! ```
//!
//! A frame is an Ethernet II frame without preamble and frame check sequence. Both directions lend the device's own buffer to a
//! closure, so that a frame is copied neither by the device nor by the port. The caller asks [`NetDevice::has_frame`] and
//! [`NetDevice::has_room`] first; what waits, waits by [`Ready::NETWORK`](crate::Ready::NETWORK).

use core::fmt;

/// Bytes of an Ethernet header without tags.
pub const ETHERNET_HEADER_BYTES: usize = 14;
/// The largest payload of a frame that a stack has to expect, in bytes.
pub const MAX_MTU_BYTES: u16 = 9000;

/// An Ethernet address.
pub type MacAddress = [u8; 6];

/// What a device is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetDeviceInfo {
    /// Its address.
    pub mac: MacAddress,
    /// The largest payload of a frame (an IP packet), in bytes.
    pub mtu_bytes: u16,
    /// Whether the device computes TCP and UDP checksums of frames that it sends, as [`NetDevice::transmit`] asks.
    pub transmit_checksums: bool,
}

/// What the device knows of the TCP or UDP checksum of a frame that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedChecksum {
    /// Nothing: the stack checks it.
    Unknown,
    /// It is right, or the frame comes from this machine and never had one: the stack does not look at it.
    Good,
}

/// Asks the device to finish a checksum: it sums from `start` to the frame's end, and puts the result `offset` bytes behind `start`,
/// where the sum of the pseudo header is already (virtio 1.2, section 5.1.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransmitChecksum {
    /// Bytes from the frame's start to the TCP or UDP header.
    pub start: u16,
    /// Bytes from there to the checksum.
    pub offset: u16,
}

/// A frame that could not be sent, or a device that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetDeviceError {
    /// The queue is full: park on [`Ready::NETWORK`](crate::Ready::NETWORK) and try again.
    Full,
    /// The frame is longer than the device takes.
    TooLong,
    /// The cable is unplugged, or the other side is gone.
    Down,
    /// The device broke its protocol, and is not used any more; the text says how.
    Broken(&'static str),
}

impl fmt::Display for NetDeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the network device's queue is full"),
            Self::TooLong => f.write_str("the frame is longer than the network device takes"),
            Self::Down => f.write_str("the network device has no link"),
            Self::Broken(how) => write!(f, "the network device broke its protocol: {how}"),
        }
    }
}

impl core::error::Error for NetDeviceError {}

/// An Ethernet device.
pub trait NetDevice: Send + Sync {
    /// What it is like; does not change.
    fn info(&self) -> NetDeviceInfo;
    /// Whether the cable is plugged in.
    fn is_up(&self) -> bool;
    /// Whether a frame has come.
    fn has_frame(&self) -> bool;
    /// Lends the oldest frame that came to `take`, which may write to it; afterwards it is the device's again. `Ok(false)`: there was
    /// none, and `take` was not called.
    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError>;
    /// Whether a frame could be sent now.
    fn has_room(&self) -> bool;
    /// Lends a zeroed or used buffer of `bytes` bytes to `fill`, which writes a whole frame to it, and queues it. What `fill` returns
    /// is asked of the device; it must be `None` unless [`NetDeviceInfo::transmit_checksums`].
    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError>;
    /// Tells the device of what was queued; once after a batch. Also asks for an interrupt (that is [`Ready::NETWORK`](crate::Ready))
    /// at the next frame, or at room in a queue that was full.
    fn flush(&self);
}
