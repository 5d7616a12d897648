use super::super::fake::{Fake, FakeHal};
use super::*;
use mwasm_ports::net_device::NetDeviceError::{Broken, Down, Full, TooLong};
use proptest::prelude::*;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

type Device = VirtioNet<FakeHal, Fake>;

const ALL: u64 = feature::WANTED;
const HEADER: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

fn start(features: u64) -> (Device, Fake, &'static Doorbell) {
    let (fake, bell) = (Fake::new(features), &*Box::leak(Box::new(Doorbell::new())));
    (Device::start(fake.clone(), bell, |_| {}).unwrap(), fake, bell)
}

fn refusal(fake: &Fake) -> &'static str {
    let bell = Box::leak(Box::new(Doorbell::new()));
    let why = Device::start(fake.clone(), bell, |_| {}).err().unwrap();
    assert!(fake.0.lock().unwrap().status.contains(DeviceStatus::FAILED) || why.contains("reset"));
    why
}

fn receive(device: &Device) -> Result<Option<(Vec<u8>, ReceivedChecksum)>, NetDeviceError> {
    let mut got = None;
    let any = device.receive(&mut |frame, checksum| got = Some((frame.to_vec(), checksum)))?;
    assert_eq!(any, got.is_some());
    Ok(got)
}

fn send(device: &Device, frame: &[u8]) -> Result<(), NetDeviceError> {
    device.transmit(frame.len(), &mut |buffer| {
        buffer.copy_from_slice(frame);
        None
    })
}

/// After a lie: nothing works, nothing panics, the device is told to forget all.
fn assert_broken(device: &Device, fake: &Fake, lie: Lie) {
    assert_eq!(receive(device), Err(Broken(lie.text())));
    assert_eq!(send(device, &[0; 60]), Err(Broken(lie.text())));
    assert!(!device.has_frame() && !device.has_room() && !device.is_up());
    device.flush();
    assert!(fake.0.lock().unwrap().status.is_empty(), "the device is reset");
}

#[test]
fn features_and_address_are_agreed_on() {
    let (device, fake, _) = start(!0);
    assert_eq!(fake.0.lock().unwrap().agreed, ALL, "nothing is asked for that this driver does not know");
    let info = NetDeviceInfo { mac: [2, 0, 0, 0, 0, 1], mtu_bytes: 1400, transmit_checksums: true };
    assert_eq!((device.info(), device.is_up()), (info, true));
    assert!(fake.0.lock().unwrap().status.contains(DeviceStatus::DRIVER_OK));
    let (device, ..) = start(feature::ANY_LAYOUT | feature::MAC);
    assert_eq!((device.info().mtu_bytes, device.info().transmit_checksums), (1500, false));
}

#[test]
fn frames_go_both_ways_without_a_copy_of_their_own() {
    let (device, fake, bell) = start(ALL);
    bell.take();
    assert_eq!(receive(&device), Ok(None));
    for round in 0..1000u32 {
        let frame = round.to_le_bytes().repeat(1 + round as usize % 300);
        assert!(fake.deliver(&HEADER, &frame) && device.has_frame());
        assert_eq!(receive(&device), Ok(Some((frame.clone(), ReceivedChecksum::Unknown))));
        send(&device, &frame).unwrap();
        device.flush();
        assert_eq!(fake.sent().unwrap(), [&HEADER[..], &frame].concat());
    }
    assert!(!bell.take() && !device.has_frame());
}

#[test]
fn headers_of_legacy_devices_are_shorter() {
    let (device, fake, _) = start(ALL & !feature::VERSION_1);
    fake.deliver(&HEADER[..LEGACY_HEADER_BYTES], b"frame");
    assert_eq!(receive(&device), Ok(Some((b"frame".to_vec(), ReceivedChecksum::Unknown))));
    send(&device, b"frame").unwrap();
    assert_eq!(fake.sent().unwrap(), [&HEADER[..LEGACY_HEADER_BYTES], b"frame"].concat());
}

#[test]
fn checksums_are_left_to_the_device_if_it_agreed() {
    let ask = TransmitChecksum { start: 34, offset: 6 };
    for (features, flags, checksum) in
        [(ALL, 1, ReceivedChecksum::Good), (ALL & !(feature::CSUM | feature::GUEST_CSUM), 0, ReceivedChecksum::Unknown)]
    {
        let (device, fake, _) = start(features);
        device.transmit(60, &mut |_| Some(ask)).unwrap();
        assert_eq!(fake.sent().unwrap()[0], flags);
        let mut header = HEADER;
        header[0] = 2;
        fake.deliver(&header, b"x");
        assert_eq!(receive(&device).unwrap().unwrap().1, checksum);
    }
}

