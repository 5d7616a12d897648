//! The transport over PCI (virtio 1.2, section 4.1), with message-signalled interrupts.
//!
//! The crate has one, too, but without these interrupts, with three accesses for a notification where one does, and with panics where
//! a device says something that cannot be.

use super::pci::{Layout, Region};
use core::ptr::NonNull;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

/// Which interrupt of the device's table its queues have.
pub const QUEUES_VECTOR: u16 = 0;
/// Which one its state has.
pub const STATE_VECTOR: u16 = 1;
/// Says that there is no interrupt.
const NO_VECTOR: u16 = 0xffff;
/// Queues whose place for notifications is known.
const QUEUES: usize = 2;

/// The structure for all types of devices, as byte offsets (section 4.1.4.3).
const FEATURES_SELECT: usize = 0;
const FEATURES: usize = 4;
const DRIVER_FEATURES_SELECT: usize = 8;
const DRIVER_FEATURES: usize = 12;
const CONFIG_VECTOR: usize = 16;
const QUEUE_COUNT: usize = 18;
const STATUS: usize = 20;
const GENERATION: usize = 21;
const QUEUE_SELECT: usize = 22;
const QUEUE_SIZE: usize = 24;
const QUEUE_VECTOR: usize = 26;
const QUEUE_ENABLE: usize = 28;
const QUEUE_NOTIFY_OFFSET: usize = 30;
const QUEUE_DESCRIPTORS: usize = 32;
const QUEUE_DRIVER: usize = 40;
const QUEUE_DEVICE: usize = 48;
/// Bytes of the structure.
const COMMON_BYTES: usize = 56;

/// Mapped registers. What lies outside reads as zero, and is not written.
pub struct Registers {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: registers are reachable from everywhere.
unsafe impl Send for Registers {}

impl Registers {
    /// The registers from `start` on.
    ///
    /// # Safety
    /// There are `bytes` bytes of registers, mapped for ever, aligned to 4, which reach no memory of ours but what they are told of.
    pub unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
        Self { start, bytes }
    }

    /// Where a register of this type is.
    fn at<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let fits = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.bytes);
        // SAFETY: the offset lies within the registers.
        (fits && offset.is_multiple_of(align_of::<T>())).then(|| unsafe { self.start.add(offset) }.cast())
    }

    fn read<T: FromZeros>(&self, offset: usize) -> T {
        // SAFETY: `new` was promised registers.
        self.at(offset).map_or_else(T::new_zeroed, |register| unsafe { register.read_volatile() })
    }

    /// Writes the register at `offset`.
    pub fn write<T>(&self, offset: usize, value: T) {
        if let Some(register) = self.at(offset) {
            // SAFETY: as `read`.
            unsafe { register.write_volatile(value) };
        }
    }

    fn write_64(&self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + 4, (value >> 32) as u32);
    }
}

/// A network device on PCI.
pub struct PciTransport {
    common: Registers,
    notify: Registers,
    notify_multiplier: usize,
    device: Registers,
    /// By queue: where in `notify` it is notified.
    places: [usize; QUEUES],
    /// The device has no interrupt to spare.
    no_vector: bool,
}

impl PciTransport {
    /// The device with this layout, whose registers `map` makes accessible.
    pub fn new(layout: &Layout, map: impl Fn(Region) -> Option<Registers>) -> Result<Self, &'static str> {
        const UNUSABLE: &str = "the network device's registers are where none can be";
        let common = map(layout.common).filter(|common| common.bytes >= COMMON_BYTES).ok_or(UNUSABLE)?;
        let notify = map(layout.notify).ok_or(UNUSABLE)?;
        let device = map(layout.device).ok_or(UNUSABLE)?;
        let notify_multiplier = layout.notify_multiplier as usize;
        Ok(Self { common, notify, notify_multiplier, device, places: [usize::MAX; QUEUES], no_vector: false })
    }

    fn select(&self, queue: u16) {
        self.common.write(QUEUE_SELECT, queue);
    }

    /// Writes the number of an interrupt; the device may refuse it.
    fn set_vector(&mut self, register: usize, vector: u16) {
        self.common.write(register, vector);
        self.no_vector |= self.common.read::<u16>(register) == NO_VECTOR;
    }
}

