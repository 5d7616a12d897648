//! What virtio says of each frame in front of it, and what a network device can do (virtio 1.2, sections 5.1.3 and 5.1.6).

use mwasm_ports::net_device::{ReceivedChecksum, TransmitChecksum};

/// Bits of the features that this driver knows.
pub mod feature {
    /// The device finishes checksums of what is sent.
    pub const CSUM: u64 = 1 << 0;
    /// The driver takes frames whose checksum was checked, or never was computed.
    pub const GUEST_CSUM: u64 = 1 << 1;
    /// The device says how long packets may be.
    pub const MTU: u64 = 1 << 3;
    /// The device has an address.
    pub const MAC: u64 = 1 << 5;
    /// The device says whether the cable is plugged in.
    pub const STATUS: u64 = 1 << 16;
    /// A header may share a buffer with its frame; always so with [`VERSION_1`].
    pub const ANY_LAYOUT: u64 = 1 << 27;
    /// The device is not a legacy one.
    pub const VERSION_1: u64 = 1 << 32;
    /// The device reaches memory as the machine lets it. Nobody turns an IOMMU on here, so these are physical addresses; but a device
    /// that is behind one insists on this.
    pub const ACCESS_PLATFORM: u64 = 1 << 33;
    /// All that is asked for, where the device has it.
    pub const WANTED: u64 = CSUM | GUEST_CSUM | MTU | MAC | STATUS | ANY_LAYOUT | VERSION_1 | ACCESS_PLATFORM;
}

/// Bytes of the header.
pub const HEADER_BYTES: usize = 12;
/// Bytes of the header of a legacy device, which lacks the last field.
pub const LEGACY_HEADER_BYTES: usize = 10;

/// The checksum is to be finished; in a frame that came, it was not computed.
const NEEDS_CHECKSUM: u8 = 1;
/// The device has checked the checksum.
const DATA_VALID: u8 = 2;
/// Positions in bytes.
const FLAGS: usize = 0;
const CHECKSUM_START: usize = 6;
const CHECKSUM_OFFSET: usize = 8;

/// Writes the header of a frame that is sent.
pub fn write(header: &mut [u8], checksum: Option<TransmitChecksum>) {
    header.fill(0);
    if let Some(TransmitChecksum { start, offset }) = checksum {
        for (at, value) in [(CHECKSUM_START, start), (CHECKSUM_OFFSET, offset)] {
            if let Some(field) = header.get_mut(at..at + 2) {
                field.copy_from_slice(&value.to_le_bytes());
            }
        }
        if let Some(flags) = header.get_mut(FLAGS) {
            *flags = NEEDS_CHECKSUM;
        }
    }
}

/// What the header of a frame that came says of its checksum.
pub fn read(header: &[u8]) -> ReceivedChecksum {
    match header.get(FLAGS) {
        Some(flags) if flags & (NEEDS_CHECKSUM | DATA_VALID) != 0 => ReceivedChecksum::Good,
        _ => ReceivedChecksum::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_asked_for() {
        let mut header = [0xff; HEADER_BYTES];
        write(&mut header, Some(TransmitChecksum { start: 34, offset: 16 }));
        assert_eq!(header, [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
        write(&mut header[..LEGACY_HEADER_BYTES], None);
        assert_eq!(header, [0; HEADER_BYTES]);
    }

    #[test]
    fn a_checksum_is_known_or_not() {
        let of = |flags| read(&[flags, 0, 0, 0]);
        assert_eq!([of(0), of(4)], [ReceivedChecksum::Unknown; 2]);
        assert_eq!([of(1), of(2), of(3)], [ReceivedChecksum::Good; 3]);
    }
}
