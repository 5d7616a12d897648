//! A TAP device: the other end of a network interface of the kernel, as the Ethernet device of our own stack.
//!
//! ```text
//!   Stack -> Tap -> write /dev/net/tun -> interface NAME of the kernel -> its bridge, its routes, its own TCP/IP
//! ```
//!
//! A read is a frame that the kernel sent, a write is one that it receives (Linux, `Documentation/networking/tuntap.rst`). In front of
//! each is a `virtio_net_hdr` (virtio 1.2, section 5.1.6, in its old form of 10 bytes in the machine's byte order), by which neither side
//! computes checksums of what never leaves the machine: that is a pass less over all bytes.
//!
//! The interface belongs to the machine: somebody who may do it has made it for this user, and set it up. It can go down and come back at
//! any time, which is a cable that is unplugged; and it can be deleted, after which the device is gone for good.

use crate::ports::Process;
use crate::sys::{self, EAGAIN, EINTR, Errno, Fd, InterfaceCall, InterfaceRequest, PollFd, SocketKind, Timespec};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use mwasm_net::Stack;
use mwasm_plan::Plan;
use mwasm_ports::net_device::{
    ETHERNET_HEADER_BYTES, MAX_MTU_BYTES, MacAddress, NetDevice, NetDeviceError, NetDeviceInfo, ReceivedChecksum,
    TransmitChecksum,
};
use mwasm_ports::{Entropy, Idle, Ports, Ready};
use spin::Mutex;

