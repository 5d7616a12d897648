//! The ports, made of a [`Board`].

use crate::board::Board;
use crate::cpu::without_interrupts;
use crate::doorbell::Doorbell;
use crate::stop::Stop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use mwasm_ports::{Clock, Console, ConsoleError, Idle, Input, Output, Ready, WallTime};

/// What to say where an app asks for random bytes and there are none.
pub const NO_ENTROPY: &str = "the app asks for secure randomness and this machine has none; give it a processor with RDRAND or RNDR, or a virtio-rng device";

/// Clock, console and waiting on a board.
pub struct Machine<'a> {
    board: &'a dyn Board,
    stop: &'a Stop,
    network: &'a Doorbell,
    /// Result of [`Board::epoch_offset_ns`]; 0 until it was asked.
    epoch_offset_ns: AtomicU64,
}

impl<'a> Machine<'a> {
    /// The machine around `board`, which `stop` tells when to end, and `network` that its network device has something.
    pub fn new(board: &'a dyn Board, stop: &'a Stop, network: &'a Doorbell) -> Self {
        Self { board, stop, network, epoch_offset_ns: AtomicU64::new(0) }
    }
}

impl Clock for Machine<'_> {
    fn monotonic_ns(&self) -> u64 {
        without_interrupts(|| self.board.now_ns())
    }

    fn monotonic_resolution_ns(&self) -> u64 {
        self.board.resolution_ns()
    }

    fn wall(&self) -> WallTime {
        let now_ns = self.monotonic_ns();
        let offset = match self.epoch_offset_ns.load(Relaxed) {
            0 => {
                let offset = without_interrupts(|| self.board.epoch_offset_ns());
                self.epoch_offset_ns.store(offset, Relaxed);
                offset
            }
            offset => offset,
        };
        WallTime::from_ns(now_ns.saturating_add(offset))
    }

    fn wall_resolution_ns(&self) -> u64 {
        self.board.resolution_ns()
    }
}

impl Console for Machine<'_> {
    /// A machine has one line; both outputs share it.
    fn write(&self, _to: Output, bytes: &[u8]) -> Result<usize, ConsoleError> {
        Ok(without_interrupts(|| self.board.console_write(bytes)))
    }

    fn read(&self, into: &mut [u8]) -> Result<Input, ConsoleError> {
        Ok(match without_interrupts(|| self.board.console_read(into)) {
            0 => Input::Nothing,
            count => Input::Bytes(count),
        })
    }

    /// Nobody knows what is at the other end of the line; bytes are what an app is asked for.
    fn input_is_terminal(&self) -> bool {
        false
    }

    fn output_is_terminal(&self, _which: Output) -> bool {
        false
    }
}

