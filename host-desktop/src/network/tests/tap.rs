//! The TAP device, in a network namespace of the test's own, which goes away with the test's process.

use super::*;
use mwasm_plan::net::{Ipv4, Net};
use mwasm_ports::net_device::{NetDevice, NetDeviceError, ReceivedChecksum, TransmitChecksum};
use std::process::Command;

/// Set in a process that is alone in its network namespace.
const ALONE: &str = "MWASM_TEST_NAMESPACE";

/// Makes the interface `tap0` of a new namespace, then starts what follows. A user namespace gives the right to do so to everybody, where
/// the machine allows that.
const NAMESPACE: &str = "exec unshare --net --map-root-user sh -ec '
    ip tuntap add tap0 mode tap
    ip address add 10.9.0.1/24 dev tap0
    ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:01 dev tap0
    ip link set tap0 mtu 1400 up
    exec \"$@\"' sh \"$@\"";

/// Runs `test` in a namespace; on a machine where that cannot be had, it says so and passes.
fn in_namespace(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let can = "exec unshare --net --map-root-user ip tuntap add tap0 mode tap";
    let output = Command::new("sh").args(["-c", can]).output().unwrap();
    if !output.status.success() {
        eprintln!("skipped, as there are no namespaces: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let (passed, text) = again(&format!("tap::{name}"), ALONE, NAMESPACE);
    assert!(passed, "{text}");
}

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
}

const KERNEL: [u8; 4] = [10, 9, 0, 1];
const OURS: [u8; 4] = [10, 9, 0, 2];

/// Does what makes the kernel send a frame that `is_it`, and receives that. For a moment after a cable is plugged in, until the kernel has
/// noticed, frames are lost: then it is done again.
fn receive(tap: &Tap, provoke: impl Fn(), is_it: impl Fn(&[u8]) -> bool) -> (Vec<u8>, ReceivedChecksum) {
    const AGAIN_NS: u64 = 20_000_000;
    let mut found = None;
    let mut deadline_ns = 0;
    while found.is_none() {
        if deadline_ns <= Process.monotonic_ns() {
            provoke();
            deadline_ns = Process.monotonic_ns() + AGAIN_NS;
        }
        let mut take = |frame: &mut [u8], checksum| {
            if is_it(frame) {
                found = Some((frame.to_vec(), checksum));
            }
        };
        if !tap.receive(&mut take).unwrap() {
            tap.park(Some(deadline_ns), Ready::NETWORK);
        }
    }
    found.unwrap()
}

fn send(tap: &Tap, bytes: &[u8], checksum: Option<TransmitChecksum>) -> Result<(), NetDeviceError> {
    let mut fill = |frame: &mut [u8]| {
        frame.copy_from_slice(bytes);
        checksum
    };
    tap.transmit(bytes.len(), &mut fill)
}

/// Asks who has the kernel's address (RFC 826), as `mac`.
fn arp_request(mac: [u8; 6]) -> Vec<u8> {
    let head = [&[0xff; 6][..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]];
    [&head.concat()[..], &mac, &OURS, &[0; 6], &KERNEL].concat()
}

fn is_arp_reply(frame: &[u8]) -> bool {
    frame[12..14] == [8, 6] && frame[20..22] == [0, 2]
}

#[test]
fn the_kernel_answers_on_the_other_side() {
    in_namespace("the_kernel_answers_on_the_other_side", || {
        let tap = Tap::attach("tap0").unwrap();
        let info = tap.info();
        assert!(tap.is_up() && tap.has_room() && info.mtu_bytes == 1400 && info.mac[0] & 3 == 2, "{info:?}");
        let (reply, _) = receive(&tap, || send(&tap, &arp_request(info.mac), None).unwrap(), is_arp_reply);
        assert_eq!((&reply[..6], &reply[28..32]), (&info.mac[..], &KERNEL[..]));
        assert_ne!(reply[22..28], info.mac, "both ends have addresses of their own");
        assert_eq!(send(&tap, &[0; 1400 + 19], None), Err(NetDeviceError::TooLong));
    });
}

#[test]
fn neither_side_computes_checksums() {
    in_namespace("neither_side_computes_checksums", || {
        let tap = Tap::attach("tap0").unwrap();
        let socket = net::UdpSocket::bind("10.9.0.1:7").unwrap();
        let ping = || drop(socket.send_to(b"ping!", "10.9.0.2:9"));
        let (mut frame, checksum) = receive(&tap, ping, |frame| frame[12..14] == [8, 0] && frame.ends_with(b"ping!"));
        assert_eq!(checksum, ReceivedChecksum::Good);
        // Send it back: swap the ends. The sum of the pseudo header stays the same, and is all that the checksum is yet.
        let kernels: Vec<u8> = frame[6..12].to_vec();
        frame[..6].copy_from_slice(&kernels);
        frame[26..34].rotate_left(4);
        frame[34..38].rotate_left(2);
        send(&tap, &frame, Some(TransmitChecksum { start: 34, offset: 6 })).unwrap();
        let mut buffer = [0; 9];
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), (5, "10.9.0.2:9".parse().unwrap()));
        assert_eq!(&buffer[..5], b"ping!");
    });
}

