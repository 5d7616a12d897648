//! Ports: all that a target must bring so that an app can run on it.
//!
//! A *port* is a small trait between the host core, which knows WebAssembly and nothing of machines, and a host, which knows one
//! machine and nothing of WebAssembly. Everything that is not a pure function of the image enters through a port: time
//! ([`Clock`]), randomness ([`Entropy`]), bytes from and to a person or a log ([`Console`]), frames ([`net_device`]) and sockets ([`network`]),
//! waiting ([`Idle`]) and the end ([`Power`]). So a whole image can run inside a test with virtual time and a seed, on the code that ships.
//!
//! ```text
//!   app -> WASI interface (host-core) -> port (here) -> system call, hypercall or device register (host-*)
//! ```
//!
//! Each port has three implementations from the first day: the real one in a host's folder, an in-memory one in [`fake`], and one
//! in [`faulty`] that does what bad devices do (short writes, refusals, clocks that stand still). The traits take `&self` and are
//! `Send + Sync`, because the Wasmtime store that holds them is; hosts that have a single thread satisfy that trivially.
//!
//! Rules that every implementation keeps:
//!
//! * No call but [`Idle::park`] waits. A device that cannot take or give anything now says so, and the caller parks.
//! * Errors are values. A port never panics, whatever the device says.
#![cfg_attr(not(feature = "fake"), no_std)]

extern crate alloc;

#[cfg(feature = "fake")]
pub mod fake;
#[cfg(feature = "fake")]
pub mod faulty;
pub mod links;
pub mod net_device;
pub mod network;
mod zeroed;

pub use zeroed::zeroed;

use alloc::sync::Arc;
use core::fmt;

/// What an app needs of a machine, bundled for the host core.
#[derive(Clone)]
pub struct Ports {
    /// Time of day and time since the start.
    pub clock: Arc<dyn Clock>,
    /// Secure random bytes; `None` on a machine that has no source of them.
    pub entropy: Option<Arc<dyn Entropy>>,
    /// Standard input, output and error.
    pub console: Arc<dyn Console>,
    /// The only place to wait.
    pub idle: Arc<dyn Idle>,
    /// The memory that guests may have.
    pub memory: Arc<dyn Memory>,
    /// Sockets; `None` where the app uses none.
    pub network: Option<Arc<dyn network::Network>>,
}

/// The machine's memory, as far as guests may have it.
pub trait Memory: Send + Sync {
    /// Promises that `bytes` more can be touched, now or later, and says whether it can keep that promise. Pages are handed out
    /// only when they are touched; this is the count that keeps a guest from being given more than there is.
    fn reserve(&self, bytes: u64) -> bool;
    /// Takes a promise back: nothing will touch these `bytes` any more.
    fn release(&self, bytes: u64);
    /// All that guests may have, in bytes, for messages.
    fn total_bytes(&self) -> u64;
}

/// The two clocks of WASI.
pub trait Clock: Send + Sync {
    /// Nanoseconds since an arbitrary point, the same for the whole run; never goes back.
    fn monotonic_ns(&self) -> u64;
    /// The smallest step of [`Clock::monotonic_ns`], in nanoseconds, at least 1.
    fn monotonic_resolution_ns(&self) -> u64;
    /// Time since 1970-01-01T00:00:00Z, without leap seconds.
    fn wall(&self) -> WallTime;
    /// The smallest step of [`Clock::wall`], in nanoseconds, at least 1.
    fn wall_resolution_ns(&self) -> u64;
}

/// A point in time since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime {
    /// Whole seconds.
    pub seconds: u64,
    /// Below 1,000,000,000.
    pub nanoseconds: u32,
}

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl WallTime {
    /// The time `ns` nanoseconds after 1970-01-01T00:00:00Z.
    pub const fn from_ns(ns: u64) -> Self {
        Self { seconds: ns / NANOS_PER_SECOND, nanoseconds: (ns % NANOS_PER_SECOND) as u32 }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z; saturates in the year 2554.
    pub const fn as_ns(self) -> u64 {
        self.seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(self.nanoseconds as u64)
    }
}

/// A source of bytes that nobody can guess.
pub trait Entropy: Send + Sync {
    /// Fills all of `out`, or nothing that may be used.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// The source of randomness gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the machine's source of secure randomness failed")
    }
}

impl core::error::Error for EntropyError {}

/// Which of the console's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output. Where a machine has one line only, both outputs share it.
    Out,
    /// Standard error.
    Err,
}

