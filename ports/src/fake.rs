//! In-memory ports: a machine made of a buffer and a counter.
//!
//! [`Machine`] implements every port over one piece of plain state. Its time moves only when somebody parks, so a test that sleeps
//! for an hour takes no time, and two runs with one seed are the same run. [`link`](fn@link) is an Ethernet cable between two of them.

mod link;

pub use link::{LinkEnd, QUEUE_FRAMES, link};

use crate::{
    Clock, Console, ConsoleError, Entropy, EntropyError, Idle, Input, Memory, Outcome, Output, Ports, Power, Ready,
    WallTime,
};
use alloc::sync::Arc;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A whole machine in memory.
#[derive(Default)]
pub struct Machine {
    state: Mutex<State>,
}

/// What there is to see of a [`Machine`].
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The monotonic clock, in nanoseconds.
    pub now_ns: u64,
    /// What the wall clock showed when the monotonic one was 0.
    pub started: WallTime,
    /// State of the generator of [`Entropy`], and so the seed.
    pub seed: u64,
    /// Bytes that wait on standard input.
    pub input: VecDeque<u8>,
    /// Bytes that arrive on standard input at a later time, in order of time (nanoseconds).
    pub input_later: VecDeque<(u64, Vec<u8>)>,
    /// Whether standard input ends when `input` and `input_later` are empty.
    pub input_ends: bool,
    /// All that was written to standard output.
    pub out: Vec<u8>,
    /// All that was written to standard error.
    pub err: Vec<u8>,
    /// When somebody asks for the end, in nanoseconds.
    pub stop_at_ns: Option<u64>,
    /// Bytes of memory that were promised to guests.
    pub reserved_bytes: u64,
    /// The most that may be promised; `None` is without end.
    pub memory_bytes: Option<u64>,
    /// How often somebody parked.
    pub parks: u64,
    /// How the machine ended.
    pub outcome: Option<Outcome>,
}

impl Machine {
    /// A machine whose randomness comes from `seed`, whose input has ended, in the year 2026.
    pub fn new(seed: u64) -> Arc<Self> {
        let started = WallTime { seconds: 1_767_225_600, nanoseconds: 0 };
        Arc::new(Self { state: Mutex::new(State { seed, started, input_ends: true, ..State::default() }) })
    }

    /// The machine as a bundle of ports.
    pub fn ports(self: &Arc<Self>) -> Ports {
        Ports {
            clock: self.clone(),
            entropy: Some(self.clone()),
            console: self.clone(),
            idle: self.clone(),
            memory: self.clone(),
            network: None,
        }
    }

    /// The state, to prepare or to look at.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn deliver_input(&mut self) {
        while let Some((at_ns, _)) = self.input_later.front() {
            if *at_ns > self.now_ns {
                return;
            }
            if let Some((_, bytes)) = self.input_later.pop_front() {
                self.input.extend(bytes);
            }
        }
    }

    fn input_ready(&self) -> bool {
        !self.input.is_empty() || (self.input_ends && self.input_later.is_empty())
    }
}

impl Clock for Machine {
    fn monotonic_ns(&self) -> u64 {
        self.state().now_ns
    }

    fn monotonic_resolution_ns(&self) -> u64 {
        1
    }

    fn wall(&self) -> WallTime {
        let state = self.state();
        WallTime::from_ns(state.started.as_ns().saturating_add(state.now_ns))
    }

    fn wall_resolution_ns(&self) -> u64 {
        1
    }
}

