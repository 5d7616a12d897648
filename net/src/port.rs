//! The adapter: what smoltcp takes for its device.
//!
//! smoltcp asks a device for a *token*, and consumes it to read or write one frame. Here a token leads to one of three places:
//!
//! ```text
//!   Out::Device   a buffer that the Ethernet device lends: the frame is written where the device sends it from
//!   Out::Reply    a buffer of the stack's: what answers a frame while the device still lends that one; sent right afterwards
//!   Out::Loop     a queue of packets from this machine's sockets to this machine's sockets
//! ```
//!
//! smoltcp neither writes nor checks TCP and UDP checksums; they are finished here, where it is known who does: the device, the stack,
//! or nobody.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use mwasm_ports::net_device::{ETHERNET_HEADER_BYTES, NetDevice, TransmitChecksum};
use smoltcp::phy::{self, Checksum, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::Statistics;
use crate::connection::Link;
use crate::packet::{PROTOCOL_UDP, Unfinished, asks_for_neighbour};

/// The largest packet between sockets of this machine, in bytes. Several fit in a usual window, so that acknowledgements are not delayed.
pub(crate) const LOOP_MTU_BYTES: usize = 16_384;
/// How many packets between sockets of this machine may be under way. A window's worth of each connection fits in few of them.
const MAX_LOOPED: usize = 256;

/// Packets between sockets of this machine, and buffers for further ones.
#[derive(Default)]
pub(crate) struct Loop {
    packets: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Loop {
    /// How many spare buffers are kept.
    const MAX_SPARE: usize = 4;

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.packets.len() < MAX_LOOPED
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    pub(crate) fn push(&mut self, packet: Vec<u8>) {
        self.packets.push_back(packet);
    }

    /// Takes a buffer back that [`Loop::pop`] gave.
    pub(crate) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < Self::MAX_SPARE {
            self.spare.push(buffer);
        }
    }
}

/// Where frames go.
pub(crate) enum Out<'a> {
    Device(&'a dyn NetDevice),
    Reply(&'a mut Vec<u8>),
    Loop(&'a mut Loop),
}

/// What smoltcp takes for its device, for one poll.
pub(crate) struct Port<'a> {
    pub(crate) out: Out<'a>,
    /// Whether frames of Ethernet or packets of IP go in and out.
    pub(crate) link: Link,
    /// The frame or packet that the poll is for.
    pub(crate) incoming: Option<&'a [u8]>,
    pub(crate) mtu_bytes: usize,
    /// Whether the device finishes checksums.
    pub(crate) finishes_checksums: bool,
    /// Is added to the sequence numbers of segments that go out.
    pub(crate) sequence_shift: u32,
    pub(crate) statistics: &'a mut Statistics,
    pub(crate) sent: Sent,
}

/// What a poll sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Tokens that were asked for and given.
    tokens: u32,
    /// Frames that were written, questions for neighbours aside.
    pub(crate) packets: u32,
    /// Whether there was no room for a frame.
    pub(crate) refused: bool,
}

impl Sent {
    /// Whether a packet stayed where it was, because nobody knows yet where its neighbour is, or that there is no way at all.
    pub(crate) fn lacks_neighbour(self) -> bool {
        self.tokens > self.packets
    }
}

/// What the adapter promises smoltcp: it does the checksums of TCP and UDP, and has checked the header of IP.
fn capabilities(medium: Medium, mtu_bytes: usize) -> DeviceCapabilities {
    let mut checksum = ChecksumCapabilities::default();
    checksum.ipv4 = Checksum::Tx;
    checksum.tcp = Checksum::None;
    checksum.udp = Checksum::None;
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = medium;
    capabilities.max_transmission_unit = mtu_bytes;
    capabilities.checksum = checksum;
    capabilities
}

impl<'a> Port<'a> {
    pub(crate) fn new(
        out: Out<'a>,
        link: Link,
        mtu_bytes: usize,
        finishes_checksums: bool,
        statistics: &'a mut Statistics,
    ) -> Self {
        let (incoming, sequence_shift, sent) = (None, 0, Sent::default());
        Self { out, link, incoming, mtu_bytes, finishes_checksums, sequence_shift, statistics, sent }
    }
}

impl phy::Device for Port<'_> {
    type RxToken<'b>
        = Incoming<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Outgoing<'b>
    where
        Self: 'b;

    fn receive(&mut self, _now: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let frame = self.incoming.take()?;
        Some((Incoming(frame), self.token()))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Outgoing<'_>> {
        let has_room = match &self.out {
            Out::Device(device) => device.has_room(),
            Out::Reply(buffer) => buffer.is_empty(),
            Out::Loop(packets) => packets.has_room(),
        };
        self.sent.refused |= !has_room;
        has_room.then(|| self.token())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        match self.link {
            Link::Loop => capabilities(Medium::Ip, LOOP_MTU_BYTES),
            Link::Ethernet => capabilities(Medium::Ethernet, self.mtu_bytes + ETHERNET_HEADER_BYTES),
        }
    }
}