/// Standard input, output and error.
pub trait Console: Send + Sync {
    /// Hands over bytes from the front of `bytes`; returns how many were taken. 0 (of a non-empty slice) means that the device is
    /// full: park on [`Ready::CONSOLE_OUT`] and try again.
    fn write(&self, to: Output, bytes: &[u8]) -> Result<usize, ConsoleError>;
    /// Takes up to `into.len()` bytes that have arrived.
    fn read(&self, into: &mut [u8]) -> Result<Input, ConsoleError>;
    /// Whether standard input is a terminal that a person types at.
    fn input_is_terminal(&self) -> bool;
    /// Whether this output is a terminal that a person reads.
    fn output_is_terminal(&self, which: Output) -> bool;
}

/// What [`Console::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// This many bytes, at least 1, were put at the front of the buffer.
    Bytes(usize),
    /// Nothing yet: park on [`Ready::CONSOLE_IN`].
    Nothing,
    /// There will never be more.
    End,
}

/// A console that no longer takes or gives bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleError {
    /// The other side went away (a closed pipe).
    Closed,
    /// The device failed.
    Device,
}

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the other side of the console went away",
            Self::Device => "the console device failed",
        })
    }
}

impl core::error::Error for ConsoleError {}

/// A set of things to wait for, and of things that happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Standard input may have bytes, or has ended.
    pub const CONSOLE_IN: Self = Self(1);
    /// An output that was full may take bytes.
    pub const CONSOLE_OUT: Self = Self(2);
    /// Somebody outside asked the image to end (power button, `xl shutdown`). Always waited for.
    pub const STOP: Self = Self(4);
    /// The network may have something to do: see [`network::Network::advance`].
    pub const NETWORK: Self = Self(8);
    /// Every member, in the order of their bits.
    pub const ALL: [Self; 4] = [Self::CONSOLE_IN, Self::CONSOLE_OUT, Self::STOP, Self::NETWORK];

    /// Whether every member of `other` is in `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is in `self`.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Members of either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Members of `self` that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// The only place where a host waits.
pub trait Idle: Send + Sync {
    /// Waits until `deadline_ns` (on [`Clock::monotonic_ns`]; `None` is for ever), or until something in `interest` or
    /// [`Ready::STOP`] happens, whichever is first; says what happened. It may return early with [`Ready::NONE`]. The CPU is halted
    /// meanwhile.
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready;
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The app ended with this code.
    Exit(u8),
    /// The app trapped, or broke a limit; the reason was printed.
    Trap,
    /// The app could not be started; the reason was printed.
    Failed,
    /// Somebody outside asked for the end.
    Stopped,
}

impl Outcome {
    /// The exit code of a trap, as a shell reports SIGABRT.
    pub const TRAP_CODE: u8 = 134;
    /// The exit code of an app that could not be started.
    pub const FAILED_CODE: u8 = 1;
    /// The exit code of a run that was stopped from outside, as a shell reports SIGTERM.
    pub const STOPPED_CODE: u8 = 143;

    /// The code that goes to whoever started the image.
    pub const fn code(self) -> u8 {
        match self {
            Self::Exit(code) => code,
            Self::Trap => Self::TRAP_CODE,
            Self::Failed => Self::FAILED_CODE,
            Self::Stopped => Self::STOPPED_CODE,
        }
    }
}

/// The end of the machine or the process.
pub trait Power {
    /// Ends it, and lets `outcome` be known where the machine has a way to say it. Real ones do not return; fakes record.
    fn off(&self, outcome: Outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_a_set() {
        let both = Ready::CONSOLE_IN.with(Ready::STOP);
        assert!(both.contains(Ready::STOP) && !both.contains(Ready::CONSOLE_OUT));
        assert_eq!(both.without(Ready::STOP), Ready::CONSOLE_IN);
        assert!(Ready::NONE.is_empty() && both.contains(Ready::NONE));
    }

    #[test]
    fn wall_time_round_trips_and_saturates() {
        let t = WallTime::from_ns(1_700_000_000_123_456_789);
        assert_eq!((t.seconds, t.nanoseconds), (1_700_000_000, 123_456_789));
        assert_eq!(t.as_ns(), 1_700_000_000_123_456_789);
        assert_eq!(WallTime { seconds: u64::MAX, nanoseconds: 0 }.as_ns(), u64::MAX);
    }

    #[test]
    fn outcomes_have_the_codes_that_shells_know() {
        assert_eq!(Outcome::Exit(7).code(), 7);
        assert_eq!(Outcome::Trap.code(), 134);
        assert_eq!(Outcome::Stopped.code(), 143);
    }
}
