//! Xen: a PVH guest with one virtual processor.

mod console;
mod events;
mod hypercall;
pub mod network;
mod shared;
mod store;

use hypercall::Hypervisor;
use mwasm_host_metal::bare::{NETWORK, fatal, request_stop, timer_rang};
use mwasm_host_metal::board::Board;
use mwasm_ports::{Outcome, Ready};
use mwasm_xen::hypercall::{Hypercalls, REASON_CRASH, REASON_POWEROFF};

struct Xen;

static BOARD: Xen = Xen;

/// The board; before [`start`] its console is the hypervisor's debug port, which shows up in `xl dmesg` only.
pub fn board() -> &'static dyn Board {
    &BOARD
}

/// Connects to what the toolstack has prepared: shared page, console, xenstore, event channels.
pub fn start() {
    if let Err(error) =
        shared::start().and_then(|()| console::start()).and_then(|()| store::start()).and_then(|()| events::start())
    {
        fatal::end(Outcome::Failed, format_args!("{error}"));
    }
}

/// Handles what has come, in an upcall or after a wait. The console's needs nothing: it was sent to wake whoever parks.
pub fn interrupt() {
    events::take(|port| {
        if port == events::timer() {
            timer_rang(&BOARD);
        } else if port == store::port() {
            if store::shutdown_requested() {
                request_stop(&BOARD);
            }
            // The network device may have an answer, or another half.
            NETWORK.ring();
        } else if events::is_network(port) {
            NETWORK.ring();
        }
    });
}

impl Board for Xen {
    fn now_ns(&self) -> u64 {
        shared::now_ns()
    }

    fn resolution_ns(&self) -> u64 {
        1
    }

    fn epoch_offset_ns(&self) -> u64 {
        shared::epoch_ns()
    }

    fn arm(&self, deadline_ns: u64) {
        events::arm(deadline_ns);
    }

    /// Waits by hypercall, with interrupts off, and handles by itself what has come. `sti` and `hlt` would do where a
    /// hypervisor keeps upcalls out from between them. Emulated ones do not always (see tests/xen/README.md), and
    /// then nothing wakes this processor again.
    fn halt(&self) {
        events::wait();
        interrupt();
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        console::write(bytes)
    }

    fn console_read(&self, into: &mut [u8]) -> usize {
        console::read(into)
    }

    fn console_ready(&self, interest: Ready) -> Ready {
        console::ready(interest)
    }

    /// Xen has no exit codes; ours goes to a node of the domain's own in xenstore, which the toolstack can read until
    /// it destroys the domain.
    fn off(&self, outcome: Outcome) -> ! {
        store::store_exit_code(outcome.code());
        console::drain();
        Hypervisor.shutdown(if outcome == Outcome::Trap { REASON_CRASH } else { REASON_POWEROFF });
        fatal::hang()
    }
}
