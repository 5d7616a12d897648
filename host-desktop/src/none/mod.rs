//! What an image has in place of a C library: a start, a heap, memory by `mmap`, and traps by signals.

mod heap;
mod memory;
pub(crate) mod start;
mod traps;

use crate::network::{Card, Linux, Tap};
use crate::ports::Process;
use core::fmt::Write;
use mwasm_plan::Plan;
use mwasm_ports::{Outcome, Ports, Power};

// Openers of ports that not every app needs. An image's table names those that it does; the linker drops the others.

/// Opens the kernel's source of randomness.
#[unsafe(no_mangle)]
pub fn mwasm_port_entropy(ports: &mut Ports, _plan: &mut Plan<'static>) -> Result<(), &'static str> {
    Process::open_entropy(ports);
    Ok(())
}

/// Opens the kernel's sockets.
#[unsafe(no_mangle)]
pub fn mwasm_port_network(ports: &mut Ports, plan: &mut Plan<'static>) -> Result<(), &'static str> {
    plan.read_network()?;
    Linux::open(ports, plan)
}

/// Opens our own stack over the TAP device that the plan names.
#[unsafe(no_mangle)]
pub fn mwasm_port_network_tap(ports: &mut Ports, plan: &mut Plan<'static>) -> Result<(), &'static str> {
    plan.read_network()?;
    Tap::open(ports, plan)
}

/// Opens the TAP device that the plan names for the app itself.
#[unsafe(no_mangle)]
pub fn mwasm_port_link(ports: &mut Ports, plan: &mut Plan<'static>) -> Result<(), &'static str> {
    plan.read_network()?;
    Card::open(ports, plan)
}

/// Standard error, for the last words of a host that cannot go on.
struct LastWords;

impl Write for LastWords {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        crate::sys::write(2, text.as_bytes()).map(drop).map_err(|_| core::fmt::Error)
    }
}

/// Ends the process over a fault of the host's own.
fn die(words: core::fmt::Arguments<'_>) -> ! {
    let _ = writeln!(LastWords, "mwasm: the host failed: {words}");
    Process.off(Outcome::Failed);
    crate::sys::exit(Outcome::FAILED_CODE)
}

/// Says where the bug is and no more: what nobody formats, the linker drops, all messages of all panics with it (33 KB).
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let place = info.location();
    panicked(place.map_or("", |place| place.file()), place.map_or(0, |place| place.line()))
}

#[cold]
#[inline(never)]
fn panicked(file: &str, line: u32) -> ! {
    die(format_args!("panicked at {file}:{line}"))
}