#[test]
fn a_frame_can_be_answered_while_it_is_lent() {
    let (device, fake, _) = start(ALL);
    fake.deliver(&HEADER, b"ping");
    let answered = device.receive(&mut |frame, _| {
        assert_eq!(frame, b"ping");
        send(&device, b"pong").unwrap();
        assert!(device.has_room() && !device.has_frame());
        assert_eq!(receive(&device), Ok(None), "one at a time");
    });
    assert_eq!(answered, Ok(true));
    assert!(fake.sent().unwrap().ends_with(b"pong"));
}

#[test]
fn a_full_queue_says_so_and_an_interrupt_comes_when_it_is_not() {
    let (device, fake, bell) = start(ALL);
    bell.take();
    for _ in 0..TRANSMIT_BUFFERS {
        send(&device, &[0; 60]).unwrap();
    }
    device.flush();
    assert!(!fake.may_interrupt(1), "what was sent interests nobody yet");
    assert_eq!((send(&device, &[0; 60]), device.has_room()), (Err(Full), false));
    device.flush();
    assert!(fake.may_interrupt(1) && !bell.take());
    fake.sent().unwrap();
    device.flush();
    assert!(device.has_room() && send(&device, &[0; 60]).is_ok());
    device.flush();
    assert!(!fake.may_interrupt(1));
}

#[test]
fn what_comes_before_the_interrupt_is_on_rings_the_bell() {
    let (device, fake, bell) = start(ALL);
    bell.take();
    device.flush();
    assert!(fake.may_interrupt(0) && !bell.take());
    fake.deliver(&HEADER, b"one");
    receive(&device).unwrap().unwrap();
    assert!(!fake.may_interrupt(0), "who is busy needs no interrupts");
    // No interrupt tells of this one.
    fake.deliver(&HEADER, b"two");
    device.flush();
    assert!(fake.may_interrupt(0) && bell.take());
}

#[test]
fn the_device_is_told_once_a_batch() {
    let (device, fake, _) = start(ALL);
    assert_eq!(fake.0.lock().unwrap().notified, [1, 0]);
    for _ in 0..10 {
        fake.deliver(&HEADER, b"x");
        receive(&device).unwrap().unwrap();
        send(&device, b"y").unwrap();
    }
    device.flush();
    device.flush();
    assert_eq!(fake.0.lock().unwrap().notified, [2, 1]);
}

#[test]
fn a_cable_is_unplugged_and_plugged() {
    let (device, fake, bell) = start(ALL);
    assert!(device.is_up());
    for up in [0, 1] {
        fake.0.lock().unwrap().config[CONFIG_STATUS] = up;
        bell.ring_link();
        device.flush();
        assert_eq!(device.is_up(), up == 1);
        assert_eq!(send(&device, &[0; 60]), if up == 1 { Ok(()) } else { Err(Down) });
    }
}

#[test]
fn frames_that_are_too_long_stay_here() {
    let (device, _, _) = start(ALL);
    assert_eq!(send(&device, &vec![0; 14 + 4 + 1400]), Ok(()));
    assert_eq!(send(&device, &vec![0; 14 + 4 + 1401]), Err(TooLong));
    assert_eq!(send(&device, &vec![0; 1 << 20]), Err(TooLong));
}

#[test]
fn unfit_devices_are_refused() {
    assert!(refusal(&Fake::new(feature::MAC)).contains("too old"));
    assert!(refusal(&Fake::new(feature::VERSION_1)).contains("no address"));
    let fake = Fake::new(ALL);
    fake.0.lock().unwrap().refused = DeviceStatus::FEATURES_OK;
    assert!(refusal(&fake).contains("does not agree"));
    let fake = Fake::new(ALL);
    fake.0.lock().unwrap().max_queue = 64;
    assert!(refusal(&fake).contains("queues"));
    let fake = Fake::new(ALL);
    fake.0.lock().unwrap().restless = true;
    assert!(refusal(&fake).contains("configuration"));
    let fake = Fake::new(ALL);
    fake.0.lock().unwrap().config[0] = 1;
    assert!(refusal(&fake).contains("group"));
    let fake = Fake::new(ALL);
    fake.0.lock().unwrap().config.truncate(4);
    assert!(refusal(&fake).contains("configuration"));
}

#[test]
fn a_length_of_packets_that_is_not_served_is_not_agreed_on() {
    for mtu in [0, 67, 9001, u16::MAX] {
        let fake = Fake::new(ALL);
        fake.0.lock().unwrap().config[CONFIG_MTU..].copy_from_slice(&mtu.to_le_bytes());
        let device = Device::start(fake.clone(), Box::leak(Box::new(Doorbell::new())), |_| {}).unwrap();
        assert_eq!(device.info().mtu_bytes, DEFAULT_MTU_BYTES);
        assert_eq!(fake.0.lock().unwrap().agreed, ALL & !feature::MTU);
    }
}