/// Length of `virtio_net_hdr`, in bytes.
const HEADER_BYTES: usize = 10;
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum is to be computed.
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_F_DATA_VALID`: the checksum was looked at.
const DATA_VALID: u8 = 2;
/// Where the header says from where the checksum is computed, and where it goes.
const CHECKSUM_START: usize = 6;
const CHECKSUM_OFFSET: usize = 8;
/// The family in front of an Ethernet address in `struct sockaddr`, in bytes.
const FAMILY_BYTES: usize = 2;
/// A VLAN tag, in bytes, which the MTU does not count.
const TAG_BYTES: usize = 4;

const GONE: NetDeviceError = NetDeviceError::Broken("the TAP device was deleted");

/// A TAP device.
pub struct Tap {
    fd: Fd,
    /// Any socket, to ask of the interface.
    control: Fd,
    /// A request with the interface's name.
    interface: InterfaceRequest,
    info: NetDeviceInfo,
    is_up: AtomicBool,
    is_full: AtomicBool,
    is_gone: AtomicBool,
    incoming: Mutex<Frame>,
    outgoing: Mutex<Vec<u8>>,
}

/// Room for a frame behind its header.
struct Frame {
    buffer: Vec<u8>,
    /// Bytes of it that are a frame and its header; 0 for none.
    length: usize,
}

impl Tap {
    /// Opens our stack over the TAP device that the plan names.
    pub fn open(ports: &mut Ports, plan: &Plan<'static>) -> Result<(), &'static str> {
        // Told once, to a program that ends for it.
        let tap = Self::attach(plan.net.tap).map_err(|why| -> &'static str { Box::leak(why.into_boxed_str()) })?;
        let tap = Arc::new(tap);
        let mut seed = [0; 8];
        Process.fill(&mut seed).map_err(|_| "the kernel gives no random bytes, which the TCP/IP stack needs")?;
        ports.network = Some(Stack::new(tap.clone(), ports.clock.clone(), u64::from_ne_bytes(seed), &plan.net));
        ports.idle = tap;
        Ok(())
    }

    /// Attaches to the interface with this name; otherwise says what to do.
    pub(super) fn attach(name: &str) -> Result<Self, String> {
        let make = format!("make it: ip tuntap add {name} mode tap user $USER && ip link set {name} up");
        let interface = InterfaceRequest::new(name).ok_or_else(|| {
            let most = sys::MAX_INTERFACE_BYTES;
            format!("'{name}' cannot be the name of a TAP device: names have 1 to {most} bytes")
        })?;
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let control = sys::socket(any, SocketKind::Datagram).map_err(|Errno(number)| {
            format!("cannot ask of the TAP device '{name}': Linux gives no socket (error {number})")
        })?;
        let ask = |what| {
            let mut request = interface;
            sys::interface(&control, what, &mut request).map(|()| request.value)
        };
        // First of all: with enough rights, attaching would make an interface that nothing is connected to.
        let [m0, m1, m2, m3, ..] =
            ask(InterfaceCall::Mtu).map_err(|_| format!("there is no TAP device '{name}'; {make}"))?;
        let mtu = u16::try_from(i32::from_ne_bytes([m0, m1, m2, m3])).unwrap_or(MAX_MTU_BYTES).min(MAX_MTU_BYTES);
        let address = ask(InterfaceCall::HardwareAddress).unwrap_or_default();
        let mac = address.get(FAMILY_BYTES..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        let fd = sys::open(c"/dev/net/tun", sys::O_RDWR | sys::O_NONBLOCK).map_err(|errno| match errno {
            sys::ENOENT | sys::ENODEV | sys::ENXIO => {
                "there is no /dev/net/tun, which TAP devices need; load it: modprobe tun".into()
            }
            sys::EACCES | sys::EPERM => {
                String::from("this user may not open /dev/net/tun; allow it: chmod a+rw /dev/net/tun")
            }
            Errno(number) => format!("cannot open /dev/net/tun (error {number})"),
        })?;
        let mut request = interface;
        let flags = sys::IFF_TAP | sys::IFF_NO_PI | sys::IFF_VNET_HDR;
        request.value[..2].copy_from_slice(&flags.to_ne_bytes());
        sys::interface(&fd, InterfaceCall::Attach, &mut request).map_err(|errno| match errno {
            sys::EBUSY => format!("another program uses the TAP device '{name}'; end it, or take another device"),
            sys::EPERM | sys::EACCES => format!("the TAP device '{name}' is not this user's; {make}"),
            sys::EINVAL => format!("the interface '{name}' is not a TAP device with one queue; {make}"),
            Errno(number) => format!("cannot attach to the TAP device '{name}' (error {number})"),
        })?;
        let offload = sys::tun_set_offload(&fd, sys::TUN_F_CSUM);
        offload.map_err(|Errno(number)| format!("the TAP device '{name}' offers no checksums (error {number})"))?;
        let room = HEADER_BYTES + ETHERNET_HEADER_BYTES + TAG_BYTES + usize::from(mtu);
        let tap = Self {
            fd,
            control,
            interface,
            info: NetDeviceInfo { mac: neighbour(mac), mtu_bytes: mtu, transmit_checksums: true },
            is_up: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            incoming: Mutex::new(Frame { buffer: alloc::vec![0; room], length: 0 }),
            outgoing: Mutex::new(alloc::vec![0; room]),
        };
        Ok(tap)
    }

    /// Reads the next frame, if there is none already.
    fn fetch(&self, frame: &mut Frame) {
        while frame.length == 0 && !self.is_gone.load(Relaxed) {
            match sys::read(self.fd.raw(), &mut frame.buffer) {
                Ok(length) if length >= HEADER_BYTES + ETHERNET_HEADER_BYTES => frame.length = length,
                Ok(_) | Err(EINTR) => {}
                Err(EAGAIN) => return,
                Err(_) => self.is_gone.store(true, Relaxed),
            }
        }
    }
}

/// Our address, of the one that the kernel's end of the cable has: another one, as stable as that.
fn neighbour(kernels: MacAddress) -> MacAddress {
    /// Not of a manufacturer.
    const LOCAL: u8 = 2;
    /// Not of one device.
    const GROUP: u8 = 1;
    let [first, middle @ .., last] = kernels;
    let [a, b, c, d] = middle;
    [(first | LOCAL) & !GROUP, a, b, c, d, last ^ 1]
}

impl NetDevice for Tap {
    fn info(&self) -> NetDeviceInfo {
        self.info
    }

    /// Asks only while it is down: that it went down is seen when sending.
    fn is_up(&self) -> bool {
        if !self.is_up.load(Relaxed) && !self.is_gone.load(Relaxed) {
            let mut request = self.interface;
            let asked = sys::interface(&self.control, InterfaceCall::Flags, &mut request);
            let [low, high, ..] = request.value;
            self.is_up.store(asked.is_ok() && u16::from_ne_bytes([low, high]) & sys::IFF_UP != 0, Relaxed);
        }
        self.is_up.load(Relaxed) && !self.is_gone.load(Relaxed)
    }

    fn has_frame(&self) -> bool {
        let mut frame = self.incoming.lock();
        self.fetch(&mut frame);
        frame.length > 0
    }

    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError> {
        let mut frame = self.incoming.lock();
        self.fetch(&mut frame);
        let length = core::mem::take(&mut frame.length);
        let Some((header, bytes)) = frame.buffer.get_mut(..length).and_then(|all| all.split_first_chunk_mut()) else {
            return if self.is_gone.load(Relaxed) { Err(GONE) } else { Ok(false) };
        };
        let [flags, ..]: [u8; HEADER_BYTES] = *header;
        let is_good = flags & (NEEDS_CHECKSUM | DATA_VALID) != 0;
        take(bytes, if is_good { ReceivedChecksum::Good } else { ReceivedChecksum::Unknown });
        Ok(true)
    }

    fn has_room(&self) -> bool {
        if self.is_full.load(Relaxed) {
            let mut fds = [PollFd { fd: self.fd.raw(), events: sys::POLLOUT, revents: 0 }];
            let room = sys::poll(&mut fds, Some(Timespec::default())).is_ok_and(|count| count > 0);
            self.is_full.store(!room, Relaxed);
        }
        !self.is_full.load(Relaxed)
    }

    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        let mut outgoing = self.outgoing.lock();
        let whole = outgoing.get_mut(..HEADER_BYTES.saturating_add(bytes)).ok_or(NetDeviceError::TooLong)?;
        let (header, frame) = whole.split_at_mut(HEADER_BYTES);
        let checksum = fill(frame);
        header.fill(0);
        if let Some(TransmitChecksum { start, offset }) = checksum {
            header[0] = NEEDS_CHECKSUM;
            header[CHECKSUM_START..][..2].copy_from_slice(&start.to_ne_bytes());
            header[CHECKSUM_OFFSET..][..2].copy_from_slice(&offset.to_ne_bytes());
        }
        loop {
            return match sys::write(self.fd.raw(), whole) {
                Err(EINTR) => continue,
                Err(EAGAIN) => {
                    self.is_full.store(true, Relaxed);
                    Err(NetDeviceError::Full)
                }
                Err(sys::EIO) => {
                    self.is_up.store(false, Relaxed);
                    Err(NetDeviceError::Down)
                }
                // The kernel had no memory for it, or thinks that it is no frame: it is lost, as frames may be.
                Ok(_) | Err(sys::ENOMEM | sys::ENOBUFS | sys::EINVAL) => Ok(()),
                Err(_) => {
                    self.is_gone.store(true, Relaxed);
                    Err(GONE)
                }
            };
        }
    }

    /// Every frame is handed over at once, and [`Idle::park`] asks anew each time.
    fn flush(&self) {}
}

impl Idle for Tap {
    /// An interface takes frames when there is room and when it is up, so that room is waited for also to see it come up.
    fn park(&self, deadline_ns: Option<u64>, interest: Ready) -> Ready {
        if interest.contains(Ready::NETWORK) && self.incoming.lock().length > 0 {
            return Ready::NETWORK;
        }
        let waits_for_room = self.is_full.load(Relaxed) || !self.is_up.load(Relaxed);
        let events = if waits_for_room { sys::POLLIN | sys::POLLOUT } else { sys::POLLIN };
        let fd = if self.is_gone.load(Relaxed) { -1 } else { self.fd.raw() };
        Process.park_with(deadline_ns, interest, fd, events)
    }
}