#[test]
fn a_cable_can_be_unplugged_plugged_and_lost() {
    in_namespace("a_cable_can_be_unplugged_plugged_and_lost", || {
        let tap = Tap::attach("tap0").unwrap();
        assert!(tap.is_up());
        ip("link set tap0 down");
        assert_eq!(send(&tap, &arp_request(tap.info().mac), None), Err(NetDeviceError::Down));
        assert!(!tap.is_up());
        ip("link set tap0 up");
        while !tap.is_up() {
            tap.park(None, Ready::NETWORK);
        }
        receive(&tap, || send(&tap, &arp_request(tap.info().mac), None).unwrap(), is_arp_reply);
        ip("link delete tap0");
        while tap.has_frame() {
            tap.receive(&mut |_, _| ()).unwrap();
        }
        assert!(!tap.is_up());
        assert!(matches!(tap.receive(&mut |_, _| ()), Err(NetDeviceError::Broken(_))));
        assert!(matches!(send(&tap, &[0; 60], None), Err(NetDeviceError::Broken(_))));
        assert_eq!(tap.park(Some(0), Ready::NETWORK), Ready::NONE, "what is gone wakes nobody");
    });
}

#[test]
fn a_device_that_cannot_be_had_says_what_to_do() {
    in_namespace("a_device_that_cannot_be_had_says_what_to_do", || {
        let why = |name: &str| Tap::attach(name).map(drop).unwrap_err();
        assert!(why("tap1").contains("ip tuntap add tap1 mode tap user $USER"), "{}", why("tap1"));
        assert!(why("lo").contains("not a TAP device"), "{}", why("lo"));
        assert!(why("a name too long for it").contains("1 to 15 bytes"));
        let _first = Tap::attach("tap0").unwrap();
        assert!(why("tap0").contains("another program uses"), "{}", why("tap0"));
    });
}

#[test]
fn our_own_stack_serves_the_kernels() {
    const BYTES: usize = 4 << 20;
    in_namespace("our_own_stack_serves_the_kernels", || {
        let ipv4 = Ipv4::Static { address: [10, 9, 0, 3].into(), prefix_bits: 24, gateway: None };
        let net = Net { tap: "tap0", ipv4, ..Net::default() };
        let machine = Machine::open(Tap::open, &Plan { net, ..Plan::default() });
        let listener = machine.listen("10.9.0.3:7", 4);
        let client = std::thread::spawn(|| {
            let text: Vec<u8> = (0..BYTES).map(|at| (at / 251 + at) as u8).collect();
            let mut stream = net::TcpStream::connect("10.9.0.3:7").unwrap();
            let mut reader = stream.try_clone().unwrap();
            let echo = std::thread::spawn(move || {
                let mut echo = Vec::new();
                reader.read_to_end(&mut echo).unwrap();
                echo
            });
            stream.write_all(&text).unwrap();
            stream.shutdown(net::Shutdown::Write).unwrap();
            assert!(echo.join().unwrap() == text);
        });
        let stream = machine.accept(&*listener);
        assert_eq!(stream.remote().ip(), IpAddr::from(KERNEL));
        loop {
            match machine.receive(&*stream).unwrap() {
                end if end.is_empty() => break,
                bytes => machine.send(&*stream, &bytes),
            }
        }
        drop(stream);
        // The end is delivered while somebody waits for something else.
        let mut context = noop();
        while !client.is_finished() {
            assert!(listener.poll_accept(&mut context).is_pending());
            machine.idle.park(Some(Process.monotonic_ns() + 1_000_000), Ready::NETWORK);
            machine.network.advance();
        }
        client.join().unwrap();
    });
}
