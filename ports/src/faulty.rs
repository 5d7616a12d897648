//! Ports that do what bad devices do, for any port underneath.
//!
//! [`Faulty`] wraps a bundle of ports and misbehaves by a seeded plan: outputs take a byte at a time or are full for a while, parks
//! return early for no reason, clocks stand still, entropy refuses. What sits above must stay correct; it only gets slower. [`FaultyDevice`] does the like to an
//! Ethernet device.

mod device;

pub use device::{DeviceFaults, FaultyDevice};

use crate::{
    Clock, Console, ConsoleError, Entropy, EntropyError, Idle, Input, Output, Ports, Ready, WallTime, fake::Machine,
};
use alloc::sync::Arc;

/// Which faults to make. Rates are in 1/256 of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// An output that is full (takes 0 bytes).
    pub output_full: u8,
    /// An output that takes 1 byte only.
    pub output_short: u8,
    /// An input that has nothing yet, though it has.
    pub input_late: u8,
    /// An input that gives 1 byte only.
    pub input_short: u8,
    /// A park that returns at once and says nothing.
    pub park_early: u8,
    /// A monotonic clock that shows the last value again.
    pub clock_stands: u8,
    /// Entropy that refuses.
    pub entropy_refuses: u8,
    /// A console whose other side goes away after this many bytes of output.
    pub closes_after_bytes: Option<u64>,
}

/// Faulty ports over good ones.
pub struct Faulty {
    below: Ports,
    faults: Faults,
    dice: Arc<Machine>,
    memory: std::sync::Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    shown_ns: u64,
    written_bytes: u64,
}

impl Faulty {
    /// `below`, with `faults` thrown by `seed`.
    pub fn ports(below: Ports, faults: Faults, seed: u64) -> Ports {
        let has_entropy = below.entropy.is_some();
        let memory = below.memory.clone();
        let network = below.network.clone();
        let faulty = Arc::new(Self { below, faults, dice: Machine::new(seed), memory: Default::default() });
        let entropy: Option<Arc<dyn Entropy>> = if has_entropy { Some(faulty.clone()) } else { None };
        Ports { clock: faulty.clone(), entropy, console: faulty.clone(), idle: faulty, memory, network }
    }

    fn happens(&self, rate: u8) -> bool {
        let mut die = [0];
        rate != 0 && self.dice.fill(&mut die).is_ok() && die[0] < rate
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for Faulty {
    fn monotonic_ns(&self) -> u64 {
        let stands = self.happens(self.faults.clock_stands);
        let mut memory = self.memory();
        if !stands {
            memory.shown_ns = self.below.clock.monotonic_ns();
        }
        memory.shown_ns
    }

    fn monotonic_resolution_ns(&self) -> u64 {
        self.below.clock.monotonic_resolution_ns()
    }

    fn wall(&self) -> WallTime {
        self.below.clock.wall()
    }

    fn wall_resolution_ns(&self) -> u64 {
        self.below.clock.wall_resolution_ns()
    }
}

impl Entropy for Faulty {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        if self.happens(self.faults.entropy_refuses) {
            return Err(EntropyError);
        }
        self.below.entropy.as_ref().ok_or(EntropyError)?.fill(out)
    }
}

impl Console for Faulty {
    fn write(&self, to: Output, bytes: &[u8]) -> Result<usize, ConsoleError> {
        let mut most = bytes.len();
        if let Some(limit) = self.faults.closes_after_bytes {
            let left = limit.saturating_sub(self.memory().written_bytes);
            if left == 0 && most > 0 {
                return Err(ConsoleError::Closed);
            }
            most = most.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if self.happens(self.faults.output_full) {
            return Ok(0);
        }
        if self.happens(self.faults.output_short) {
            most = most.min(1);
        }
        let taken = self.below.console.write(to, &bytes[..most])?;
        self.memory().written_bytes += taken as u64;
        Ok(taken)
    }

    fn read(&self, into: &mut [u8]) -> Result<Input, ConsoleError> {
        if self.happens(self.faults.input_late) {
            return Ok(Input::Nothing);
        }
        let most = if self.happens(self.faults.input_short) { into.len().min(1) } else { into.len() };
        self.below.console.read(&mut into[..most])
    }

    fn input_is_terminal(&self) -> bool {
        self.below.console.input_is_terminal()
    }

    fn output_is_terminal(&self, which: Output) -> bool {
        self.below.console.output_is_terminal(which)
    }
}

impl Idle for Faulty {
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready {
        if self.happens(self.faults.park_early) {
            return Ready::NONE;
        }
        self.below.idle.park(deadline_ns, interest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_a_console_that_is_full_and_short() {
        let machine = Machine::new(1);
        let faults = Faults { output_full: 128, output_short: 128, ..Faults::default() };
        let ports = Faulty::ports(machine.ports(), faults, 2);
        let text = b"every byte arrives, once and in order";
        let (mut sent, mut calls) = (0, 0);
        while sent < text.len() {
            sent += ports.console.write(Output::Out, &text[sent..text.len().min(sent + 4)]).unwrap();
            calls += 1;
        }
        assert_eq!(machine.state().out, text);
        assert!(calls > text.len() / 4 + 5, "the faults were thrown");
    }

    #[test]
    fn a_closed_console_says_so_after_its_last_byte() {
        let machine = Machine::new(1);
        let faults = Faults { closes_after_bytes: Some(3), ..Faults::default() };
        let ports = Faulty::ports(machine.ports(), faults, 2);
        assert_eq!(ports.console.write(Output::Out, b"hello"), Ok(3));
        assert_eq!(ports.console.write(Output::Out, b"lo"), Err(ConsoleError::Closed));
    }

    #[test]
    fn a_clock_that_stands_never_goes_back() {
        let machine = Machine::new(1);
        let ports = Faulty::ports(machine.ports(), Faults { clock_stands: 200, ..Faults::default() }, 3);
        let mut last = 0;
        for step in 1..200 {
            machine.state().now_ns = step;
            let now = ports.clock.monotonic_ns();
            assert!(now >= last);
            last = now;
        }
    }
}