/// A receive buffer is given again at once, under the same descriptor: a device that returns it twice has only made up a frame.
#[test]
fn a_receive_buffer_that_comes_back_twice_is_a_frame_made_up() {
    let (device, fake, _) = start(ALL);
    assert!(fake.deliver(&HEADER, b"once"));
    fake.give_back(0, 0, HEADER_BYTES as u32 + 4);
    for _ in 0..2 {
        assert_eq!(receive(&device), Ok(Some((b"once".to_vec(), ReceivedChecksum::Unknown))));
    }
    assert_eq!(receive(&device), Ok(None));
    assert!(device.is_up());
}

#[test]
fn a_buffer_that_never_was_ends_the_device() {
    for descriptor in [RECEIVE_BUFFERS as u32, 0xffff, u32::MAX] {
        let (device, fake, _) = start(ALL);
        fake.give_back(0, descriptor, 60);
        assert_broken(&device, &fake, Lie::Buffer);
        let (device, fake, _) = start(ALL);
        (0..TRANSMIT_BUFFERS).for_each(|_| send(&device, &[0; 60]).unwrap());
        fake.give_back(1, descriptor, 0);
        assert!(!device.has_room());
        assert_broken(&device, &fake, Lie::Buffer);
    }
}

#[test]
fn a_frame_that_was_never_sent_cannot_come_back() {
    let (device, fake, _) = start(ALL);
    (0..TRANSMIT_BUFFERS).for_each(|_| send(&device, &[0; 60]).unwrap());
    let (descriptor, ..) = fake.take(1).unwrap();
    fake.give_back(1, descriptor.into(), 0);
    fake.give_back(1, descriptor.into(), 0);
    assert!(!device.has_room());
    assert_broken(&device, &fake, Lie::Buffer);
}

#[test]
fn a_wrong_length_ends_the_device() {
    for bytes in [0, HEADER_BYTES as u32 - 1, 2049, 0x1_0000, u32::MAX] {
        let (device, fake, bell) = start(ALL);
        bell.take();
        let (descriptor, ..) = fake.take(0).unwrap();
        fake.give_back(0, descriptor.into(), bytes);
        assert!(device.has_frame());
        assert_broken(&device, &fake, Lie::Length);
        assert!(bell.take(), "whoever waits hears of it");
    }
}

#[test]
fn a_device_that_fails_is_heard() {
    let (device, fake, bell) = start(ALL);
    fake.0.lock().unwrap().status |= DeviceStatus::DEVICE_NEEDS_RESET;
    bell.ring_link();
    assert!(!device.is_up());
    assert_broken(&device, &fake, Lie::NeedsReset);
}

#[test]
fn a_configuration_that_never_holds_still_ends_the_device() {
    let (device, fake, bell) = start(ALL);
    fake.0.lock().unwrap().restless = true;
    bell.ring_link();
    device.flush();
    assert_broken(&device, &fake, Lie::Configuration);
}

/// What a device may do.
#[derive(Clone, Debug)]
enum Act {
    Deliver(Vec<u8>),
    Send,
    Receive,
    Drain,
    Flush,
    GiveBack(usize, u32, u32),
    Claim(usize, u16),
}

fn act() -> impl Strategy<Value = Act> {
    let number = prop_oneof![0u32..130, any::<u32>()];
    let length = prop_oneof![0u32..2100, any::<u32>()];
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Act::Deliver),
        8 => Just(Act::Send),
        8 => Just(Act::Receive),
        4 => Just(Act::Drain),
        4 => Just(Act::Flush),
        1 => (0usize..2, number, length).prop_map(|(queue, number, length)| Act::GiveBack(queue, number, length)),
        1 => (0usize..2, any::<u16>()).prop_map(|(queue, index)| Act::Claim(queue, index)),
    ]
}

proptest! {
    #[test]
    fn whatever_the_device_does_the_driver_stands(acts in prop::collection::vec(act(), 0..400)) {
        let (device, fake, _) = start(ALL);
        for act in acts {
            match act {
                Act::Deliver(frame) => drop(fake.deliver(&HEADER, &frame)),
                Act::Send => drop(send(&device, &[7; 60])),
                Act::Receive => drop(receive(&device)),
                Act::Drain => drop(fake.sent()),
                Act::Flush => device.flush(),
                Act::GiveBack(queue, descriptor, bytes) => fake.give_back(queue, descriptor, bytes),
                Act::Claim(queue, index) => fake.claim(queue, index),
            }
        }
        // However it lied, only so much comes back before it is found out, or has said all.
        let mut count = 0;
        while receive(&device).is_ok_and(|frame| frame.is_some()) {
            count += 1;
            prop_assert!(count <= 2 * usize::from(u16::MAX));
        }
    }
}
