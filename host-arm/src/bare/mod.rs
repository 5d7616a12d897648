//! The kernel itself, which only exists on the bare machine.

mod boot;
mod entropy;
mod exceptions;
mod firmware;
mod gic;
mod net;
mod power;
mod registers;
mod rtc;
mod timer;
mod uart;
mod xen;

use crate::devices::{self, Devices};
use crate::tree;
use alloc::sync::Arc;
use mwasm_host_metal::bare::{fatal, memory, network, request_stop, timer_rang};
use mwasm_host_metal::board::Board;
use mwasm_host_metal::cpu;
use mwasm_host_metal::exclusive::Exclusive;
use mwasm_host_metal::image::Image;
use mwasm_host_metal::page::PAGE_BYTES;
use mwasm_host_metal::ports::NO_ENTROPY;
use mwasm_host_metal::tables::LEVEL_1G;
use mwasm_plan::Plan;
use mwasm_ports::net_device::NetDevice;
use mwasm_ports::{Outcome, Ports, Ready};

struct Arm;

static BOARD: Arm = Arm;
static DEVICES: Exclusive<Option<Devices>> = Exclusive::new(None);

/// The kernel's first Rust: at the link address, on the boot stack, with the boot tables. `blob` is the physical
/// address of the device tree, `image` that of the image.
extern "C" fn start(blob: u64, image: u64) -> ! {
    fatal::set_board(&BOARD);
    // Before the serial port is known there is nobody to tell.
    let Some(devices) = read_tree(blob) else { fatal::hang() };
    DEVICES.try_with(|slot| *slot = Some(devices.clone()));
    start_memory(devices.clone(), image);
    let (serial, gic, timer_interrupt) = match devices.required() {
        Ok(found) => found,
        Err(error) => {
            uart::start(devices.serial);
            fatal::end(Outcome::Failed, format_args!("{error}"))
        }
    };
    uart::start(Some(serial));
    if let Err(error) = gic::start(gic) {
        fatal::end(Outcome::Failed, format_args!("{error}"));
    }
    timer::start(timer_interrupt);
    gic::enable(timer_interrupt);
    gic::enable(serial.0.interrupt);
    power::start(devices.button);
    mwasm_host_metal::bare::run()
}

fn read_tree(blob: u64) -> Option<Devices> {
    let start = blob as usize as *const u8;
    if start.is_null() {
        return None;
    }
    // SAFETY: the boot protocol passes the address of a device tree, and the boot tables map the GiB that it starts in.
    let header = unsafe { core::slice::from_raw_parts(start, tree::HEADER_BYTES) };
    let bytes = tree::total_bytes(header).ok()?;
    // SAFETY: as above; a tree does not cross a border of 2 MiB.
    let tree = tree::parse(unsafe { core::slice::from_raw_parts(start, bytes) }).ok()?;
    Some(devices::describe(&tree))
}

/// Builds the tables. The device tree is not needed any more, and its memory is free.
fn start_memory(devices: Devices, physical: u64) {
    // SAFETY: the linker loads the headers at the start of the first page, and nobody writes to them.
    let head = unsafe { core::slice::from_raw_parts(boot::image_start() as *const u8, PAGE_BYTES) };
    // Without a console there is nobody to tell.
    let Ok(image) = Image::parse(head) else { fatal::hang() };
    let mut map = devices.memory;
    map.remove(physical, (image.end() - image.start()) as u64);
    // SAFETY: the map is what the device tree calls memory, without the image and what is reserved. Its first part is
    // mapped by the boot tables, and page tables come from its start. The image was loaded at `physical`.
    match unsafe { memory::start(map, &image, physical, LEVEL_1G) } {
        // SAFETY: the tables map the image, with this stack, where it is now.
        Ok(root) => unsafe { registers::load_tables(root) },
        Err(_) => fatal::hang(),
    }
    exceptions::set_guard();
}

/// Handles an interrupt.
fn interrupt() {
    let Some(number) = gic::take() else { return };
    if timer::is_interrupt(number) {
        timer::silence();
        timer_rang(&BOARD);
    } else if power::is_interrupt(number) {
        if power::was_button() {
            request_stop(&BOARD);
        }
    } else if let Some(handler) = net::handler(number) {
        handler();
    } else {
        // The serial port's was sent to wake whoever parks; its line stays up until it is silenced.
        uart::silence();
    }
    gic::done(number);
}

fn with_devices<R>(f: impl FnOnce(&Devices) -> R) -> Option<R> {
    DEVICES.try_with(|devices| devices.as_ref().map(f)).flatten()
}

impl Board for Arm {
    fn now_ns(&self) -> u64 {
        timer::now_ns()
    }

    fn resolution_ns(&self) -> u64 {
        timer::resolution_ns()
    }

    fn epoch_offset_ns(&self) -> u64 {
        let wall_ns = match with_devices(|devices| (devices.clock, devices.xen)) {
            Some((Some(window), _)) => rtc::now_ns(window),
            Some((None, Some(_))) => xen::now_ns(),
            _ => None,
        };
        wall_ns.map_or(0, |wall_ns| wall_ns.saturating_sub(timer::now_ns()))
    }

    fn arm(&self, deadline_ns: u64) {
        timer::arm(deadline_ns);
    }

    fn halt(&self) {
        cpu::halt();
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        uart::write(bytes)
    }

    fn console_read(&self, into: &mut [u8]) -> usize {
        uart::read(into)
    }

    fn console_ready(&self, interest: Ready) -> Ready {
        uart::ready(interest)
    }

    fn off(&self, outcome: Outcome) -> ! {
        uart::drain();
        let known = with_devices(|devices| (devices.semihosting, devices.xen, devices.psci));
        if let Some((semihosting, xen, psci)) = known {
            if semihosting {
                firmware::semihosting_exit(outcome.code());
            }
            if xen.is_some() && outcome == Outcome::Trap {
                xen::crash();
            }
            if let Some(conduit) = psci {
                firmware::system_off(conduit);
            }
        }
        fatal::hang()
    }
}

/// Opens the source of randomness; the image's table refers to it when the app asks for random bytes.
#[unsafe(no_mangle)]
fn mwasm_port_entropy(ports: &mut Ports, _plan: &mut Plan<'static>) -> Result<(), &'static str> {
    ports.entropy = with_devices(Devices::clone).and_then(|devices| entropy::open(&devices));
    ports.entropy.as_ref().map(drop).ok_or(NO_ENTROPY)
}

/// Opens the network; the image's table refers to it when the app uses one.
#[unsafe(no_mangle)]
fn mwasm_port_network(ports: &mut Ports, plan: &mut Plan<'static>) -> Result<(), &'static str> {
    plan.read_network()?;
    let devices = with_devices(Devices::clone).ok_or("the machine's devices are not known")?;
    network::open(ports, plan, network_device(&devices)?, || entropy::open(&devices))
}

/// Opens the network card for the app itself; the image's table refers to it when the app is granted frames.
#[unsafe(no_mangle)]
fn mwasm_port_link(ports: &mut Ports, plan: &mut Plan<'static>) -> Result<(), &'static str> {
    plan.read_network()?;
    let devices = with_devices(Devices::clone).ok_or("the machine's devices are not known")?;
    network::open_raw(ports, network_device(&devices)?);
    Ok(())
}

/// The machine's network device.
fn network_device(devices: &Devices) -> Result<Arc<dyn NetDevice>, &'static str> {
    match devices.xen {
        Some(interrupt) => xen::network::open(interrupt),
        None => net::open(devices),
    }
}