impl Port<'_> {
    fn token(&mut self) -> Outgoing<'_> {
        self.sent.tokens += 1;
        Outgoing {
            out: match &mut self.out {
                Out::Device(device) => Out::Device(*device),
                Out::Reply(buffer) => Out::Reply(buffer),
                Out::Loop(packets) => Out::Loop(packets),
            },
            link: self.link,
            finishes_checksums: self.finishes_checksums,
            sequence_shift: self.sequence_shift,
            statistics: self.statistics,
            sent: &mut self.sent,
        }
    }
}

/// The token of the frame that came.
pub(crate) struct Incoming<'a>(&'a [u8]);

impl phy::RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// The token of a frame that goes.
pub(crate) struct Outgoing<'a> {
    out: Out<'a>,
    link: Link,
    finishes_checksums: bool,
    sequence_shift: u32,
    statistics: &'a mut Statistics,
    sent: &'a mut Sent,
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        let Self { out, link, finishes_checksums, sequence_shift, statistics, sent } = self;
        let mut is_packet = true;
        let mut finish = |frame: &mut [u8], device_finishes| {
            is_packet = !asks_for_neighbour(frame);
            finish(frame, device_finishes, sequence_shift)
        };
        let result = match out {
            Out::Device(device) => {
                let mut write = Some(write);
                let mut result = None;
                let outcome = device.transmit(bytes, &mut |frame| {
                    let write = write.take()?;
                    result = Some(write(&mut frame[..bytes]));
                    finish(frame, finishes_checksums)
                });
                match outcome {
                    Ok(()) => statistics.frames_sent += 1,
                    Err(_) => statistics.frames_dropped += 1,
                }
                match (result, write) {
                    (Some(result), _) => result,
                    // The device took nothing: the frame is lost, as on any wire. smoltcp wants to write it all the same.
                    (None, Some(write)) => write(&mut alloc::vec![0; bytes]),
                    (None, None) => unreachable!("what was taken was called"),
                }
            }
            Out::Reply(buffer) => {
                *buffer = alloc::vec![0; bytes];
                let result = write(buffer);
                if link == Link::Ethernet {
                    finish(buffer, false);
                }
                result
            }
            Out::Loop(packets) => {
                let mut buffer = packets.spare.pop().unwrap_or_default();
                buffer.resize(bytes, 0);
                let result = write(&mut buffer);
                if sequence_shift != 0
                    && let Some(unfinished) = Unfinished::of(&buffer, 0)
                {
                    unfinished.shift_sequence(&mut buffer, sequence_shift);
                }
                packets.packets.push_back(buffer);
                statistics.packets_looped += 1;
                result
            }
        };
        statistics.bytes_copied_device += bytes as u64;
        sent.packets += u32::from(is_packet);
        result
    }
}

/// Completes the TCP or UDP header of a frame of our own making, or says what the device must do for that.
pub(crate) fn finish(frame: &mut [u8], device_finishes: bool, sequence_shift: u32) -> Option<TransmitChecksum> {
    let unfinished = Unfinished::of(frame, ETHERNET_HEADER_BYTES)?;
    unfinished.shift_sequence(frame, sequence_shift);
    let Unfinished { segment, protocol, checksum } = unfinished;
    let pseudo = segment.pseudo_header(protocol);
    let (start, offset) = (segment.bytes.start, checksum.start - segment.bytes.start);
    if device_finishes {
        frame[checksum].copy_from_slice(&pseudo.fold());
        return Some(TransmitChecksum { start: u16::try_from(start).ok()?, offset: u16::try_from(offset).ok()? });
    }
    frame[checksum.clone()].fill(0);
    let value = match pseudo.add(&frame[segment.bytes]).complement() {
        // All zeros would say that there is no checksum (RFC 768).
        [0, 0] if protocol == PROTOCOL_UDP => [0xff, 0xff],
        value => value,
    };
    frame[checksum].copy_from_slice(&value);
    None
}
