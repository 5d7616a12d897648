//! Files and devices: `open(2)`, `close(2)`, and the `ioctl(2)` of network interfaces (`netdevice(7)`) and TAP devices.

use super::{EINTR, Errno, call, number};
use core::ffi::CStr;

/// `AT_FDCWD`: relative paths start at the working directory.
const AT_FDCWD: usize = -100isize as usize;
/// `O_RDWR`, without `O_RDONLY`'s meaning of 0.
pub const O_RDWR: usize = 2;
/// `O_RDONLY`.
pub const O_RDONLY: usize = 0;
/// `O_NONBLOCK`: nothing waits.
pub const O_NONBLOCK: usize = 0x800;
/// `O_CLOEXEC`: not for other programs.
pub const O_CLOEXEC: usize = 0x8_0000;

/// A file descriptor, closed when it is dropped.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    /// Takes over what a system call returned.
    pub(super) fn new(raw: usize) -> Self {
        Self(raw as i32)
    }

    /// The number.
    pub fn raw(&self) -> i32 {
        self.0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's alone. `close` releases it whatever it returns.
        let _ = unsafe { call(number::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

/// `openat(2)` of a file that is there.
pub fn open(path: &CStr, flags: usize) -> Result<Fd, Errno> {
    loop {
        // SAFETY: the kernel reads the path, which ends in a zero.
        match unsafe { call(number::OPENAT, [AT_FDCWD, path.as_ptr() as usize, flags | O_CLOEXEC, 0, 0, 0]) } {
            Err(EINTR) => {}
            result => return result.map(Fd::new),
        }
    }
}

/// The longest name of an interface, in bytes, without its final zero (`IFNAMSIZ`).
pub const MAX_INTERFACE_BYTES: usize = 15;

/// `struct ifreq`: the name of an interface, and what is asked or told of it.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct InterfaceRequest {
    name: [u8; MAX_INTERFACE_BYTES + 1],
    /// The union; its meaning depends on the request.
    pub value: [u8; 24],
}

impl InterfaceRequest {
    /// A request for the interface with this name; `None` if no interface can have it.
    pub fn new(name: &str) -> Option<Self> {
        let mut request = Self { name: [0; MAX_INTERFACE_BYTES + 1], value: [0; 24] };
        if name.is_empty() || name.len() > MAX_INTERFACE_BYTES || name.contains('\0') {
            return None;
        }
        request.name.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(request)
    }
}

/// A request of `ioctl(2)` that takes a [`InterfaceRequest`].
#[derive(Clone, Copy, Debug)]
pub enum InterfaceCall {
    /// `SIOCGIFFLAGS`, on a socket: flags, as an u16.
    Flags = 0x8913,
    /// `SIOCGIFMTU`, on a socket: the largest payload of a frame in bytes, as an i32.
    Mtu = 0x8921,
    /// `SIOCGIFHWADDR`, on a socket: the Ethernet address, behind a family of two bytes.
    HardwareAddress = 0x8927,
    /// `TUNSETIFF`, on `/dev/net/tun`: makes the descriptor the other end of the interface; flags, as an u16.
    Attach = 0x4004_54ca,
}

/// `ioctl(2)` of an interface.
pub fn interface(fd: &Fd, what: InterfaceCall, request: &mut InterfaceRequest) -> Result<(), Errno> {
    // SAFETY: the kernel reads and writes an `ifreq`, which is 40 bytes long.
    unsafe { call(number::IOCTL, [fd.0 as usize, what as usize, &raw mut *request as usize, 0, 0, 0]) }.map(drop)
}

/// `IFF_UP`: the interface is set up.
pub const IFF_UP: u16 = 1;
/// `IFF_TAP`: Ethernet frames.
pub const IFF_TAP: u16 = 2;
/// `IFF_NO_PI`: nothing in front of them,
pub const IFF_NO_PI: u16 = 0x1000;
/// `IFF_VNET_HDR`: but a `virtio_net_hdr`.
pub const IFF_VNET_HDR: u16 = 0x4000;

/// `TUN_F_CSUM`: frames without TCP and UDP checksums are welcome.
pub const TUN_F_CSUM: usize = 1;

/// `TUNSETOFFLOAD`: what is welcome in the frames that the kernel gives.
pub fn tun_set_offload(fd: &Fd, offload: usize) -> Result<(), Errno> {
    const TUNSETOFFLOAD: usize = 0x4004_54d0;
    // SAFETY: the argument is a number.
    unsafe { call(number::IOCTL, [fd.0 as usize, TUNSETOFFLOAD, offload, 0, 0, 0]) }.map(drop)
}