impl Idle for Machine<'_> {
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready {
        without_interrupts(|| {
            loop {
                let mut ready = self.board.console_ready(interest);
                if self.stop.deadline_ns().is_some() {
                    ready = ready.with(Ready::STOP);
                }
                if interest.contains(Ready::NETWORK) && self.network.take() {
                    ready = ready.with(Ready::NETWORK);
                }
                let late = deadline_ns.is_some_and(|deadline| deadline == 0 || self.board.now_ns() >= deadline);
                if !ready.is_empty() || late {
                    return ready;
                }
                if let Some(deadline) = deadline_ns {
                    self.board.arm(deadline);
                }
                self.board.halt();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_ports::Outcome;
    use std::sync::Mutex;

    /// A machine whose time passes when it halts.
    #[derive(Default)]
    struct Fake {
        state: Mutex<State>,
        stop: Stop,
        network: Doorbell,
    }

    #[derive(Default)]
    struct State {
        now_ns: u64,
        armed_ns: Option<u64>,
        /// When a byte arrives, and which.
        input: Option<(u64, u8)>,
        stop_at_ns: Option<u64>,
        frame_at_ns: Option<u64>,
        halts: u32,
        epoch_asked: u32,
    }

    impl Board for Fake {
        fn now_ns(&self) -> u64 {
            self.state.lock().unwrap().now_ns
        }
        fn resolution_ns(&self) -> u64 {
            1
        }
        fn epoch_offset_ns(&self) -> u64 {
            let mut state = self.state.lock().unwrap();
            state.epoch_asked += 1;
            1_000_000_000
        }
        fn arm(&self, deadline_ns: u64) {
            self.state.lock().unwrap().armed_ns = Some(deadline_ns);
        }
        fn halt(&self) {
            let mut state = self.state.lock().unwrap();
            state.halts += 1;
            let arrival = state.input.map(|input| input.0).filter(|at| *at > state.now_ns);
            let frame = state.frame_at_ns.filter(|at| *at > state.now_ns);
            let events = [state.armed_ns.take(), arrival, state.stop_at_ns.take(), frame];
            state.now_ns =
                events.into_iter().flatten().min().expect("nothing would ever wake this machine").max(state.now_ns);
            if events[2] == Some(state.now_ns) {
                self.stop.request(state.now_ns);
            } else if events[2].is_some() {
                state.stop_at_ns = events[2];
            }
            if state.frame_at_ns == Some(state.now_ns) {
                self.network.ring();
            }
        }
        fn console_write(&self, bytes: &[u8]) -> usize {
            bytes.len().min(3)
        }
        fn console_read(&self, into: &mut [u8]) -> usize {
            let mut state = self.state.lock().unwrap();
            let now_ns = state.now_ns;
            match state.input.take_if(|input| input.0 <= now_ns) {
                Some((_, byte)) => {
                    into[0] = byte;
                    1
                }
                None => 0,
            }
        }
        fn console_ready(&self, interest: Ready) -> Ready {
            let state = self.state.lock().unwrap();
            let arrived = state.input.is_some_and(|input| input.0 <= state.now_ns);
            if arrived && interest.contains(Ready::CONSOLE_IN) { Ready::CONSOLE_IN } else { Ready::NONE }
        }
        fn off(&self, _outcome: Outcome) -> ! {
            unreachable!("no test switches the machine off")
        }
    }

    #[test]
    fn parking_ends_at_the_deadline() {
        let fake = Fake::default();
        let machine = Machine::new(&fake, &fake.stop, &fake.network);
        assert_eq!((machine.park(Some(7), Ready::CONSOLE_IN), fake.now_ns()), (Ready::NONE, 7));
        assert_eq!(machine.park(Some(7), Ready::CONSOLE_IN), Ready::NONE, "a deadline in the past does not wait");
        assert_eq!(machine.park(Some(0), Ready::NONE), Ready::NONE);
        assert_eq!(fake.state.lock().unwrap().halts, 1);
    }

    #[test]
    fn input_wakes_only_those_who_wait_for_it() {
        let fake = Fake::default();
        fake.state.lock().unwrap().input = Some((5, b'x'));
        let machine = Machine::new(&fake, &fake.stop, &fake.network);
        assert_eq!(machine.park(Some(9), Ready::CONSOLE_IN), Ready::CONSOLE_IN);
        let mut byte = [0; 4];
        assert_eq!((machine.read(&mut byte), byte[0]), (Ok(Input::Bytes(1)), b'x'));
        assert_eq!(machine.read(&mut byte), Ok(Input::Nothing));
        fake.state.lock().unwrap().input = Some((6, b'y'));
        assert_eq!((machine.park(Some(9), Ready::NONE), fake.now_ns()), (Ready::NONE, 9));
    }

    #[test]
    fn a_frame_wakes_only_those_who_wait_for_it_and_is_not_forgotten() {
        let fake = Fake::default();
        fake.state.lock().unwrap().frame_at_ns = Some(5);
        let machine = Machine::new(&fake, &fake.stop, &fake.network);
        assert_eq!((machine.park(Some(9), Ready::CONSOLE_IN), fake.now_ns()), (Ready::NONE, 9));
        assert_eq!(machine.park(None, Ready::NETWORK), Ready::NETWORK, "it rang while nobody listened");
        fake.state.lock().unwrap().frame_at_ns = Some(12);
        assert_eq!((machine.park(Some(20), Ready::NETWORK), fake.now_ns()), (Ready::NETWORK, 12));
        assert_eq!((machine.park(Some(20), Ready::NETWORK), fake.now_ns()), (Ready::NONE, 20));
    }

    #[test]
    fn a_stop_is_always_waited_for_and_stays() {
        let fake = Fake::default();
        fake.state.lock().unwrap().stop_at_ns = Some(3);
        let machine = Machine::new(&fake, &fake.stop, &fake.network);
        assert_eq!((machine.park(None, Ready::NONE), fake.now_ns()), (Ready::STOP, 3));
        assert_eq!(machine.park(None, Ready::CONSOLE_IN), Ready::STOP);
    }

    #[test]
    fn the_time_of_day_is_asked_once() {
        let fake = Fake::default();
        let machine = Machine::new(&fake, &fake.stop, &fake.network);
        machine.park(Some(5), Ready::NONE);
        assert_eq!((machine.wall().as_ns(), machine.wall().as_ns()), (1_000_000_005, 1_000_000_005));
        assert_eq!(fake.state.lock().unwrap().epoch_asked, 1);
    }
}
