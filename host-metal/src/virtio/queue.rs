//! A virtqueue with a buffer of its own for each descriptor, which believes nothing that the device says.
//!
//! Each buffer is one descriptor, so a request is never a chain. The crate's queue keeps the descriptors where the device cannot
//! write to them; what it leaves to its user is checked here: that a buffer which comes back was given away, and is known by its
//! descriptor. Two things of it are not used: event indexes, because its comparison goes wrong when the index wraps around, and its
//! tests of notification flags without a barrier before them.

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE};

/// How a device broke its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Lie {
    /// It returned a buffer that it did not have.
    Buffer = 1,
    /// It says that it wrote more than there is room, or less than a header.
    Length,
    /// It says so itself.
    NeedsReset,
    /// It notified of a configuration and did not let it be read.
    Configuration,
}

impl Lie {
    /// All of them.
    const ALL: [Self; 4] = [Self::Buffer, Self::Length, Self::NeedsReset, Self::Configuration];

    /// The lie with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lie| *lie as u8 == number)
    }

    /// For messages.
    pub fn text(self) -> &'static str {
        match self {
            Self::Buffer => "it returned a buffer that it did not have",
            Self::Length => "it says that it wrote more than fits in a buffer, or less than a header",
            Self::NeedsReset => "it says that it failed (DEVICE_NEEDS_RESET)",
            Self::Configuration => "its configuration cannot be read",
        }
    }
}

/// Who writes to the buffers of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The device: it receives.
    Device,
    /// The driver: it transmits.
    Driver,
}

/// A queue of `SIZE` buffers.
pub struct Buffers<H: Hal, const SIZE: usize> {
    queue: VirtQueue<H, SIZE>,
    index: u16,
    writer: Writer,
    /// `SIZE` buffers in a row, never given back.
    start: NonNull<u8>,
    buffer_bytes: usize,
    /// By descriptor: the buffer that the device has there.
    given: [Option<u16>; SIZE],
    /// By buffer: whether the device has it.
    away: [bool; SIZE],
    /// Something was given since the device was last told.
    untold: bool,
}

// SAFETY: the pointer leads to memory that belongs to the queue for ever, reachable from everywhere.
unsafe impl<H: Hal, const SIZE: usize> Send for Buffers<H, SIZE> {}

impl<H: Hal, const SIZE: usize> Buffers<H, SIZE> {
    /// Sets up queue `index` of the device, with buffers of `buffer_bytes` each (not 0).
    pub fn new(
        transport: &mut impl Transport,
        index: u16,
        writer: Writer,
        buffer_bytes: usize,
    ) -> Result<Self, &'static str> {
        let queue = VirtQueue::new(transport, index, false, false).map_err(|error| match error {
            Error::DmaError => NO_MEMORY,
            _ => "the network device has no queues, or shorter ones than the 128 buffers that this driver uses",
        })?;
        let bytes = buffer_bytes.checked_mul(SIZE).ok_or(NO_MEMORY)?;
        let (physical, start) = H::dma_alloc(bytes.div_ceil(PAGE_SIZE), BufferDirection::Both);
        if physical == 0 {
            return Err(NO_MEMORY);
        }
        Ok(Self { queue, index, writer, start, buffer_bytes, given: [None; SIZE], away: [false; SIZE], untold: false })
    }

    /// Bytes of each buffer.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// The first `bytes` of a buffer that the device does not have; `None` if there is no such buffer, or it is shorter.
    pub fn buffer(&mut self, number: u16, bytes: usize) -> Option<&mut [u8]> {
        if self.away.get(usize::from(number)).is_none_or(|away| *away) {
            return None;
        }
        // SAFETY: the buffer is ours, and borrowed as long as this queue is, which alone could give it away.
        unsafe { self.whole(number) }.get_mut(..bytes)
    }

    /// # Safety
    /// The number is below `SIZE`, and nobody else uses the slice.
    unsafe fn whole<'a>(&self, number: u16) -> &'a mut [u8] {
        // SAFETY: there are `SIZE` buffers; the caller vouches for the rest.
        unsafe {
            let start = self.start.add(usize::from(number) * self.buffer_bytes);
            NonNull::slice_from_raw_parts(start, self.buffer_bytes).as_mut()
        }
    }

    /// Gives the first `bytes` (not 0) of a buffer to the device. It is not given if the device has it already, or if there is no
    /// such buffer.
    pub fn give(&mut self, number: u16, bytes: usize) {
        let writer = self.writer;
        let Some(buffer) = self.buffer(number, bytes).filter(|buffer| !buffer.is_empty()) else { return };
        let buffer = NonNull::from(buffer);
        // SAFETY: the buffer lives for ever, and `given` keeps it from being used until the device has returned it.
        let added = unsafe {
            match writer {
                Writer::Device => self.queue.add(&[], &mut [&mut *buffer.as_ptr()]),
                Writer::Driver => self.queue.add(&[&*buffer.as_ptr()], &mut []),
            }
        };
        // There are as many descriptors as buffers, so one is free for each.
        let slot = added.ok().and_then(|descriptor| self.given.get_mut(usize::from(descriptor)));
        if let (Some(slot), Some(away)) = (slot, self.away.get_mut(usize::from(number))) {
            (*slot, *away) = (Some(number), true);
            self.untold = true;
        }
    }

    /// Whether the device has returned a buffer.
    pub fn has_returned(&self) -> bool {
        self.queue.can_pop()
    }

    /// A buffer that the device has returned, and how many bytes it says to have written to it, which can be any number.
    pub fn take(&mut self) -> Result<Option<(u16, u32)>, Lie> {
        let Some(descriptor) = self.queue.peek_used() else { return Ok(None) };
        let number = self.given.get_mut(usize::from(descriptor)).and_then(Option::take).ok_or(Lie::Buffer)?;
        // SAFETY: the device had the buffer, and has returned it.
        let buffer = unsafe { self.whole(number) };
        // SAFETY: this buffer was added with this descriptor. Its length matters to nobody.
        let popped = unsafe {
            match self.writer {
                Writer::Device => self.queue.pop_used(descriptor, &[], &mut [buffer]),
                Writer::Driver => self.queue.pop_used(descriptor, &[buffer], &mut []),
            }
        };
        // The ring is read a second time in there: it may say something else by now.
        let bytes = popped.map_err(|_| Lie::Buffer)?;
        if let Some(away) = self.away.get_mut(usize::from(number)) {
            *away = false;
        }
        Ok(Some((number, bytes)))
    }

    /// Tells the device that it was given buffers, if it was, and if it wants to know.
    pub fn tell(&mut self, transport: &mut impl Transport) {
        if core::mem::take(&mut self.untold) {
            // The device must see the buffers before its wish is read; otherwise both sides could wait for each other.
            fence(Ordering::SeqCst);
            if self.queue.should_notify() {
                transport.notify(self.index);
            }
        }
    }

    /// Asks for interrupts when the device returns a buffer, or asks for none. Says whether it has returned one already, of which no
    /// interrupt may tell.
    pub fn interrupt(&mut self, wanted: bool) -> bool {
        self.queue.set_dev_notify(wanted);
        // The device must see the wish before its ring is read.
        fence(Ordering::SeqCst);
        self.has_returned()
    }
}

/// Why a queue cannot be set up.
const NO_MEMORY: &str = "no memory for the network device's buffers; give the machine more memory";
