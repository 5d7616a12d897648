//! The ports of a Linux process.

use crate::sys::{self, ClockId, EAGAIN, EINTR, EPIPE, PollFd, Timespec};
use alloc::sync::Arc;
use mwasm_ports::{
    Clock, Console, ConsoleError, Entropy, EntropyError, Idle, Input, Memory, NANOS_PER_SECOND, Outcome, Output, Ports,
    Power, Ready, WallTime,
};

/// A Linux process: all state is the kernel's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

const STDIN: i32 = 0;
const STDOUT: i32 = 1;
const STDERR: i32 = 2;

impl Process {
    /// The process as a bundle of ports, without entropy, which is opened where an app asks for it.
    pub fn ports() -> Ports {
        let process = Arc::new(Self);
        Ports {
            clock: process.clone(),
            entropy: None,
            console: process.clone(),
            idle: process.clone(),
            memory: process,
            network: None,
        }
    }

    /// Adds the kernel's entropy.
    pub fn open_entropy(ports: &mut Ports) {
        ports.entropy = Some(Arc::new(Self));
    }
}

fn fd(which: Output) -> i32 {
    match which {
        Output::Out => STDOUT,
        Output::Err => STDERR,
    }
}

impl Clock for Process {
    fn monotonic_ns(&self) -> u64 {
        let time = sys::clock_gettime(ClockId::Monotonic);
        (time.seconds as u64).saturating_mul(NANOS_PER_SECOND).saturating_add(time.nanoseconds as u64)
    }

    fn monotonic_resolution_ns(&self) -> u64 {
        1
    }

    fn wall(&self) -> WallTime {
        let time = sys::clock_gettime(ClockId::Realtime);
        WallTime { seconds: u64::try_from(time.seconds).unwrap_or(0), nanoseconds: time.nanoseconds as u32 }
    }

    fn wall_resolution_ns(&self) -> u64 {
        1
    }
}

impl Entropy for Process {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut rest = out;
        while !rest.is_empty() {
            match sys::getrandom(rest) {
                Ok(0) => return Err(EntropyError),
                Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
                Err(EINTR) => {}
                Err(_) => return Err(EntropyError),
            }
        }
        Ok(())
    }
}

impl Console for Process {
    /// The outputs are shared with whoever started the process, so they cannot be made non-blocking: as in every other program, a
    /// write to a full pipe waits in the kernel. An output that somebody made non-blocking is full when it says so.
    fn write(&self, to: Output, bytes: &[u8]) -> Result<usize, ConsoleError> {
        match sys::write(fd(to), bytes) {
            Ok(count) => Ok(count),
            Err(EAGAIN | EINTR) => Ok(0),
            Err(EPIPE) => Err(ConsoleError::Closed),
            Err(_) => Err(ConsoleError::Device),
        }
    }

    fn read(&self, into: &mut [u8]) -> Result<Input, ConsoleError> {
        let mut fds = [PollFd { fd: STDIN, events: sys::POLLIN, revents: 0 }];
        if matches!(sys::poll(&mut fds, Some(Timespec::default())), Ok(0) | Err(EINTR)) {
            return Ok(Input::Nothing);
        }
        match sys::read(STDIN, into) {
            Ok(0) => Ok(Input::End),
            Ok(count) => Ok(Input::Bytes(count)),
            Err(EAGAIN | EINTR) => Ok(Input::Nothing),
            Err(_) => Err(ConsoleError::Device),
        }
    }

    fn input_is_terminal(&self) -> bool {
        sys::is_terminal(STDIN)
    }

    fn output_is_terminal(&self, which: Output) -> bool {
        sys::is_terminal(fd(which))
    }
}

impl Process {
    /// The time until `deadline_ns`, on the monotonic clock.
    pub fn left(self, deadline_ns: Option<u64>) -> Option<Timespec> {
        deadline_ns.map(|deadline_ns| {
            let left_ns = deadline_ns.saturating_sub(self.monotonic_ns());
            Timespec { seconds: (left_ns / NANOS_PER_SECOND) as i64, nanoseconds: (left_ns % NANOS_PER_SECOND) as i64 }
        })
    }

    /// As [`Idle::park`], where the network is ready when `network` is (negative: there is none), by the bits of `ppoll(2)`.
    pub fn park_with(self, deadline_ns: Option<u64>, interest: Ready, network: i32, events: i16) -> Ready {
        let wants = |what, fd| if interest.contains(what) { fd } else { -1 };
        let mut fds = [
            PollFd { fd: wants(Ready::CONSOLE_IN, STDIN), events: sys::POLLIN, revents: 0 },
            PollFd { fd: wants(Ready::CONSOLE_OUT, STDOUT), events: sys::POLLOUT, revents: 0 },
            PollFd { fd: wants(Ready::CONSOLE_OUT, STDERR), events: sys::POLLOUT, revents: 0 },
            PollFd { fd: network, events, revents: 0 },
        ];
        if sys::poll(&mut fds, self.left(deadline_ns)).is_err() {
            return Ready::NONE;
        }
        let [input, out, err, network] = fds.map(|fd| fd.revents != 0);
        let happened = [(input, Ready::CONSOLE_IN), (out || err, Ready::CONSOLE_OUT), (network, Ready::NETWORK)];
        happened.into_iter().filter(|(is, _)| *is).fold(Ready::NONE, |all, (_, what)| all.with(what))
    }
}

impl Idle for Process {
    /// A signal that ends the process does so here too, so [`Ready::STOP`] never comes.
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready {
        self.park_with(deadline_ns, interest, -1, 0)
    }
}

impl Memory for Process {
    /// Linux hands out pages when they are touched, and decides itself what it promises.
    fn reserve(&self, _bytes: u64) -> bool {
        true
    }

    fn release(&self, _bytes: u64) {}

    fn total_bytes(&self) -> u64 {
        u64::MAX
    }
}

impl Power for Process {
    fn off(&self, outcome: Outcome) {
        sys::exit(outcome.code())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_move_and_entropy_differs() {
        let before = Process.monotonic_ns();
        let deadline = before + 2_000_000;
        while Process.monotonic_ns() < deadline {
            assert_eq!(Process.park(Some(deadline), Ready::NONE), Ready::NONE);
        }
        assert!(Process.wall().seconds > 1_700_000_000);
        let (mut one, mut other) = ([0; 32], [0; 32]);
        assert_eq!((Process.fill(&mut one), Process.fill(&mut other)), (Ok(()), Ok(())));
        assert_ne!(one, other);
    }

    #[test]
    fn a_closed_descriptor_is_a_device_error() {
        assert_eq!(sys::write(-1, b"x"), Err(sys::Errno(9)));
    }
}
