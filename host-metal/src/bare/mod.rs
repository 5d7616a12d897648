//! The one kernel that runs on the machine: the parts above, as global state, and what only exists without an operating
//! system.

pub mod fatal;
pub mod heap;
pub mod memory;
pub mod network;
pub mod stacks;
pub mod traps;
pub mod virtio;
mod wasmtime_api;

use crate::board::Board;
use crate::cpu;
use crate::doorbell::Doorbell;
use crate::ports::Machine;
use crate::stop::Stop;
use alloc::sync::Arc;
use mwasm_ports::{Outcome, Ports};

/// Stack of the host's own code, in bytes. It is committed page by page.
const MAIN_STACK_BYTES: usize = 256 << 10;

static STOP: Stop = Stop::new();
/// Rung by the interrupt handlers of whatever network device there is.
pub static NETWORK: Doorbell = Doorbell::new();

/// Leaves the boot stack and runs the image on `board`, which was made known to [`fatal::set_board`]. Memory has been
/// [started](memory::start), and the processor uses its tables.
pub fn run() -> ! {
    traps::prepare();
    match stacks::allocate(MAIN_STACK_BYTES) {
        Some(top) => {
            // SAFETY: a fresh stack, and nothing on the old one is needed any more.
            unsafe { cpu::run_on_stack(top, main) }
        }
        None => fatal::end(
            Outcome::Failed,
            format_args!("no memory for the host's own stack; give the machine more memory"),
        ),
    }
}

extern "C" fn main() -> ! {
    let Some(board) = fatal::board() else { fatal::hang() };
    cpu::interrupts_on();
    let machine = Arc::new(Machine::new(board, &STOP, &NETWORK));
    let ports = Ports {
        clock: machine.clone(),
        entropy: None,
        console: machine.clone(),
        idle: machine,
        memory: Arc::new(memory::Guests),
        network: None,
    };
    let outcome = mwasm_host_core::image::run(ports);
    cpu::interrupts_off();
    board.off(outcome)
}

/// For handlers: somebody outside asks for the end.
pub fn request_stop(board: &dyn Board) {
    board.arm(STOP.request(board.now_ns()));
}

/// For handlers: the timer rang. Whoever parks looks at the clock itself; what is to be done here is the end of an app
/// that was asked to stop and did not.
pub fn timer_rang(board: &dyn Board) {
    if STOP.is_overdue(board.now_ns()) {
        fatal::end(
            Outcome::Stopped,
            format_args!(
                "the app did not end within {} s of being asked to, and was stopped",
                crate::stop::GRACE_NS / 1_000_000_000
            ),
        )
    }
    if let Some(deadline) = STOP.deadline_ns() {
        board.arm(deadline);
    }
}
