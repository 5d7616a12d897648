//! The interrupt controller: Arm GIC version 2 (IHI 0048) or 3 (IHI 0069).
//!
//! Interrupts are asked for one by one, all with the same priority, and go to this processor.

use super::registers::{read_8, read_32, read_64, read_register, write_8, write_32, write_64, write_register};
use crate::devices::{self, Window};
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use mwasm_host_metal::bare::memory;
use mwasm_host_metal::page::Prot;
use mwasm_host_metal::tables::Kind;

/// Interrupts from here on are the distributor's; those below are the processor's own.
const FIRST_SHARED: u32 = 32;
/// Interrupts from here on are not real.
const FIRST_SPECIAL: u32 = 1020;

/// Registers of the distributor (and, for a processor's own interrupts in version 3, of its redistributor), in bytes.
const CONTROL: usize = 0x000;
const GROUP: usize = 0x080;
const SET_ENABLE: usize = 0x100;
const PRIORITY: usize = 0x400;
const TARGET: usize = 0x800;
const CONFIGURATION: usize = 0xc00;
const ROUTE: usize = 0x6000;
const DISTRIBUTOR_BYTES: usize = 0x1_0000;
/// Distributor control, version 2: on.
const CONTROL_V2: u32 = 1;
/// Distributor control, version 3: both groups on, affinity routing.
const CONTROL_V3: u32 = 1 | 1 << 1 | 1 << 4;

/// Registers of the processor interface, version 2.
const INTERFACE_CONTROL: usize = 0x00;
const INTERFACE_PRIORITY: usize = 0x04;
const INTERFACE_TAKE: usize = 0x0c;
const INTERFACE_DONE: usize = 0x10;
const INTERFACE_BYTES: usize = 0x2000;

/// Registers of a redistributor, version 3, and where those for interrupts are.
const REDISTRIBUTOR_TYPE: usize = 0x08;
const REDISTRIBUTOR_WAKE: usize = 0x14;
const REDISTRIBUTOR_INTERRUPTS: usize = 0x1_0000;
const REDISTRIBUTOR_BYTES: usize = 0x2_0000;
const TYPE_LAST: u64 = 1 << 4;
const WAKE_SLEEPING: u32 = 1 << 1;
const WAKE_ASLEEP: u32 = 1 << 2;
/// How often a redistributor is asked whether it is awake.
const WAKE_TRIES: u32 = 1_000_000;
/// The affinity fields of MPIDR_EL1.
const AFFINITY: u64 = 0xff_00ff_ffff;

/// All priorities but the lowest are let through.
const ANY_PRIORITY: u32 = 0xf0;
/// The priority of all interrupts.
const MIDDLE_PRIORITY: u8 = 0x80;

/// Addresses of the registers; what the second one means depends on the version. 0 is not started.
static DISTRIBUTOR: AtomicUsize = AtomicUsize::new(0);
static SECOND: AtomicUsize = AtomicUsize::new(0);
static VERSION: AtomicUsize = AtomicUsize::new(0);

/// The controller does not do what its version should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable(&'static str);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the interrupt controller cannot be used: {}", self.0)
    }
}

/// Starts the controller.
pub fn start(gic: devices::Gic) -> Result<(), Unusable> {
    match gic {
        devices::Gic::V2(distributor, interface) => {
            let distributor = map(distributor.base, DISTRIBUTOR_BYTES)?;
            let interface = map(interface.base, INTERFACE_BYTES.min(interface.bytes as usize))?;
            publish(2, distributor, interface);
            write_32(distributor, CONTROL, CONTROL_V2);
            write_32(interface, INTERFACE_PRIORITY, ANY_PRIORITY);
            write_32(interface, INTERFACE_CONTROL, 1);
        }
        devices::Gic::V3(distributor, redistributors) => {
            let distributor = map(distributor.base, DISTRIBUTOR_BYTES)?;
            let redistributor = own_redistributor(redistributors)?;
            publish(3, distributor, redistributor);
            write_32(distributor, CONTROL, CONTROL_V3);
            wake(redistributor)?;
            write_register!("S3_0_C12_C12_5", 7); // ICC_SRE_EL1: use the registers below
            write_register!("S3_0_C4_C6_0", u64::from(ANY_PRIORITY)); // ICC_PMR_EL1
            write_register!("S3_0_C12_C12_7", 1); // ICC_IGRPEN1_EL1: group 1 on
        }
    }
    Ok(())
}

