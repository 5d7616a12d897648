//! The image in memory, from its own program headers.
//!
//! The linker puts the ELF header and the program headers at the start of the image, and they are loaded with it. They
//! say which pages are code, constants and data, so the kernel needs no linker script to protect itself. A flat arm64
//! Image has its own header in place of the ELF header (both are 64 bytes); the program headers behind it are still
//! there, and the first of them describes the table itself.

use crate::page::{Prot, page_down, page_up};
use core::fmt;

/// The most segments of an image.
pub const MAX_SEGMENTS: usize = 12;
/// Bytes of an ELF-64 header, and of an arm64 Image header.
const HEADER_BYTES: usize = 64;
/// Bytes of a program header of ELF-64.
const PROGRAM_HEADER_BYTES: usize = 56;
const PT_LOAD: u32 = 1;
const PT_PHDR: u32 = 6;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PF_X: u32 = 1;
const PF_W: u32 = 2;

/// A part of the image with one protection; ends are page-aligned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The first address.
    pub start: usize,
    /// One past the last address.
    pub end: usize,
    /// What is allowed.
    pub prot: Prot,
    /// Whether nobody ever writes to it, also not before it was protected.
    pub constant: bool,
}

/// Where the image lies (virtual addresses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    segments: [Segment; MAX_SEGMENTS],
    count: usize,
}

/// The bytes at the start of the image are no program headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnImage;

impl fmt::Display for NotAnImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the image does not start with its program headers: it was packed by something else than mwasm")
    }
}

impl core::error::Error for NotAnImage {}

impl Image {
    /// No image.
    pub const fn new() -> Self {
        let none = Segment { start: 0, end: 0, prot: Prot::NONE, constant: false };
        Self { segments: [none; MAX_SEGMENTS], count: 0 }
    }

    /// Reads the program headers in the first bytes of an image.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnImage> {
        let mut image = Self::new();
        let headers = bytes.get(HEADER_BYTES..).ok_or(NotAnImage)?;
        let first = headers.get(..PROGRAM_HEADER_BYTES).ok_or(NotAnImage)?;
        let size = match bytes.starts_with(b"\x7fELF") {
            true => usize::from(u16::from_le_bytes(array(bytes, 56)?)) * PROGRAM_HEADER_BYTES,
            false if u32_at(first, 0)? == PT_PHDR => usize_at(first, 32)?,
            false => return Err(NotAnImage),
        };
        let headers = headers.get(..size).ok_or(NotAnImage)?;
        for header in headers.chunks_exact(PROGRAM_HEADER_BYTES) {
            image.add(header)?;
        }
        if image.count == 0 { Err(NotAnImage) } else { Ok(image) }
    }

    fn add(&mut self, header: &[u8]) -> Result<(), NotAnImage> {
        let (kind, flags, start) = (u32_at(header, 0)?, u32_at(header, 4)?, usize_at(header, 16)?);
        let end = start.checked_add(usize_at(header, 40)?).filter(|end| *end < usize::MAX / 2).ok_or(NotAnImage)?;
        if start >= end {
            return Ok(());
        }
        let segment = match kind {
            PT_LOAD => {
                let (start, end) = (page_down(start), page_up(end));
                let prot = match (flags & PF_W != 0, flags & PF_X != 0) {
                    (false, false) => Prot::READ,
                    (true, false) => Prot::READ_WRITE,
                    (false, true) => Prot::READ_EXECUTE,
                    (true, true) => return Err(NotAnImage),
                };
                Segment { start, end, prot, constant: prot == Prot::READ }
            }
            // Nothing is relocated at run time, so what a loader would protect after relocation is constant from the
            // start. A page that it only shares is not protected.
            PT_GNU_RELRO if page_up(start) < page_down(end) => {
                Segment { start: page_up(start), end: page_down(end), prot: Prot::READ, constant: false }
            }
            _ => return Ok(()),
        };
        *self.segments.get_mut(self.count).ok_or(NotAnImage)? = segment;
        self.count += 1;
        Ok(())
    }

    /// The parts, in the order of their headers: a later one overrides an earlier one.
    pub fn segments(&self) -> &[Segment] {
        self.segments.get(..self.count).unwrap_or_default()
    }

    /// The first address.
    pub fn start(&self) -> usize {
        self.segments().iter().map(|segment| segment.start).min().unwrap_or(0)
    }

    /// One past the last address.
    pub fn end(&self) -> usize {
        self.segments().iter().map(|segment| segment.end).max().unwrap_or(0)
    }

    /// Whether all of `start..end` is constant: neither code of the kernel nor anything that is written.
    pub fn is_constant(&self, start: usize, end: usize) -> bool {
        self.segments()
            .iter()
            .any(|segment| segment.constant && segment.start <= start && start <= end && end <= segment.end)
    }
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], NotAnImage> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(NotAnImage)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, NotAnImage> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Result<usize, NotAnImage> {
    usize::try_from(u64::from_le_bytes(array(bytes, at)?)).map_err(|_| NotAnImage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(kind: u32, flags: u32, start: u64, bytes: u64) -> Vec<u8> {
        let words = [u64::from(kind) | u64::from(flags) << 32, 0, start, start, bytes, bytes, 0x1000];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn sample(elf: bool) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        if elf {
            bytes[..4].copy_from_slice(b"\x7fELF");
            bytes[56] = 6;
        }
        bytes.extend(header(PT_PHDR, 4, 0x10_0040, 6 * 56));
        bytes.extend(header(PT_LOAD, 4, 0x10_0000, 0x1234));
        bytes.extend(header(PT_LOAD, 5, 0x10_2234, 0x100));
        bytes.extend(header(PT_LOAD, 6, 0x10_3334, 0x2000));
        bytes.extend(header(4, 4, 0x10_0480, 20));
        bytes.extend(header(PT_GNU_RELRO, 4, 0x10_3334, 0xccc));
        bytes.resize(4096, 0xcc);
        bytes
    }

    #[test]
    fn both_kinds_of_image_are_read() {
        for elf in [true, false] {
            let image = Image::parse(&sample(elf)).unwrap();
            assert_eq!((image.start(), image.end()), (0x10_0000, 0x10_6000));
            let prots: Vec<Prot> = image.segments().iter().map(|segment| segment.prot).collect();
            assert_eq!(prots, [Prot::READ, Prot::READ_EXECUTE, Prot::READ_WRITE], "the rest of a shared page is data");
            assert!(image.is_constant(0x10_0000, 0x10_2000) && !image.is_constant(0x10_0000, 0x10_2001));
            assert!(!image.is_constant(0x10_2000, 0x10_3000), "code of the kernel");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let mut writable_code = sample(true);
        writable_code[HEADER_BYTES + 56 + 4] = 7;
        for bytes in [&[][..], &[0; 4096], &sample(true)[..200], &writable_code] {
            assert_eq!(Image::parse(bytes), Err(NotAnImage));
        }
    }

    proptest! {
        #[test]
        fn damaged_headers_never_panic(at in 0usize..400, value: u8, elf: bool) {
            let mut bytes = sample(elf);
            bytes[at] = value;
            if let Ok(image) = Image::parse(&bytes) {
                prop_assert!(image.segments().iter().all(|segment| segment.start < segment.end));
                prop_assert!(image.segments().iter().all(|segment| !(segment.prot.writable() && segment.prot.executable())));
            }
        }
    }
}
