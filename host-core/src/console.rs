//! Standard input and output between a guest's streams and the console port.
//!
//! Ports never wait and may take less than they are given; WASI's streams promise that what was accepted is written. In between sit
//! small buffers: one of bytes that came in and were not asked for yet, and one for each output of bytes that the device did not
//! take yet. An output accepts nothing more while its buffer holds anything, so the buffers are bounded by one write; what is held back on
//! purpose ([`Buffers::hold`]) has a bound of its own.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use mwasm_ports::{Console, ConsoleError, Input, Output};

/// How much is read ahead from standard input, in bytes.
pub const INPUT_BUFFER_BYTES: usize = 4096;
/// How much one write may hand over, in bytes.
pub const OUTPUT_WRITE_BYTES: usize = 64 << 10;
/// How much is held back for one write at the end, in bytes.
pub const HELD_BYTES: usize = 16 << 20;

/// Bytes in flight from and to the console.
#[derive(Default)]
pub struct Buffers {
    input: VecDeque<u8>,
    input_ended: bool,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Buffers {
    /// Takes up to `most` bytes that have arrived: `Some` and not empty if there are any, `Some` and empty if none has arrived
    /// yet, `None` at the end.
    pub fn read(&mut self, console: &dyn Console, most: usize) -> Result<Option<Vec<u8>>, ConsoleError> {
        if most == 0 {
            return Ok(Some(Vec::new()));
        }
        self.fill(console)?;
        if self.input.is_empty() && self.input_ended {
            return Ok(None);
        }
        let count = most.min(self.input.len());
        Ok(Some(self.input.drain(..count).collect()))
    }

    /// Whether a read would tell anything new.
    pub fn input_ready(&mut self, console: &dyn Console) -> bool {
        self.fill(console).is_err() || !self.input.is_empty() || self.input_ended
    }

    fn fill(&mut self, console: &dyn Console) -> Result<(), ConsoleError> {
        if !self.input.is_empty() || self.input_ended {
            return Ok(());
        }
        let mut chunk = [0; INPUT_BUFFER_BYTES];
        match console.read(&mut chunk)? {
            Input::Bytes(count) => self.input.extend(chunk.iter().take(count)),
            Input::Nothing => {}
            Input::End => self.input_ended = true,
        }
        Ok(())
    }

    fn pending(&mut self, to: Output) -> &mut Vec<u8> {
        match to {
            Output::Out => &mut self.out,
            Output::Err => &mut self.err,
        }
    }

    /// How many bytes a write may hand over now.
    pub fn writable(&mut self, console: &dyn Console, to: Output) -> Result<usize, ConsoleError> {
        Ok(if self.drain(console, to)? { OUTPUT_WRITE_BYTES } else { 0 })
    }

    /// Accepts all of `bytes`: the device gets what it takes, the buffer the rest.
    pub fn write(&mut self, console: &dyn Console, to: Output, bytes: &[u8]) -> Result<(), ConsoleError> {
        let mut rest = bytes;
        if self.drain(console, to)? {
            while !rest.is_empty() {
                let taken = console.write(to, rest)?;
                if taken == 0 {
                    break;
                }
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        self.pending(to).extend_from_slice(rest);
        Ok(())
    }

    /// Keeps `bytes` until the next write or the end of the run, for whoever writes many small pieces. Says whether there was room:
    /// less than [`HELD_BYTES`] wait, and the machine has memory for more.
    pub fn hold(&mut self, to: Output, bytes: &[u8]) -> bool {
        let pending = self.pending(to);
        let fits = pending.len().saturating_add(bytes.len()) <= HELD_BYTES && pending.try_reserve(bytes.len()).is_ok();
        if fits {
            pending.extend_from_slice(bytes);
        }
        fits
    }

    /// Hands over what waits; says whether nothing waits any more. If not, [`CONSOLE_OUT`](mwasm_ports::Ready::CONSOLE_OUT) is to be
    /// waited for.
    pub fn drain(&mut self, console: &dyn Console, to: Output) -> Result<bool, ConsoleError> {
        let pending = self.pending(to);
        while !pending.is_empty() {
            let taken = console.write(to, pending)?.min(pending.len());
            if taken == 0 {
                return Ok(false);
            }
            pending.drain(..taken);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An app may print the text of a result piece by piece, for ever: that must not take all of the host's memory.
    #[test]
    fn what_is_held_back_is_bounded() {
        let mut buffers = Buffers::default();
        assert!(buffers.hold(Output::Out, &alloc::vec![b'a'; HELD_BYTES - 1]));
        assert!(buffers.hold(Output::Out, b"b"));
        assert!(!buffers.hold(Output::Out, b"c"));
        assert_eq!((buffers.out.len(), buffers.out.last()), (HELD_BYTES, Some(&b'b')));
    }
    use mwasm_ports::fake::Machine;
    use mwasm_ports::faulty::{Faults, Faulty};

    #[test]
    fn all_bytes_arrive_in_order_through_a_bad_console() {
        let machine = Machine::new(1);
        let faults = Faults { output_full: 100, output_short: 100, ..Faults::default() };
        let ports = Faulty::ports(machine.ports(), faults, 5);
        let mut buffers = Buffers::default();
        let text: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for chunk in text.chunks(100) {
            while buffers.writable(&*ports.console, Output::Out).unwrap() == 0 {}
            buffers.write(&*ports.console, Output::Out, chunk).unwrap();
        }
        while !buffers.drain(&*ports.console, Output::Out).unwrap() {}
        assert_eq!(machine.state().out, text);
    }

    #[test]
    fn input_ends_after_its_last_byte() {
        let machine = Machine::new(1);
        machine.state().input.extend(b"abc");
        let mut buffers = Buffers::default();
        assert!(buffers.input_ready(&*machine));
        assert_eq!(buffers.read(&*machine, 2), Ok(Some(b"ab".to_vec())));
        assert_eq!(buffers.read(&*machine, 2), Ok(Some(b"c".to_vec())));
        assert_eq!(buffers.read(&*machine, 2), Ok(None));
        assert!(buffers.input_ready(&*machine));
    }
}
