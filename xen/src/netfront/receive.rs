//! Frames that come.
//!
//! ```text
//!   idle --request--> the backend copies a frame into it --response--> this side looks at it --> idle
//! ```
//!
//! The page of the request in a slot is the one that the response in the same slot is about: the protocol wants that of backends, since
//! extra information overlays the id. So the slot is what says which page it is, and an id that differs is a lie. A frame is lent as it
//! lies in its page; one of several pages is put together first.

use super::buffer::{Buffer, RingPage};
use super::protocol::{
    EXTRA_GSO, MAX_EXTRA_KIND, MAX_FRAME_SLOTS, RECEIVE_CHECKSUM_BLANK, RECEIVE_EXTRA, RECEIVE_GSO_PREFIX,
    RECEIVE_MORE, RECEIVE_VALIDATED, ReceiveResponse, ReceiveRing, extra, receive_request,
};
use crate::grants::Access;
use crate::hypercall::Refused;
use crate::kernel::{Kernel, PAGE_BYTES};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use mwasm_ports::net_device::ReceivedChecksum;

/// Pages that frames can come in.
pub const PAGES: u16 = 64;

/// A part of a frame: where in which slot's page.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    ahead: u16,
    start: u16,
    bytes: u16,
}

impl Part {
    /// Where in the page.
    fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.start) + usize::from(self.bytes)
    }
}

/// The next frame of the ring.
#[derive(Debug)]
struct Frame {
    /// All its slots, with extra information.
    slots: u32,
    parts: [Part; MAX_FRAME_SLOTS as usize],
    part_count: usize,
    bytes: usize,
    checksum: ReceivedChecksum,
    /// It is not what was asked for, and nobody gets it.
    dropped: bool,
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiver {
    page: RingPage,
    ring: ReceiveRing,
    buffers: Vec<Buffer>,
    /// For each slot, the buffer of the request in it.
    buffer_of: Vec<u16>,
    /// Buffers that are in no slot.
    idle: Vec<u16>,
    /// Where frames of several pages are put together.
    assembly: Vec<u8>,
    remote: u16,
}

impl Receiver {
    /// For frames of up to `max_bytes` bytes; not connected.
    pub fn new(kernel: &dyn Kernel, max_bytes: usize) -> Result<Self, Refused> {
        let page = RingPage::new(kernel)?;
        let buffers = (0..PAGES).map(|_| Buffer::new(kernel, 1)).collect::<Result<_, _>>()?;
        let ring = ReceiveRing::new(page.words);
        let (buffer_of, assembly) = (vec![0; ReceiveRing::SIZE as usize], vec![0; max_bytes]);
        Ok(Self { page, ring, buffers, buffer_of, idle: Vec::new(), assembly, remote: 0 })
    }

    /// Starts anew, with the backend in domain `remote`: offers all pages; returns the ring's reference.
    pub fn connect(&mut self, remote: u16) -> u32 {
        self.ring = ReceiveRing::new(self.page.words);
        self.idle = (0..PAGES).collect();
        self.remote = remote;
        self.refill();
        self.ring.show();
        self.page.share(remote)
    }

    /// Takes everything back; `false` if the backend still uses something.
    pub fn disconnect(&mut self) -> bool {
        let buffers = self.buffers.iter_mut().filter_map(|buffer| (!buffer.take_all_back()).then_some(())).count() == 0;
        self.page.unshare() && buffers
    }

    /// Whether a whole frame has come. An error says how the backend broke the protocol.
    pub fn has_frame(&self) -> Result<bool, &'static str> {
        self.next().map(|frame| frame.is_some())
    }