impl Transport for PciTransport {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        let half = |select: u32| {
            self.common.write(FEATURES_SELECT, select);
            u64::from(self.common.read::<u32>(FEATURES))
        };
        half(0) | half(1) << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        for (select, half) in [(0u32, features as u32), (1, (features >> 32) as u32)] {
            self.common.write(DRIVER_FEATURES_SELECT, select);
            self.common.write(DRIVER_FEATURES, half);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        if queue >= self.common.read::<u16>(QUEUE_COUNT) {
            return 0;
        }
        self.select(queue);
        self.common.read::<u16>(QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        if let Some(place) = self.places.get(usize::from(queue)) {
            self.notify.write(*place, queue);
        }
    }

    /// A device without interrupts is as good as one that failed.
    fn get_status(&self) -> DeviceStatus {
        let status = DeviceStatus::from_bits_truncate(self.common.read::<u8>(STATUS).into());
        if self.no_vector { status | DeviceStatus::DEVICE_NEEDS_RESET } else { status }
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.common.write(STATUS, status.bits() as u8);
    }

    fn set_guest_page_size(&mut self, _bytes: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, descriptors: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        self.set_vector(CONFIG_VECTOR, STATE_VECTOR);
        self.select(queue);
        self.set_vector(QUEUE_VECTOR, QUEUES_VECTOR);
        self.common.write(QUEUE_SIZE, size as u16);
        self.common.write_64(QUEUE_DESCRIPTORS, descriptors);
        self.common.write_64(QUEUE_DRIVER, driver);
        self.common.write_64(QUEUE_DEVICE, device);
        let offset = usize::from(self.common.read::<u16>(QUEUE_NOTIFY_OFFSET));
        if let Some(place) = self.places.get_mut(usize::from(queue)) {
            *place = offset.saturating_mul(self.notify_multiplier);
        }
        self.common.write(QUEUE_ENABLE, 1u16);
    }

    /// Only a reset takes a queue away.
    fn queue_unset(&mut self, _queue: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.common.read::<u16>(QUEUE_ENABLE) != 0
    }

    /// Messages need no answer.
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        self.common.read::<u8>(GENERATION).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let mut value = T::new_zeroed();
        for (at, byte) in value.as_mut_bytes().iter_mut().enumerate() {
            let register = self.device.at::<u8>(offset.saturating_add(at)).ok_or(Error::ConfigSpaceTooSmall)?;
            // SAFETY: `Registers::new` was promised registers.
            *byte = unsafe { register.read_volatile() };
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _offset: usize, _value: T) -> Result<(), Error> {
        // A network device has nothing there that may be written.
        Err(Error::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;

    /// Words that stand for registers: common at 0, notifications at 64, the device's own at 128.
    struct Memory(&'static mut [u32; 48]);

    impl Memory {
        fn new() -> Self {
            Self(Box::leak(Box::new([0; 48])))
        }

        fn transport(&mut self, common_bytes: u32) -> Result<PciTransport, &'static str> {
            let start = NonNull::from(&mut *self.0).cast::<u8>();
            let region = |address, bytes| Region { address, bytes };
            let layout = Layout::of(region(0, common_bytes), region(64, 64), 4, region(128, 12));
            PciTransport::new(&layout, |region| {
                // SAFETY: the regions above lie within the words, which live for ever.
                Some(unsafe { Registers::new(start.add(region.address as usize), region.bytes as usize) })
            })
        }

        fn bytes(&self) -> &[u8] {
            self.0.as_bytes()
        }

        fn word(&mut self, at: usize) -> &mut u32 {
            &mut self.0[at / 4]
        }
    }

    #[test]
    fn a_queue_is_set_up_and_notified_where_the_device_says() {
        let mut memory = Memory::new();
        // Two queues of 256; notifications at the third place.
        *memory.word(QUEUE_COUNT - 2) = 2 << 16;
        *memory.word(QUEUE_SIZE) = 256;
        *memory.word(QUEUE_NOTIFY_OFFSET - 2) = 3 << 16;
        let mut transport = memory.transport(56).unwrap();
        assert_eq!((transport.max_queue_size(1), transport.max_queue_size(2)), (256, 0));
        assert!(!transport.queue_used(1));
        transport.queue_set(1, 128, 0x1_0000_2000, 0x3000, 0x4000);
        transport.notify(1);
        transport.notify(7);
        assert!(transport.queue_used(1) && transport.get_status().is_empty());
        let bytes = memory.bytes();
        assert_eq!(bytes[16..18], [STATE_VECTOR as u8, 0]);
        assert_eq!(bytes[22..30], [1, 0, 128, 0, 0, 0, 1, 0]);
        assert_eq!(bytes[32..40], 0x1_0000_2000u64.to_le_bytes());
        assert_eq!((bytes[64 + 12], bytes[64..128].iter().filter(|byte| **byte != 0).count()), (1, 1));
    }

    #[test]
    fn places_outside_are_left_alone() {
        let mut memory = Memory::new();
        *memory.word(QUEUE_NOTIFY_OFFSET - 2) = 0xffff << 16;
        let mut transport = memory.transport(56).unwrap();
        transport.queue_set(0, 128, 0x1000, 0x2000, 0x3000);
        transport.notify(0);
        assert!(memory.bytes()[64..].iter().all(|byte| *byte == 0));
        assert!(memory.transport(52).is_err(), "a common structure that is too short");
    }

    #[test]
    fn the_configuration_ends_where_the_device_says() {
        let mut memory = Memory::new();
        *memory.word(128) = 0x0302_0102;
        let transport = memory.transport(56).unwrap();
        assert_eq!(transport.read_config_space(0), Ok([2u8, 1, 2, 3, 0, 0]));
        assert_eq!(transport.read_config_space::<u16>(10), Ok(0));
        assert_eq!(transport.read_config_space::<u16>(11), Err(Error::ConfigSpaceTooSmall));
        assert_eq!(transport.read_config_space::<u16>(usize::MAX), Err(Error::ConfigSpaceTooSmall));
    }
}
