//! A virtio network device in memory, for tests: it can do as it should, and anything else.

use std::alloc::{Layout, alloc_zeroed};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::vec::Vec;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes of a descriptor, and of an entry of the used ring.
const DESCRIPTOR_BYTES: usize = 16;
const USED_BYTES: usize = 8;
/// Rings start with flags and index.
const RING_HEADER_BYTES: usize = 4;
const NO_INTERRUPT: u16 = 1;

/// Memory whose physical addresses are its addresses.
pub struct FakeHal;

// SAFETY: pages come zeroed from the allocator, and are never freed.
unsafe impl Hal for FakeHal {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let layout = Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).unwrap();
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
        (start.as_ptr() as PhysAddr, start)
    }

    unsafe fn dma_dealloc(_physical: PhysAddr, _start: NonNull<u8>, _pages: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(_physical: PhysAddr, _bytes: usize) -> NonNull<u8> {
        unreachable!("a device in memory has no registers")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.as_ptr().cast::<u8>() as PhysAddr
    }

    unsafe fn unshare(_physical: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// A queue as the device sees it.
#[derive(Clone, Copy, Default)]
struct Queue {
    size: u32,
    descriptors: usize,
    available: usize,
    used: usize,
    /// How many buffers the device has taken.
    taken: u16,
}

/// What a device is like, and what was done to it.
pub struct State {
    pub features: u64,
    pub agreed: u64,
    pub config: Vec<u8>,
    pub status: DeviceStatus,
    pub max_queue: u32,
    /// Statuses that it never takes.
    pub refused: DeviceStatus,
    /// Its configuration changes with each look.
    pub restless: bool,
    pub notified: [u32; 2],
    generation: u32,
    queues: [Queue; 2],
}

/// The device, as driver and test have it.
#[derive(Clone)]
pub struct Fake(pub Arc<Mutex<State>>);

impl Fake {
    /// A device that is plugged in, with address 02:00:00:00:00:01 and packets of 1400 bytes.
    pub fn new(features: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            features,
            agreed: 0,
            config: std::vec![2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0x78, 5],
            status: DeviceStatus::empty(),
            max_queue: 256,
            refused: DeviceStatus::empty(),
            restless: false,
            notified: [0; 2],
            generation: 0,
            queues: [Queue::default(); 2],
        })))
    }

    fn queue(&self, queue: usize) -> Queue {
        self.0.lock().unwrap().queues[queue]
    }

    /// Takes the next buffer that the driver has given: its descriptor, address and bytes.
    pub fn take(&self, queue: usize) -> Option<(u16, usize, u32)> {
        let mut state = self.0.lock().unwrap();
        let queue = &mut state.queues[queue];
        // SAFETY: the driver has set the queue up, in memory that is never freed; all of it is plain numbers.
        unsafe {
            let index = (queue.available as *const u16).add(1).read_volatile();
            if index == queue.taken {
                return None;
            }
            let slot = queue.taken as usize % queue.size as usize;
            queue.taken = queue.taken.wrapping_add(1);
            let descriptor = ((queue.available + RING_HEADER_BYTES) as *const u16).add(slot).read_volatile();
            let entry = queue.descriptors + usize::from(descriptor) * DESCRIPTOR_BYTES;
            let address = (entry as *const u64).read_volatile();
            Some((descriptor, address as usize, ((entry + 8) as *const u32).read_volatile()))
        }
    }

    /// Puts an entry into the used ring, whatever it says.
    pub fn give_back(&self, queue: usize, descriptor: u32, bytes: u32) {
        let queue = self.queue(queue);
        // SAFETY: as `take`.
        unsafe {
            let index = (queue.used as *mut u16).add(1);
            let slot = index.read_volatile() as usize % queue.size as usize;
            let entry = (queue.used + RING_HEADER_BYTES + slot * USED_BYTES) as *mut u32;
            entry.write_volatile(descriptor);
            entry.add(1).write_volatile(bytes);
            index.write_volatile(index.read_volatile().wrapping_add(1));
        }
    }

    /// Says that this many buffers have been returned, whatever was.
    pub fn claim(&self, queue: usize, index: u16) {
        // SAFETY: as `take`.
        unsafe { (self.queue(queue).used as *mut u16).add(1).write_volatile(index) };
    }

    /// A frame comes; whether there was a buffer for it.
    pub fn deliver(&self, header: &[u8], frame: &[u8]) -> bool {
        let Some((descriptor, address, room)) = self.take(0) else { return false };
        let bytes = [header, frame].concat();
        if bytes.len() > room as usize {
            return false;
        }
        // SAFETY: the driver gave this buffer away, which has so many bytes.
        unsafe { (address as *mut u8).copy_from(bytes.as_ptr(), bytes.len()) };
        self.give_back(0, descriptor.into(), bytes.len() as u32);
        true
    }

    /// Takes the next frame that was sent, with its header.
    pub fn sent(&self) -> Option<Vec<u8>> {
        let (descriptor, address, bytes) = self.take(1)?;
        // SAFETY: the driver gave this buffer away, which has so many bytes.
        let frame = unsafe { std::slice::from_raw_parts(address as *const u8, bytes as usize) }.to_vec();
        self.give_back(1, descriptor.into(), 0);
        Some(frame)
    }

    /// Whether the driver wants an interrupt.
    pub fn may_interrupt(&self, queue: usize) -> bool {
        // SAFETY: as `take`.
        unsafe { (self.queue(queue).available as *const u16).read_volatile() & NO_INTERRUPT == 0 }
    }
}

impl Transport for Fake {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        self.0.lock().unwrap().features
    }

    fn write_driver_features(&mut self, features: u64) {
        self.0.lock().unwrap().agreed = features;
    }

    fn max_queue_size(&mut self, _queue: u16) -> u32 {
        self.0.lock().unwrap().max_queue
    }

    fn notify(&mut self, queue: u16) {
        self.0.lock().unwrap().notified[usize::from(queue)] += 1;
    }

    fn get_status(&self) -> DeviceStatus {
        self.0.lock().unwrap().status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut state = self.0.lock().unwrap();
        state.status = status.difference(state.refused);
    }

    fn set_guest_page_size(&mut self, _bytes: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, descriptors: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        let (descriptors, available, used) = (descriptors as usize, driver as usize, device as usize);
        self.0.lock().unwrap().queues[usize::from(queue)] = Queue { size, descriptors, available, used, taken: 0 };
    }

    fn queue_unset(&mut self, queue: u16) {
        self.0.lock().unwrap().queues[usize::from(queue)] = Queue::default();
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.queue(usize::from(queue)).descriptors != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        let mut state = self.0.lock().unwrap();
        state.generation += u32::from(state.restless);
        state.generation
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let state = self.0.lock().unwrap();
        let bytes = state.config.get(offset..offset + size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        T::read_from_bytes(bytes).map_err(|_| Error::InvalidParam)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _offset: usize, _value: T) -> Result<(), Error> {
        Err(Error::Unsupported)
    }
}