fn map(physical: u64, bytes: usize) -> Result<usize, Unusable> {
    let mapped = memory::map_physical(physical, bytes, Prot::READ_WRITE, Kind::Device);
    mapped.map(|start| start as usize).map_err(|_| Unusable("no memory to map it"))
}

fn publish(version: usize, distributor: usize, second: usize) {
    VERSION.store(version, Relaxed);
    DISTRIBUTOR.store(distributor, Relaxed);
    SECOND.store(second, Relaxed);
}

/// Finds this processor's redistributor.
fn own_redistributor(window: Window) -> Result<usize, Unusable> {
    let affinity = read_register!("mpidr_el1") & AFFINITY;
    // Aff3 is in bits 32 to 39 of MPIDR, and next to the others here.
    let wanted = affinity & 0xff_ffff | affinity >> 32 << 24;
    let count = window.bytes as usize / REDISTRIBUTOR_BYTES;
    for i in 0..count {
        let start = map(window.base + (i * REDISTRIBUTOR_BYTES) as u64, REDISTRIBUTOR_BYTES)?;
        let kind = read_64(start, REDISTRIBUTOR_TYPE);
        if kind >> 32 == wanted {
            return Ok(start);
        }
        if kind & TYPE_LAST != 0 {
            break;
        }
    }
    Err(Unusable("no redistributor belongs to this processor"))
}

fn wake(redistributor: usize) -> Result<(), Unusable> {
    let state = read_32(redistributor, REDISTRIBUTOR_WAKE);
    write_32(redistributor, REDISTRIBUTOR_WAKE, state & !WAKE_SLEEPING);
    let awake = (0..WAKE_TRIES).any(|_| read_32(redistributor, REDISTRIBUTOR_WAKE) & WAKE_ASLEEP == 0);
    awake.then_some(()).ok_or(Unusable("its redistributor does not wake up"))
}

/// Lets an interrupt through, while its line is up.
pub fn enable(number: u32) {
    let (distributor, second) = (DISTRIBUTOR.load(Relaxed), SECOND.load(Relaxed));
    let third = VERSION.load(Relaxed) == 3;
    let own = number < FIRST_SHARED;
    let registers = if third && own { second + REDISTRIBUTOR_INTERRUPTS } else { distributor };
    let (word, bit) = (number as usize / 32 * 4, 1 << (number % 32));
    write_8(registers, PRIORITY + number as usize, MIDDLE_PRIORITY);
    if third {
        let groups = read_32(registers, GROUP + word);
        write_32(registers, GROUP + word, groups | bit);
    }
    if !own {
        let at = CONFIGURATION + number as usize / 16 * 4;
        let lines = read_32(registers, at);
        write_32(registers, at, lines & !(2 << (number % 16 * 2)));
        if third {
            write_64(distributor, ROUTE + 8 * number as usize, read_register!("mpidr_el1") & AFFINITY);
        } else {
            // The first targets register belongs to whoever reads it: it tells which bit this processor is.
            let this = read_8(distributor, TARGET);
            write_8(distributor, TARGET + number as usize, if this == 0 { 1 } else { this });
        }
    }
    write_32(registers, SET_ENABLE + word, bit);
}

/// Takes the interrupt that is pending.
pub fn take() -> Option<u32> {
    let number = match VERSION.load(Relaxed) {
        2 => read_32(SECOND.load(Relaxed), INTERFACE_TAKE) & 0x3ff,
        3 => read_register!("S3_0_C12_C12_0") as u32 & 0xff_ffff, // ICC_IAR1_EL1
        _ => FIRST_SPECIAL,
    };
    (number < FIRST_SPECIAL).then_some(number)
}

/// Tells that an interrupt was handled.
pub fn done(number: u32) {
    match VERSION.load(Relaxed) {
        2 => write_32(SECOND.load(Relaxed), INTERFACE_DONE, number),
        3 => write_register!("S3_0_C12_C12_1", u64::from(number)), // ICC_EOIR1_EL1
        _ => {}
    }
}
