//! Network namespaces that end by themselves.

use crate::process::succeed;
use anyhow::{Context, Result, anyhow};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

/// The address of Linux's side of a TAP device, with the length of its prefix.
pub const LINUX: &str = "10.99.0.1/24";
/// The address of the other side.
pub const GUEST: &str = "10.99.0.2";

/// Runs `work` on a thread that has a network namespace of its own, with loopback up. Programs that it starts are in there too. The
/// namespace ends with the last of them. Needs to be root.
pub fn inside<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: changes nothing but the calling thread's namespace, and this thread is new.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error()).context("making a network namespace (it takes root)");
            }
            ip("link set lo up")?;
            work()
        });
        thread.join().map_err(|_| anyhow!("the thread in the namespace panicked"))?
    })
}

/// Runs `ip` with these words.
pub fn ip(words: &str) -> Result<()> {
    succeed(Command::new("ip").args(words.split(' '))).map(drop)
}

/// A TAP device that a program can attach to, set up as [`LINUX`].
pub fn persistent_tap(name: &str) -> Result<()> {
    ip(&format!("tuntap add {name} mode tap"))?;
    set_up(name)
}

/// A TAP device whose other end is the file: a read takes a frame that Linux sent, a write is a frame that Linux receives.
pub fn tap(name: &str) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").context("opening /dev/net/tun")?;
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short },
    };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    // SAFETY: the request lives through the call, and TUNSETIFF reads and writes a `struct ifreq`.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request) } != 0 {
        return Err(io::Error::last_os_error()).with_context(|| format!("making the TAP device {name}"));
    }
    set_up(name)?;
    Ok(file)
}

fn set_up(name: &str) -> Result<()> {
    ip(&format!("addr add {LINUX} dev {name}"))?;
    ip(&format!("link set {name} up"))
}
