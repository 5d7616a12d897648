//! The kernel itself, which only exists on the bare machine.

mod boot;
mod entropy;
mod interrupts;
mod io;
mod qemu;
mod xen;

use crate::features::Processor;
use crate::start_info::{self, ENTRY_BYTES, START_INFO_BYTES};
use alloc::sync::Arc;
use core::arch::x86_64::__cpuid;
use mwasm_host_metal::bare::{fatal, memory, network};
use mwasm_host_metal::image::Image;
use mwasm_host_metal::memory_map::MemoryMap;
use mwasm_host_metal::ports::NO_ENTROPY;
use mwasm_host_metal::tables::{LEVEL_1G, LEVEL_2M};
use mwasm_plan::Plan;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::{Outcome, Ports};

/// CPUID leaf of the first hypervisor interface.
const HYPERVISOR_LEAF: u32 = 0x4000_0000;
/// Xen moves its leaves up when it offers another hypervisor's interface first; in steps of this, up to the limit.
const HYPERVISOR_LEAF_STEP: usize = 0x100;
const HYPERVISOR_LEAF_LIMIT: u32 = 0x4001_0000;
/// The boot tables map this much memory at its own addresses, in bytes.
const BOOT_MAPPED_BYTES: u64 = 1 << 30;

/// Who runs this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hypervisor {
    /// Xen.
    Xen,
    /// KVM (below QEMU).
    Kvm,
    /// QEMU's own emulation.
    Tcg,
}

/// The kernel's first Rust: on the boot stack, with the boot tables.
extern "C" fn start(start_info: u64) -> ! {
    interrupts::install();
    let hypervisor = hypervisor();
    match hypervisor {
        Ok(Hypervisor::Xen) => fatal::set_board(xen::board()),
        _ => fatal::set_board(qemu::board()),
    }
    let (map, rsdp) = read_start_info(start_info);
    start_memory(map);
    // From here on the machine can be switched off after a message.
    qemu::set_root(rsdp);
    let hypervisor = hypervisor.unwrap_or_else(|found| {
        fatal::end(
            Outcome::Failed,
            format_args!(
                "wanted Xen, KVM or QEMU, found {:?}: this image knows no other machine",
                core::str::from_utf8(&found).unwrap_or("?").trim_end_matches('\0')
            ),
        )
    });
    check_processor();
    match hypervisor {
        Hypervisor::Xen => xen::start(),
        Hypervisor::Kvm | Hypervisor::Tcg => qemu::start(hypervisor == Hypervisor::Kvm),
    }
    mwasm_host_metal::bare::run()
}

/// The hypervisor, or the name of an unknown one.
fn hypervisor() -> Result<Hypervisor, [u8; 12]> {
    let mut first = [0; 12];
    for base in (HYPERVISOR_LEAF..HYPERVISOR_LEAF_LIMIT).step_by(HYPERVISOR_LEAF_STEP) {
        let leaf = __cpuid(base);
        let mut name = [0; 12];
        for (part, word) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.ecx, leaf.edx]) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        match &name {
            b"XenVMMXenVMM" => return Ok(Hypervisor::Xen),
            b"KVMKVMKVM\0\0\0" => return Ok(Hypervisor::Kvm),
            b"TCGTCGTCGTCG" => return Ok(Hypervisor::Tcg),
            _ if base == HYPERVISOR_LEAF => first = name,
            _ => {}
        }
    }
    Err(first)
}

fn processor() -> Processor {
    let has_extended = __cpuid(0x8000_0000).eax > 0x8000_0000;
    let extended_edx = if has_extended { __cpuid(0x8000_0001).edx } else { 0 };
    Processor { leaf_1_ecx: __cpuid(1).ecx, extended_edx }
}

/// Apps need more of a processor than this kernel does.
fn check_processor() {
    if let Err(missing) = processor().check() {
        fatal::end(
            Outcome::Failed,
            format_args!(
                "wanted an x86-64-v2 processor, found one without {missing}: choose another model (QEMU: -cpu max or Nehalem)"
            ),
        )
    }
}

/// Free memory, and where ACPI's root pointer is.
fn read_start_info(address: u64) -> (MemoryMap, u64) {
    let result = start_info::parse(boot_bytes(address, START_INFO_BYTES)).and_then(|info| {
        let entries = boot_bytes(info.memory_map, info.entries * ENTRY_BYTES);
        Ok((start_info::parse_memory_map(entries, memory::GUESTS.start as u64)?, info.rsdp))
    });
    match result {
        Ok(found) => found,
        Err(error) => fatal::end(Outcome::Failed, format_args!("{error}")),
    }
}

/// Physical memory under the boot tables; nothing if it lies outside of them.
fn boot_bytes(address: u64, bytes: usize) -> &'static [u8] {
    if address == 0 || address.saturating_add(bytes as u64) > BOOT_MAPPED_BYTES {
        return &[];
    }
    // SAFETY: the boot tables map it, and nothing writes to the loader's structures.
    unsafe { core::slice::from_raw_parts(address as usize as *const u8, bytes) }
}

fn start_memory(mut map: MemoryMap) {
    let processor = processor();
    if !processor.has_no_execute() {
        check_processor();
    }
    let image = match Image::parse(boot::image_head()) {
        Ok(image) => image,
        Err(error) => fatal::end(Outcome::Failed, format_args!("{error}")),
    };
    // A null pointer must fault; and page 0 belongs to the firmware.
    map.remove(0, 1);
    map.remove(image.start() as u64, (image.end() - image.start()) as u64);
    let largest = if processor.has_large_pages() { LEVEL_1G } else { LEVEL_2M };
    io::enable_no_execute();
    // SAFETY: the map is what the loader calls free, without the image; the boot tables map the first GiB of it, and
    // page tables come from its start. The image was loaded where it is linked.
    match unsafe { memory::start(map, &image, image.start() as u64, largest) } {
        // SAFETY: the tables map the image, this stack (it is in the image) and all memory that is in use.
        Ok(root) => unsafe { io::load_tables(root) },
        Err(_) => fatal::end(Outcome::Failed, format_args!("no memory for page tables; give the machine more memory")),
    }
    interrupts::set_guards();
}

/// Opens the source of randomness; the image's table refers to it when the app asks for random bytes.
#[unsafe(no_mangle)]
fn mwasm_port_entropy(ports: &mut Ports, _plan: &mut Plan<'static>) -> Result<(), &'static str> {
    ports.entropy = entropy::open();
    ports.entropy.as_ref().map(drop).ok_or(NO_ENTROPY)
}

/// Opens the network; the image's table refers to it when the app uses one.
#[unsafe(no_mangle)]
fn mwasm_port_network(ports: &mut Ports, plan: &mut Plan<'static>) -> Result<(), &'static str> {
    plan.read_network()?;
    network::open(ports, plan, network_device()?, entropy::open)
}

/// Opens the network card for the app itself; the image's table refers to it when the app is granted frames.
#[unsafe(no_mangle)]
fn mwasm_port_link(ports: &mut Ports, plan: &mut Plan<'static>) -> Result<(), &'static str> {
    plan.read_network()?;
    network::open_raw(ports, network_device()?);
    Ok(())
}

/// The machine's network device.
fn network_device() -> Result<Arc<dyn NetDevice>, &'static str> {
    match hypervisor() {
        Ok(Hypervisor::Xen) => xen::network::open(),
        _ => qemu::network::open(),
    }
}