    /// Lends the next frame to `take`, if there is one.
    pub fn receive(&mut self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, &'static str> {
        while let Some(frame) = self.next()? {
            for ahead in 0..frame.slots {
                let buffer = self.buffer(ahead).ok_or("a response in a slot that holds no request")?;
                if !buffer.take_back(0) {
                    return Err("a page that the backend has given back, and still uses");
                }
            }
            if !frame.dropped {
                self.lend(&frame, take);
            }
            for ahead in 0..frame.slots {
                let slot = self.ring.slot_of(ahead) as usize;
                self.idle.extend(self.buffer_of.get(slot));
            }
            self.ring.consume(frame.slots);
            self.refill();
            if !frame.dropped {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn lend(&mut self, frame: &Frame, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) {
        let parts = frame.parts.get(..frame.part_count).unwrap_or_default();
        if let [part] = parts {
            if let Some(bytes) = self.part(part) {
                take(bytes, frame.checksum);
            }
            return;
        }
        let mut assembly = core::mem::take(&mut self.assembly);
        let mut at = 0;
        for part in parts {
            let end = at + part.range().len();
            if let (Some(from), Some(to)) = (self.part(part), assembly.get_mut(at..end)) {
                to.copy_from_slice(from);
            }
            at = end;
        }
        if let Some(bytes) = assembly.get_mut(..frame.bytes) {
            take(bytes, frame.checksum);
        }
        self.assembly = assembly;
    }

    fn part(&mut self, part: &Part) -> Option<&mut [u8]> {
        self.buffer(u32::from(part.ahead))?.bytes().get_mut(part.range())
    }

    /// The buffer of the slot that is `ahead` places behind the next one.
    fn buffer(&mut self, ahead: u32) -> Option<&mut Buffer> {
        let index = *self.buffer_of.get(self.ring.slot_of(ahead) as usize)?;
        self.buffers.get_mut(usize::from(index))
    }

    /// What the next frame is, if all of it has come.
    fn next(&self) -> Result<Option<Frame>, &'static str> {
        let waiting = self.ring.waiting().map_err(|_| "more received frames than pages for them")?;
        let parts = [Part::default(); MAX_FRAME_SLOTS as usize];
        let checksum = ReceivedChecksum::Unknown;
        let mut frame = Frame { slots: 0, parts, part_count: 0, bytes: 0, checksum, dropped: false };
        loop {
            if frame.slots == waiting {
                return Ok(None);
            }
            let response = ReceiveResponse::parse(self.ring.read(frame.slots));
            self.note(response, &mut frame)?;
            if response.has(RECEIVE_EXTRA) && !self.skip_extra(&mut frame, waiting)? {
                return Ok(None);
            }
            if !response.has(RECEIVE_MORE) {
                frame.dropped |= frame.bytes == 0 || frame.bytes > self.assembly.len();
                return Ok(Some(frame));
            }
        }
    }

    /// Checks a response, and adds it to the frame.
    fn note(&self, response: ReceiveResponse, frame: &mut Frame) -> Result<(), &'static str> {
        if u32::from(response.id) != self.ring.slot_of(frame.slots) {
            return Err("a received frame in the place of another");
        }
        if response.has(RECEIVE_GSO_PREFIX) {
            return Err("a received frame of a kind that was not asked for");
        }
        if frame.slots == 0 && (response.has(RECEIVE_CHECKSUM_BLANK) || response.has(RECEIVE_VALIDATED)) {
            frame.checksum = ReceivedChecksum::Good;
        }
        match u16::try_from(response.status) {
            Ok(bytes) => {
                let part = frame.parts.get_mut(frame.part_count).ok_or("a received frame of too many pages")?;
                *part = Part { ahead: frame.slots as u16, start: response.offset, bytes };
                if part.range().end > PAGE_BYTES {
                    return Err("a received frame that does not fit its page");
                }
                frame.part_count += 1;
                frame.bytes += usize::from(bytes);
            }
            // The backend could not copy it.
            Err(_) => frame.dropped = true,
        }
        frame.slots += 1;
        Ok(())
    }

    /// Skips slots of extra information; `false` if they have not all come.
    fn skip_extra(&self, frame: &mut Frame, waiting: u32) -> Result<bool, &'static str> {
        loop {
            if frame.slots == waiting {
                return Ok(false);
            }
            let (kind, more) = extra(self.ring.read(frame.slots));
            if kind == 0 || kind > MAX_EXTRA_KIND {
                return Err("a received frame with extra information of an unknown kind");
            }
            // A frame that stands for several is longer than it may be, and was not asked for.
            frame.dropped |= kind == EXTRA_GSO;
            frame.slots += 1;
            if !more {
                return Ok(true);
            }
        }
    }

    /// Offers idle pages, as far as there are slots.
    fn refill(&mut self) {
        while self.ring.room() > 0 {
            let Some(index) = self.idle.pop() else { return };
            let slot = self.ring.next_slot();
            let buffer = self.buffers.get_mut(usize::from(index));
            let Some(reference) = buffer.and_then(|buffer| buffer.lend(0, self.remote, Access::ReadWrite)) else {
                return;
            };
            self.ring.write(receive_request(slot as u16, reference));
            if let Some(of) = self.buffer_of.get_mut(slot as usize) {
                *of = index;
            }
        }
    }

    /// Shows the backend the pages that were offered; whether it wants to be told.
    pub fn show(&mut self) -> bool {
        self.ring.show()
    }

    /// Asks to be told of the next frame; whether one is there already.
    pub fn ask_for_frame(&self) -> bool {
        // What has come is no whole frame, or it is one, and nothing needs to be asked.
        let Ok(waiting) = self.ring.waiting() else { return true };
        self.ring.ask(waiting + 1);
        self.ring.waiting() != Ok(waiting) || self.has_frame() != Ok(false)
    }
}
