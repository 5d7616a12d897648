//! Packing: a linked program becomes the file that its target starts.

mod arm;
mod elf;
pub mod xl;

use crate::target::Target;
use anyhow::{Context, Result};
use mwasm_plan::Plan;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object};

/// What goes to the disk, without a size map.
pub fn pack(target: Target, linked: &[u8]) -> Result<Vec<u8>> {
    match target {
        Target::Desktop => elf::pack(linked, elf::PvhNote::NotNeeded),
        Target::Xen => elf::pack(linked, elf::PvhNote::Needed),
        Target::Arm => arm::pack(linked),
    }
}

/// Bytes of memory that the loaded program takes, with all that starts as zeros.
pub fn memory_bytes(linked: &[u8]) -> Result<u64> {
    let segments = segments(linked)?;
    let start = segments.iter().map(|segment| segment.address).min().context("a program without segments")?;
    let end = segments.iter().map(|segment| segment.address.saturating_add(segment.memory_bytes)).max();
    Ok(end.unwrap_or(start) - start)
}

/// Memory of a machine beyond the image and what the plan says, in MiB: for page tables, stacks and the host's heap.
const HOST_MIB: u64 = 24;
/// Linear memory of an app whose plan sets no limit, in MiB.
const DEFAULT_HEAP_MIB: u64 = 102;
const MIB: u64 = 1 << 20;

/// Memory of a machine for an image that takes `image_bytes` of it, in MiB. A small app without a limit gets 128.
pub fn memory_mib(plan: &Plan<'_>, image_bytes: u64) -> u64 {
    let heap = plan.memory.heap_bytes.map_or(DEFAULT_HEAP_MIB, |bytes| bytes.div_ceil(MIB));
    HOST_MIB + heap + image_bytes.div_ceil(MIB) + plan.memory.stack_bytes.div_ceil(MIB)
}

/// A part of a program that is loaded.
struct Segment<'a> {
    address: u64,
    memory_bytes: u64,
    data: &'a [u8],
}

/// The segments that are loaded, in the order of their addresses.
fn segments(linked: &[u8]) -> Result<Vec<Segment<'_>>> {
    let header = FileHeader64::<Endianness>::parse(linked)?;
    let endian = header.endian()?;
    let mut segments = Vec::new();
    for segment in header.program_headers(endian, linked)? {
        if segment.p_type(endian) == PT_LOAD && segment.p_memsz(endian) > 0 {
            let data = segment.data(endian, linked).ok().context("a segment outside of its file")?;
            segments.push(Segment { address: segment.p_vaddr(endian), memory_bytes: segment.p_memsz(endian), data });
        }
    }
    segments.sort_by_key(|segment| segment.address);
    Ok(segments)
}

/// Where execution starts.
fn entry(linked: &[u8]) -> Result<u64> {
    Ok(object::File::parse(linked)?.entry())
}
