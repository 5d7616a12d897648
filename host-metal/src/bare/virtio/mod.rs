//! Virtio devices of the machine: their memory, and how they are found.

mod entropy;
pub mod net;

pub use entropy::VirtioEntropy;

use super::memory;
use crate::page::Prot;
use crate::tables::Kind;
use core::ptr::NonNull;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Memory for devices: pages in the identity map.
struct Identity;

// SAFETY: pages come zeroed and from nowhere else. Everything shared lies in such pages, whose addresses are physical.
unsafe impl Hal for Identity {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        match memory::allocate_pages(pages).and_then(NonNull::new) {
            Some(start) => (start.as_ptr() as PhysAddr, start),
            // Physical address 0 says that there is no memory.
            None => (0, NonNull::dangling()),
        }
    }

    /// Devices are used to the end.
    unsafe fn dma_dealloc(_physical: PhysAddr, _start: NonNull<u8>, _pages: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, _bytes: usize) -> NonNull<u8> {
        NonNull::new(physical as usize as *mut u8).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.as_ptr().cast::<u8>() as PhysAddr
    }

    unsafe fn unshare(_physical: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// A device on virtio-mmio.
struct Found {
    /// Which of the windows.
    window: usize,
    /// Its registers.
    registers: NonNull<u8>,
    transport: MmioTransport<'static>,
}

/// The first device of the type `wanted` among virtio-mmio `windows` (physical address and length in bytes).
fn find(windows: impl Iterator<Item = (u64, usize)>, wanted: DeviceType) -> Option<Found> {
    windows.enumerate().find_map(|(window, (physical, bytes))| {
        let registers = memory::map_physical(physical, bytes, Prot::READ_WRITE, Kind::Device).ok()?;
        let registers = NonNull::new(registers)?;
        // SAFETY: the caller names a virtio-mmio window, and it was just mapped.
        let transport = unsafe { MmioTransport::new(registers.cast(), bytes) }.ok()?;
        if transport.device_type() != wanted {
            // Dropping it would reset the device, which may be in use.
            core::mem::forget(transport);
            return None;
        }
        Some(Found { window, registers, transport })
    })
}