impl Entropy for Machine {
    /// SplitMix64: enough to make runs differ by their seed, and of no use as a secret.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut state = self.state();
        for chunk in out.chunks_mut(8) {
            state.seed = state.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state.seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

impl Console for Machine {
    fn write(&self, to: Output, bytes: &[u8]) -> Result<usize, ConsoleError> {
        let mut state = self.state();
        match to {
            Output::Out => state.out.extend_from_slice(bytes),
            Output::Err => state.err.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn read(&self, into: &mut [u8]) -> Result<Input, ConsoleError> {
        let mut state = self.state();
        state.deliver_input();
        let n = into.len().min(state.input.len());
        if n == 0 {
            return Ok(if state.input_ready() { Input::End } else { Input::Nothing });
        }
        for (slot, byte) in into.iter_mut().zip(state.input.drain(..n)) {
            *slot = byte;
        }
        Ok(Input::Bytes(n))
    }

    fn input_is_terminal(&self) -> bool {
        false
    }

    fn output_is_terminal(&self, _which: Output) -> bool {
        false
    }
}

impl Idle for Machine {
    /// Moves time to the first thing that happens. A machine for which nothing will ever happen is stopped, so that a test that
    /// waits for ever ends.
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready {
        let mut state = self.state();
        state.parks += 1;
        if interest.contains(Ready::CONSOLE_OUT) {
            return Ready::CONSOLE_OUT;
        }
        state.deliver_input();
        let wants_input = interest.contains(Ready::CONSOLE_IN);
        if wants_input && state.input_ready() {
            return Ready::CONSOLE_IN;
        }
        let input_at = state.input_later.front().map(|(at_ns, _)| *at_ns).filter(|_| wants_input);
        let Some(next) = [deadline_ns, state.stop_at_ns, input_at].into_iter().flatten().min() else {
            return Ready::STOP;
        };
        state.now_ns = state.now_ns.max(next);
        state.deliver_input();
        let mut happened = Ready::NONE;
        if wants_input && state.input_ready() {
            happened = happened.with(Ready::CONSOLE_IN);
        }
        if state.stop_at_ns.is_some_and(|at_ns| at_ns <= state.now_ns) {
            happened = happened.with(Ready::STOP);
        }
        happened
    }
}

impl Memory for Machine {
    fn reserve(&self, bytes: u64) -> bool {
        let mut state = self.state();
        let Some(sum) =
            state.reserved_bytes.checked_add(bytes).filter(|sum| *sum <= state.memory_bytes.unwrap_or(u64::MAX))
        else {
            return false;
        };
        state.reserved_bytes = sum;
        true
    }

    fn release(&self, bytes: u64) {
        let mut state = self.state();
        state.reserved_bytes = state.reserved_bytes.saturating_sub(bytes);
    }

    fn total_bytes(&self) -> u64 {
        self.state().memory_bytes.unwrap_or(u64::MAX)
    }
}

impl Power for Machine {
    fn off(&self, outcome: Outcome) {
        self.state().outcome = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_by_parking() {
        let machine = Machine::new(1);
        assert_eq!(machine.monotonic_ns(), 0);
        assert_eq!(machine.park(Some(3_600_000_000_000), Ready::NONE), Ready::NONE);
        assert_eq!(machine.monotonic_ns(), 3_600_000_000_000);
        assert_eq!(machine.wall().seconds, 1_767_225_600 + 3600);
    }

    #[test]
    fn input_arrives_at_its_time_and_then_ends() {
        let machine = Machine::new(1);
        machine.state().input_later.push_back((50, b"hi".to_vec()));
        let mut buffer = [0; 8];
        assert_eq!(machine.read(&mut buffer), Ok(Input::Nothing));
        assert_eq!(machine.park(None, Ready::CONSOLE_IN), Ready::CONSOLE_IN);
        assert_eq!((machine.read(&mut buffer), machine.monotonic_ns()), (Ok(Input::Bytes(2)), 50));
        assert_eq!(machine.read(&mut buffer), Ok(Input::End));
    }

    #[test]
    fn one_seed_is_one_run() {
        let draw = |seed| {
            let mut bytes = [0; 13];
            Machine::new(seed).fill(&mut bytes).map(|()| bytes)
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn memory_is_promised_once() {
        let machine = Machine::new(1);
        machine.state().memory_bytes = Some(100);
        assert!(machine.reserve(60) && !machine.reserve(41) && machine.reserve(40));
    }

    #[test]
    fn waiting_for_nothing_ends() {
        assert_eq!(Machine::new(1).park(None, Ready::NONE), Ready::STOP);
    }
}
