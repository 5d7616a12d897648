//! The board: what a machine must bring so that the rest of this crate can make [ports](mwasm_ports) of it.
//!
//! A port answers the host core's questions; a board is the devices behind the answers. Interrupt handlers of a host
//! only note what happened and call [`crate::stop`]; whoever waits looks at the devices again. All methods are called
//! with interrupts off or from a handler, so an implementation needs no locks.

use mwasm_ports::{Outcome, Ready};

/// A machine's devices.
pub trait Board: Sync {
    /// Nanoseconds since some point before the start; never goes back.
    fn now_ns(&self) -> u64;
    /// The smallest step of the clock in nanoseconds.
    fn resolution_ns(&self) -> u64;
    /// What to add to [`Board::now_ns`] to get nanoseconds since 1970-01-01T00:00:00Z; 0 if the machine has no such
    /// clock. May take long; is asked once.
    fn epoch_offset_ns(&self) -> u64;
    /// Asks for an interrupt at `deadline_ns` on the clock, or earlier. It replaces the one before.
    fn arm(&self, deadline_ns: u64);
    /// Waits for an interrupt and handles it; returns with interrupts off.
    fn halt(&self);
    /// Puts bytes into the console's output; says how many.
    fn console_write(&self, bytes: &[u8]) -> usize;
    /// Takes bytes from the console's input; says how many.
    fn console_read(&self, into: &mut [u8]) -> usize;
    /// What of `interest` the console is ready for; for the rest, an interrupt will come when it is.
    fn console_ready(&self, interest: Ready) -> Ready;
    /// Tells the outcome where the machine can, and switches it off.
    fn off(&self, outcome: Outcome) -> !;
}
