//! Running programs: bytes in, bytes out, and an end in any case.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// No run takes longer than this on the slowest machine that tests run on; one that does hangs, and is killed.
pub const HANG: Duration = Duration::from_secs(240);

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Bytes of standard output.
    pub stdout: Vec<u8>,
    /// Bytes of standard error.
    pub stderr: Vec<u8>,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
}

impl Ran {
    /// Standard error as text, for messages.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// A started program, killed when it is dropped, so that a failed test leaves nothing behind.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
}

fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            if sender.send(chunk.iter().take(count).copied().collect()).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Running {
    /// Starts a program with `input` on its standard input.
    pub fn start(command: &mut Command, input: &[u8]) -> Result<Self> {
        let mut running = Self::open(command)?;
        if let Some(mut stdin) = running.stdin.take() {
            // A program that ends before it has read all is no fault.
            let _ = stdin.write_all(input);
        }
        Ok(running)
    }

    /// Starts a program whose standard input stays open, for [`Self::type_in`].
    pub fn open(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let (Some(stdout), Some(stderr), stdin) = (child.stdout.take(), child.stderr.take(), child.stdin.take()) else {
            bail!("a pipe of {command:?} is missing");
        };
        Ok(Self { child, stdin, stdout: collect(stdout), stderr: collect(stderr) })
    }

    /// Writes to the program's standard input.
    pub fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdin.as_mut().context("standard input is closed")?.write_all(bytes).context("typing into a program")
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said on standard error, if it has ended by itself.
    pub fn has_ended(&mut self) -> Result<Option<String>> {
        Ok(match self.child.try_wait()? {
            None => None,
            Some(status) => {
                let said: Vec<u8> = self.stderr.try_iter().flatten().collect();
                Some(format!("{status}; it said {:?}", lossy(&said)))
            }
        })
    }

    /// Waits until standard output holds `text`; returns all of it so far.
    pub fn wait_for(&self, text: &[u8]) -> Result<Vec<u8>> {
        wait_for(&self.stdout, text)
    }

    /// As [`Running::wait_for`], on standard error.
    pub fn wait_for_error(&self, text: &[u8]) -> Result<Vec<u8>> {
        wait_for(&self.stderr, text)
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Result<Ran> {
        let all = |receiver: &mpsc::Receiver<Vec<u8>>| {
            let mut bytes = Vec::new();
            loop {
                match receiver.recv_timeout(HANG) {
                    Ok(more) => bytes.extend(more),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(bytes),
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        bail!("it hung for {} s after it printed {:?}", HANG.as_secs(), lossy(&bytes))
                    }
                }
            }
        };
        let stdout = all(&self.stdout)?;
        let stderr = all(&self.stderr)?;
        let code = self.child.wait()?.code();
        Ok(Ran { stdout, stderr, code })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, most often.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(from: &mpsc::Receiver<Vec<u8>>, text: &[u8]) -> Result<Vec<u8>> {
    let mut seen = Vec::new();
    while !seen.windows(text.len()).any(|window| window == text) {
        match from.recv_timeout(HANG) {
            Ok(bytes) => seen.extend(bytes),
            Err(_) => bail!("it ended or hung before it printed {:?}; it printed {:?}", lossy(text), lossy(&seen)),
        }
    }
    Ok(seen)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a program to its end.
pub fn run(command: &mut Command, input: &[u8]) -> Result<Ran> {
    Running::start(command, input)?.finish().with_context(|| format!("running {command:?}"))
}

/// Runs a program that must succeed.
pub fn succeed(command: &mut Command) -> Result<Ran> {
    let ran = run(command, &[])?;
    if ran.code != Some(0) {
        bail!("{command:?} ended with {:?}:\n{}", ran.code, ran.errors());
    }
    Ok(ran)
}
