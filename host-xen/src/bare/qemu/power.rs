//! The power button, and the end of the machine with an exit code.

use super::super::interrupts::VECTOR_POWER;
use super::super::io;
use super::apic;
use crate::acpi::{self, HEADER_BYTES, Power, RSDP_BYTES};
use mwasm_host_metal::bare::{fatal, memory};
use mwasm_host_metal::exclusive::Exclusive;
use mwasm_host_metal::page::Prot;
use mwasm_host_metal::tables::Kind;

/// Where firmware leaves the root pointer when the loader does not say, in steps of 16 bytes.
const BIOS_START: u64 = 0xe_0000;
const BIOS_BYTES: usize = 0x2_0000;
const RSDP_ALIGN: usize = 16;

/// PM1 status and enable: the power button.
const BUTTON: u16 = 1 << 8;
/// PM1 enable is this many ports behind PM1 status.
const ENABLE_OFFSET: u16 = 2;
/// PM1 control: events are interrupts.
const CONTROL_ENABLED: u16 = 1;
/// PM1 control: sleep now; QEMU's type of "off" is 0.
const CONTROL_OFF: u16 = 1 << 13;
/// The line of QEMU's generic event device.
const GED_LINE: u8 = 9;
/// Generic event device: the power button.
const GED_BUTTON: u32 = 2;
/// Sleep control: type 5 is off, and go.
const GED_OFF: u8 = 5 << 2 | 1 << 5;
/// Bytes of the generic event device's event register and sleep registers.
const GED_BYTES: usize = 4;

/// QEMU's `isa-debugcon`, by agreement at this port, takes the exit code as a byte; it reads as the value below.
const CODE_PORT: u16 = 0x501;
const CODE_PORT_PRESENT: u8 = 0xe9;
/// QEMU's `isa-debug-exit`, by agreement at this port, ends QEMU with code `2 * value + 1`; it reads as 0.
const EXIT_PORT: u16 = 0xf4;
/// The keyboard controller's command port, and its command for a reset.
const RESET_PORT: u16 = 0x64;
const RESET: u8 = 0xfe;

static ROOT: Exclusive<Option<acpi::Root>> = Exclusive::new(None);
static POWER: Exclusive<Option<Power>> = Exclusive::new(None);

/// Finds out how the machine is switched off. `rsdp` is where the loader says that ACPI begins; memory has been
/// started.
pub fn set_root(rsdp: u64) {
    let root = match rsdp {
        0 => search(),
        at => physical(at, RSDP_BYTES).and_then(acpi::parse_root),
    };
    ROOT.try_with(|slot| *slot = root);
    let found = find(acpi::parse_fixed).filter(|power| match power {
        Power::Fixed { .. } => true,
        Power::Generic { events, sleep } => [events, sleep]
            .iter()
            .all(|at| memory::map_physical(**at, GED_BYTES, Prot::READ_WRITE, Kind::Device).is_ok()),
    });
    POWER.try_with(|power| *power = found);
}

/// Asks to be told of the power button.
pub fn start() {
    match known() {
        Some(Power::Fixed { events, control, enable: (port, value), interrupt }) => {
            if port != 0 && io::read_16(control) & CONTROL_ENABLED == 0 {
                io::write_8(port, value);
            }
            io::write_16(events, BUTTON);
            io::write_16(events + ENABLE_OFFSET, BUTTON);
            apic::route(interrupt, VECTOR_POWER, apic::Trigger::Level);
        }
        Some(Power::Generic { .. }) => apic::route(GED_LINE, VECTOR_POWER, apic::Trigger::Edge),
        None => {}
    }
}

/// Whether this is QEMU's microvm.
pub fn is_microvm() -> bool {
    matches!(known(), Some(Power::Generic { .. }))
}

/// For the handler: whether the button was pressed since the last time.
pub fn was_button() -> bool {
    match known() {
        Some(Power::Fixed { events, .. }) => {
            let status = io::read_16(events);
            // Writing ones clears them, and lowers the line.
            io::write_16(events, status);
            status & BUTTON != 0
        }
        // SAFETY: `set_root` mapped the register; reading it clears it.
        Some(Power::Generic { events, .. }) => unsafe {
            (events as usize as *const u32).read_volatile() & GED_BUTTON != 0
        },
        None => false,
    }
}

/// Tells the exit code and switches the machine off.
pub fn off(code: u8) -> ! {
    if io::read_8(CODE_PORT) == CODE_PORT_PRESENT {
        io::write_8(CODE_PORT, code);
    }
    if code != 0 && io::read_8(EXIT_PORT) == 0 {
        io::write_8(EXIT_PORT, code);
    }
    match known() {
        Some(Power::Fixed { control, .. }) => io::write_16(control, CONTROL_OFF),
        // SAFETY: `set_root` mapped the register.
        Some(Power::Generic { sleep, .. }) => unsafe { (sleep as usize as *mut u8).write_volatile(GED_OFF) },
        None => {}
    }
    io::write_8(RESET_PORT, RESET);
    fatal::hang()
}

fn known() -> Option<Power> {
    POWER.try_with(|power| *power).flatten()
}

/// Whether the machine has an I/O APIC for the interrupts from `first` on.
pub fn has_io_apic(first: u32) -> bool {
    find(|table| acpi::has_io_apic(table, first).then_some(())).is_some()
}

/// What `read` finds in the first table that it understands.
fn find<T>(read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    let root = ROOT.try_with(|root| *root).flatten()?;
    acpi::tables(table(root.address)?, root.pointer_bytes).find_map(|address| read(table(address)?))
}

/// Looks for the root pointer where PC firmware has it.
fn search() -> Option<acpi::Root> {
    let bios = physical(BIOS_START, BIOS_BYTES)?;
    (0..bios.len()).step_by(RSDP_ALIGN).find_map(|at| acpi::parse_root(bios.get(at..at + RSDP_BYTES)?))
}

fn table(address: u64) -> Option<&'static [u8]> {
    let (_, length) = acpi::parse_header(physical(address, HEADER_BYTES)?)?;
    physical(address, length)
}

/// Firmware's memory.
fn physical(address: u64, bytes: usize) -> Option<&'static [u8]> {
    if address == 0 {
        return None;
    }
    let start = memory::map_physical(address, bytes, Prot::READ, Kind::Memory).ok()?;
    // SAFETY: it is mapped now, and firmware's tables do not change. If the address is not that of a table but in
    // memory of our own, the bytes are still bytes, and are looked at before anything else runs.
    Some(unsafe { core::slice::from_raw_parts(start, bytes) })
}
