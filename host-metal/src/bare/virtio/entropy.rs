//! Randomness from a virtio entropy device (virtio 1.2, section 5.4) on virtio-mmio.

use super::{Identity, find};
use crate::bare::{fatal, memory};
use crate::exclusive::Exclusive;
use crate::page::PAGE_BYTES;
use core::ptr::NonNull;
use mwasm_ports::{Entropy, EntropyError, NANOS_PER_SECOND};
use virtio_drivers::device::common::Feature;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceType, Transport};

/// The one queue of the device.
const QUEUE: u16 = 0;
/// One request at a time; queues have a power of two of descriptors.
const QUEUE_SIZE: usize = 2;
/// How long the device may take for one request, in nanoseconds. It is served by the machine below, not by the network.
const PATIENCE_NS: u64 = 5 * NANOS_PER_SECOND;

struct Device {
    transport: MmioTransport<'static>,
    queue: VirtQueue<Identity, QUEUE_SIZE>,
    /// A page that the device fills.
    buffer: NonNull<[u8]>,
}

// SAFETY: the pointers lead to memory that the device owns for ever, reachable from everywhere.
unsafe impl Send for Device {}

/// A virtio entropy device in use.
pub struct VirtioEntropy(Exclusive<Device>);

impl VirtioEntropy {
    /// The first entropy device among virtio-mmio `windows` (physical address and length in bytes).
    pub fn find(windows: impl Iterator<Item = (u64, usize)>) -> Option<Self> {
        Self::open(find(windows, DeviceType::EntropySource)?.transport)
    }

    fn open(mut transport: MmioTransport<'static>) -> Option<Self> {
        transport.begin_init(Feature::VERSION_1);
        let queue = VirtQueue::new(&mut transport, QUEUE, false, false).ok()?;
        transport.finish_init();
        let page = NonNull::new(memory::allocate_pages(1)?)?;
        let buffer = NonNull::slice_from_raw_parts(page, PAGE_BYTES);
        Some(Self(Exclusive::new(Device { transport, queue, buffer })))
    }
}

impl Entropy for VirtioEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.0
            .try_with(|device| out.chunks_mut(PAGE_BYTES).try_for_each(|chunk| device.fill(chunk)))
            .ok_or(EntropyError)?
    }
}

impl Device {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut rest = out;
        while !rest.is_empty() {
            let got = self.request(rest.len())?;
            // SAFETY: the device has given the buffer back.
            let bytes = unsafe { self.buffer.as_mut() }.get_mut(..got).ok_or(EntropyError)?;
            let (now, later) = rest.split_at_mut_checked(got).ok_or(EntropyError)?;
            now.copy_from_slice(bytes);
            // What was handed out is not left lying about.
            bytes.fill(0);
            rest = later;
        }
        Ok(())
    }

    /// Lets the device write up to `wanted` bytes to the buffer; says how many it did, at least 1.
    fn request(&mut self, wanted: usize) -> Result<usize, EntropyError> {
        // SAFETY: the device has no request, so the buffer is ours until the next line shares it.
        let buffer = unsafe { self.buffer.as_mut() }.get_mut(..wanted).ok_or(EntropyError)?;
        // SAFETY: the buffer lives for ever and is not touched until the request was taken back.
        let token = unsafe { self.queue.add(&[], &mut [&mut *buffer]) }.map_err(|_| EntropyError)?;
        if self.queue.should_notify() {
            self.transport.notify(QUEUE);
        }
        let board = fatal::board().ok_or(EntropyError)?;
        let end = board.now_ns().saturating_add(PATIENCE_NS);
        while !self.queue.can_pop() {
            if board.now_ns() > end {
                return Err(EntropyError);
            }
            core::hint::spin_loop();
        }
        // SAFETY: the same buffer as above.
        let got = unsafe { self.queue.pop_used(token, &[], &mut [buffer]) }.map_err(|_| EntropyError)?;
        Some(got as usize).filter(|got| (1..=wanted).contains(got)).ok_or(EntropyError)
    }
}
