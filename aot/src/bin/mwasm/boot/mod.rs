//! Booting an image in QEMU as if it were a program: its console is our standard input and output, its exit code ours.
//!
//! ```text
//!   standard input  --+                        +-- serial port --> app
//!   standard output <-+-- a pair of sockets ---+
//!   SIGINT, SIGTERM ----- QMP: power button ----> the host tells the app to end
//!   ports of -p <-------- QEMU's own network, or a TAP device ---> network card, for an image that has the network
//!   exit code       <---- one byte from a debug port (x86), QEMU's own exit code (ARM, semihosting)
//! ```
//!
//! Nothing is left behind: the image is a file in memory, all connections are pairs of sockets that QEMU inherits, and QEMU dies with
//! this process, however that ends.

mod machine;
mod qmp;

pub use machine::{Guest, KVM, Link, kvm};

use anyhow::{Context, Result};
use machine::Wires;
use mwasm_aot::problem::Problem;
use mwasm_ports::Outcome;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long an image may take to end when it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes that are passed on at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// What the thread that may have to end QEMU waits for.
enum Event {
    /// Somebody asked for the end.
    Signal,
    /// QEMU has ended.
    Ended,
}

/// Boots an image and returns when the machine is off.
pub fn boot(guest: &Guest<'_>) -> Result<ExitCode> {
    // Before QEMU exists, so that no signal is missed.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot catch signals")?;
    let (mut child, wires) = guest.start()?;
    let Wires { serial, code, qmp } = wires;
    let output = pass_output(serial.try_clone()?);
    pass_input(serial);
    let errors = collect(child.stderr.take());
    let (tell, events) = mpsc::channel();
    let stopper = {
        // By this handle only this very process can be ended, also when it is gone and its number belongs to another.
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).context("cannot watch QEMU")?;
        thread::spawn(move || stop_when_asked(qmp, &events, &process))
    };
    let handle = signals.handle();
    let signalled = tell.clone();
    thread::spawn(move || signals.forever().take_while(|_| signalled.send(Event::Signal).is_ok()).for_each(drop));
    let status = child.wait().context("cannot wait for QEMU")?;
    let _ = tell.send(Event::Ended);
    handle.close();
    let was_stopped = stopper.join().unwrap_or_default();
    // What the machine has written is passed on before its end is told.
    let _ = output.join();
    let errors = errors.join().unwrap_or_default();
    match guest.exit_code(code, status, &errors) {
        Some(code) => Ok(ExitCode::from(code)),
        None if was_stopped => Ok(ExitCode::from(Outcome::STOPPED_CODE)),
        None => Err(died(&status.to_string(), &errors)),
    }
}

/// The first signal presses the power button; the second one, or the end of patience, ends QEMU. Returns whether there was a signal.
fn stop_when_asked(qmp: UnixStream, events: &mpsc::Receiver<Event>, process: &OwnedFd) -> bool {
    let mut button = qmp::Button::new(qmp);
    let Ok(Event::Signal) = events.recv() else { return false };
    let ended = button.press().is_ok() && matches!(events.recv_timeout(GRACE), Ok(Event::Ended));
    if !ended {
        // It may have ended by itself in the meantime.
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
    true
}

fn died(status: &str, errors: &str) -> anyhow::Error {
    let message = format!("the machine ended without an exit code (QEMU: {status})");
    match errors.trim() {
        "" => Problem::new(message).help("build the image with --verbose, and see what its host says").into(),
        errors => anyhow::anyhow!("{errors}").context(Problem::new(message)),
    }
}

/// Passes on what the machine writes, until it is off.
fn pass_output(mut serial: UnixStream) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut out = io::stdout().lock();
        let mut chunk = [0; CHUNK_BYTES];
        while let Ok(count @ 1..) = serial.read(&mut chunk) {
            // A reader that went away is no reason to stop the machine: its exit code still counts.
            let _ = out.write_all(chunk.get(..count).unwrap_or_default()).and_then(|()| out.flush());
        }
    })
}

/// Passes on standard input. The thread is not waited for: it may be reading when the machine ends.
fn pass_input(mut serial: UnixStream) {
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut chunk = [0; CHUNK_BYTES];
        while let Ok(count @ 1..) = input.read(&mut chunk) {
            if serial.write_all(chunk.get(..count).unwrap_or_default()).is_err() {
                return;
            }
        }
    });
}

/// Keeps what QEMU says, in case that it fails.
fn collect(errors: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut errors) = errors {
            let _ = errors.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}
