//! Netfront against a backend in memory: one that keeps the protocol, and one that breaks it in every way.

use super::*;
use crate::fake::FakeKernel;
use crate::shared_ring::PAGE_WORDS;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

const BACKEND: &str = "/local/domain/3/backend/vif/1/0";
const REMOTE: u16 = 3;
/// Words of a ring's header, and where slots begin.
const REQUESTS: usize = 0;
const TELL_AT_REQUEST: usize = 1;
const RESPONSES: usize = 2;
const TELL_AT_RESPONSE: usize = 3;
const SLOTS: usize = 16;

fn attach(kernel: &FakeKernel, more: &[(&str, &str)]) {
    for (name, value) in
        [("feature-rx-copy", "1"), ("feature-sg", "1"), ("feature-ipv6-csum-offload", "1"), ("state", "2")]
    {
        kernel.set(&format!("{BACKEND}/{name}"), value);
    }
    for (name, value) in more {
        kernel.set(&format!("{BACKEND}/{name}"), value);
    }
    let domain = REMOTE.to_string();
    for (name, value) in [("backend", BACKEND), ("backend-id", &domain), ("mac", "00:16:3e:00:00:01"), ("state", "1")] {
        kernel.set(&format!("device/vif/0/{name}"), value);
    }
}

/// Lets xenstore and the device's life go on until nothing more happens.
fn settle(kernel: &FakeKernel, device: &Netfront) {
    while kernel.serve() {
        device.is_up();
    }
}

/// A ring, as the backend sees it.
struct Half {
    page: &'static [AtomicU32; PAGE_WORDS],
    words: usize,
    at: u32,
    answered: u32,
}

impl Half {
    fn new(kernel: &FakeKernel, node: &str, words: usize) -> Self {
        let reference = kernel.get(&format!("device/vif/0/{node}")).unwrap().parse().unwrap();
        let page = kernel.granted(reference, REMOTE, true).expect("the ring is granted");
        // SAFETY: a page of a ring, which is leaked, and used as atomics.
        Self { page: unsafe { page.cast().as_ref() }, words, at: 0, answered: 0 }
    }

    fn word(&self, at: usize) -> u32 {
        self.page[at].load(Ordering::SeqCst)
    }

    fn set(&self, at: usize, value: u32) {
        self.page[at].store(value, Ordering::SeqCst);
    }

    fn slot(&self, counter: u32) -> usize {
        SLOTS + (counter % 256) as usize * self.words
    }

    fn request<const N: usize>(&mut self) -> Option<[u32; N]> {
        if self.word(REQUESTS) == self.at {
            return None;
        }
        let slot = self.slot(self.at);
        self.at += 1;
        Some(std::array::from_fn(|i| self.word(slot + i)))
    }

    /// Answers in the next slot; says whether the frontend wants to be told.
    fn answer(&mut self, words: &[u32]) -> bool {
        let slot = self.slot(self.answered);
        words.iter().enumerate().for_each(|(i, word)| self.set(slot + i, *word));
        let before = self.answered;
        self.answered += 1;
        self.set(RESPONSES, self.answered);
        self.answered.wrapping_sub(self.word(TELL_AT_RESPONSE)) < self.answered.wrapping_sub(before)
    }
}

/// A frame that was sent: its bytes, and the flags of its first slot.
type Sent = (Vec<u8>, u16);

struct Netback {
    kernel: &'static FakeKernel,
    transmit: Half,
    receive: Half,
}

impl Netback {
    fn connect(kernel: &'static FakeKernel, device: &Netfront) -> Self {
        settle(kernel, device);
        assert_eq!(kernel.get("device/vif/0/state").as_deref(), Some("4"));
        assert!(!device.is_up(), "the backend is not connected");
        kernel.set(&format!("{BACKEND}/state"), "4");
        settle(kernel, device);
        let half = |node, words| Half::new(kernel, node, words);
        Self { kernel, transmit: half("tx-ring-ref", 3), receive: half("rx-ring-ref", 2) }
    }

    /// Takes the frames that were sent, without an answer yet; also their ids.
    fn take(&mut self) -> (Vec<Sent>, Vec<u16>) {
        let (mut frames, mut ids, mut left) = (Vec::<Sent>::new(), Vec::new(), 0);
        while let Some([reference, second, third]) = self.transmit.request::<3>() {
            let (offset, flags, id, size) =
                (second as u16, (second >> 16) as u16, third as u16, (third >> 16) as usize);
            assert!(self.kernel.granted(reference, REMOTE, true).is_none(), "sent frames are read-only");
            let page = self.kernel.granted(reference, REMOTE, false).expect("sent frames are granted");
            let more = flags & protocol::TRANSMIT_MORE != 0;
            let bytes = if left == 0 && more { 4096 } else { size };
            // SAFETY: the page is leaked, and lent.
            let part = unsafe { std::slice::from_raw_parts(page.as_ptr().add(offset as usize), bytes) };
            if left == 0 {
                frames.push((part.to_vec(), flags));
                left = size - bytes;
            } else {
                frames.last_mut().unwrap().0.extend(part);
                left -= bytes;
            }
            assert_eq!(more, left > 0, "the first slot's size is that of the frame");
            ids.push(id);
        }
        (frames, ids)
    }

    /// Copies a frame into the next pages, `sizes` bytes each; says whether the frontend wants to be told.
    fn give(&mut self, frame: &[u8], sizes: &[usize], offset: usize, flags: u16) -> bool {
        let (mut at, mut told) = (0, false);
        for (i, size) in sizes.iter().enumerate() {
            let [id, reference] = self.receive.request::<2>().expect("a page to receive in");
            let page = self.kernel.granted(reference, REMOTE, true).expect("a page that is granted");
            // SAFETY: the page is leaked, and lent.
            let page = unsafe { std::slice::from_raw_parts_mut(page.as_ptr(), 4096) };
            page[offset..offset + size].copy_from_slice(&frame[at..at + size]);
            at += size;
            let more = if i + 1 < sizes.len() { protocol::RECEIVE_MORE } else { 0 };
            let flags = if i == 0 { flags | more } else { more };
            told |= self.receive.answer(&[id | (offset as u32) << 16, u32::from(flags) | (*size as u32) << 16]);
        }
        told
    }
}

fn connected(more: &[(&str, &str)]) -> (&'static FakeKernel, Netfront, Netback) {
    let kernel = FakeKernel::new();
    attach(kernel, more);
    let device = Netfront::open(kernel).unwrap();
    let back = Netback::connect(kernel, &device);
    assert!(device.is_up());
    kernel.take_notified();
    kernel.take_rung();
    (kernel, device, back)
}

fn send(device: &Netfront, frame: &[u8], checksum: Option<TransmitChecksum>) -> Result<(), NetDeviceError> {
    device.transmit(frame.len(), &mut |bytes| {
        bytes.copy_from_slice(frame);
        checksum
    })
}

fn receive(device: &Netfront) -> Result<Option<(Vec<u8>, ReceivedChecksum)>, NetDeviceError> {
    let mut got = None;
    let called = device.receive(&mut |bytes, checksum| {
        got = Some((bytes.to_vec(), checksum));
        bytes.fill(0xaa);
    })?;
    assert_eq!(called, got.is_some());
    Ok(got)
}

fn frame(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 7 + bytes) as u8).collect()
}

#[test]
fn a_domain_without_a_device_is_told_how_to_get_one() {
    assert_eq!(Netfront::open(FakeKernel::new()).err(), Some(NO_DEVICE));
}

#[test]
fn the_two_halves_connect_and_the_device_is_what_xenstore_says() {
    let (kernel, device, _) = connected(&[("feature-split-event-channels", "1")]);
    let info = device.info();
    assert_eq!((info.mac, info.mtu_bytes, info.transmit_checksums), ([0, 0x16, 0x3e, 0, 0, 1], 1500, true));
    let node = |name: &str| kernel.get(&format!("device/vif/0/{name}"));
    for wish in ["request-rx-copy", "feature-rx-notify", "feature-sg"] {
        assert_eq!(node(wish).as_deref(), Some("1"), "{wish}");
    }
    let ports = [node("event-channel-tx").unwrap(), node("event-channel-rx").unwrap()];
    assert_eq!(ports.map(|port| port.parse::<u32>().unwrap()).to_vec(), kernel.open_ports());
    let (kernel, device, _) = connected(&[("feature-no-csum-offload", "1")]);
    assert!(!device.info().transmit_checksums);
    assert_eq!(kernel.get("device/vif/0/event-channel").unwrap(), kernel.open_ports()[0].to_string());
    assert_eq!(kernel.open_ports().len(), 1);
}

#[test]
fn frames_are_sent_and_their_buffers_come_back_in_any_order() {
    let (kernel, device, mut back) = connected(&[("feature-split-event-channels", "1")]);
    let port = kernel.open_ports()[0];
    for round in 0..5 {
        for i in 0..usize::from(transmit::FRAMES) {
            assert_eq!(send(&device, &frame(60 + i), None), Ok(()));
        }
        assert_eq!(send(&device, &frame(60), None), Err(NetDeviceError::Full));
        assert!(!device.has_room());
        assert!(kernel.take_notified().is_empty(), "nothing is told before the flush");
        device.flush();
        assert_eq!(kernel.take_notified(), [port], "one event for all");
        let (frames, mut ids) = back.take();
        back.transmit.set(TELL_AT_REQUEST, back.transmit.at + 1);
        assert!(frames.iter().enumerate().all(|(i, (bytes, flags))| *bytes == frame(60 + i) && *flags == 0));
        ids.rotate_left(11 * round);
        let told: Vec<bool> = ids.iter().map(|id| back.transmit.answer(&[u32::from(*id)])).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1, "who waits for room hears of it once");
        assert!(device.has_room());
    }
}

#[test]
fn checksums_are_asked_of_the_backend() {
    let (_, device, mut back) = connected(&[]);
    send(&device, &frame(100), Some(TransmitChecksum { start: 34, offset: 16 })).unwrap();
    device.flush();
    let (frames, _) = back.take();
    assert_eq!(frames, [(frame(100), protocol::TRANSMIT_CHECKSUM_BLANK | protocol::TRANSMIT_VALIDATED)]);
}

#[test]
fn long_frames_take_several_pages_both_ways() {
    let kernel = FakeKernel::new();
    attach(kernel, &[]);
    kernel.set("device/vif/0/mtu", "9000");
    let device = Netfront::open(kernel).unwrap();
    let mut back = Netback::connect(kernel, &device);
    assert_eq!(device.info().mtu_bytes, 9000);
    for bytes in [1, 4096, 4097, 8192, 9014] {
        send(&device, &frame(bytes), None).unwrap();
    }
    assert_eq!(send(&device, &frame(9019), None), Err(NetDeviceError::TooLong));
    device.flush();
    let (frames, ids) = back.take();
    assert_eq!(frames.into_iter().map(|sent| sent.0).collect::<Vec<_>>(), [1, 4096, 4097, 8192, 9014].map(frame));
    assert_eq!(ids.len(), 1 + 1 + 2 + 2 + 3);
    back.give(&frame(9014), &[4096, 4096, 822], 0, 0);
    back.give(&frame(300), &[100, 100, 100], 64, protocol::RECEIVE_VALIDATED);
    // Longer than anything that this side can use.
    back.give(&frame(12_000), &[4000, 4000, 4000], 0, 0);
    back.give(&frame(60), &[60], 2, 0);
    assert_eq!(receive(&device), Ok(Some((frame(9014), ReceivedChecksum::Unknown))));
    assert_eq!(receive(&device), Ok(Some((frame(300), ReceivedChecksum::Good))));
    assert_eq!(receive(&device), Ok(Some((frame(60), ReceivedChecksum::Unknown))));
    assert_eq!(receive(&device), Ok(None));
}

#[test]
fn received_frames_are_lent_and_pages_are_offered_again() {
    let (kernel, device, mut back) = connected(&[("feature-split-event-channels", "1")]);
    let port = kernel.open_ports()[1];
    for round in 0..20 {
        for i in 0..usize::from(receive::PAGES) {
            let told = back.give(&frame(60 + i), &[60 + i], 0, protocol::RECEIVE_CHECKSUM_BLANK);
            assert_eq!(told, i == 0, "round {round}: the first frame tells, the others need not");
        }
        for i in 0..usize::from(receive::PAGES) {
            assert!(device.has_frame());
            assert_eq!(receive(&device), Ok(Some((frame(60 + i), ReceivedChecksum::Good))));
        }
        assert!(!device.has_frame());
        back.receive.set(TELL_AT_REQUEST, back.receive.at + 1);
        kernel.take_notified();
        device.flush();
        assert_eq!(kernel.take_notified(), [port], "a backend that ran out of pages hears of new ones");
    }
}

#[test]
fn a_frame_that_comes_while_the_stack_goes_to_sleep_is_not_missed() {
    let (kernel, device, mut back) = connected(&[]);
    device.flush();
    assert_eq!(kernel.take_rung(), 0);
    back.give(&frame(60), &[60], 0, 0);
    device.flush();
    assert!(kernel.take_rung() > 0, "the flush sees that there is something to do");
    // Half of a frame is no reason to stay awake, but the rest of it is one to wake up.
    receive(&device).unwrap();
    let [id, _] = back.receive.request::<2>().unwrap();
    back.receive.answer(&[id, u32::from(protocol::RECEIVE_MORE) | 60 << 16]);
    assert!(!device.has_frame());
    device.flush();
    assert_eq!(kernel.take_rung(), 0);
    assert!(back.give(&frame(60), &[60], 0, 0), "the rest is told");
    assert_eq!(receive(&device).unwrap().unwrap().0.len(), 120);
}

#[test]
fn extra_information_is_skipped_and_failed_frames_are_dropped() {
    let (_, device, mut back) = connected(&[]);
    let mut extra = |kind: u32, size: u32| {
        let [id, _] = back.receive.request::<2>().unwrap();
        back.receive.answer(&[id, u32::from(protocol::RECEIVE_EXTRA) | size << 16]);
        back.receive.request::<2>().unwrap();
        back.receive.answer(&[kind | 1 << 8, 0]);
        back.receive.request::<2>().unwrap();
        back.receive.answer(&[4, 0]);
    };
    // A hash, a frame that stands for several, one that the backend could not copy, and an empty one.
    extra(4, 60);
    extra(1, 60);
    extra(4, 0xffff);
    extra(4, 0);
    back.give(&frame(61), &[61], 0, 0);
    assert_eq!(receive(&device).unwrap().unwrap().0.len(), 60);
    assert_eq!(receive(&device), Ok(Some((frame(61), ReceivedChecksum::Unknown))));
    assert_eq!(receive(&device), Ok(None));
}

#[test]
fn a_backend_that_leaves_takes_the_link_along_and_another_may_come() {
    let (kernel, device, mut back) = connected(&[("feature-split-event-channels", "1")]);
    for _ in 0..3 {
        send(&device, &frame(60), None).unwrap();
        device.flush();
        back.give(&frame(60), &[60], 0, 0);
        kernel.set(&format!("{BACKEND}/state"), "5");
        settle(kernel, &device);
        assert!(!device.is_up() && !device.has_frame() && !device.has_room());
        assert_eq!(send(&device, &frame(60), None), Err(NetDeviceError::Down));
        assert_eq!(receive(&device), Ok(None));
        assert_eq!(kernel.get("device/vif/0/state").as_deref(), Some("6"));
        assert_eq!(kernel.open_ports().len(), 2, "the rings are the backend's, too, until it has closed");
        kernel.set(&format!("{BACKEND}/state"), "6");
        settle(kernel, &device);
        assert!(kernel.open_ports().is_empty());
        assert!((8..1000).all(|reference| kernel.grant_entry(reference).0 == 0), "nothing is granted any more");
        kernel.remove("device/vif/0");
        kernel.remove(BACKEND);
        settle(kernel, &device);
        attach(kernel, &[("feature-split-event-channels", "1")]);
        back = Netback::connect(kernel, &device);
        assert!(device.is_up());
        send(&device, &frame(99), None).unwrap();
        device.flush();
        assert_eq!(back.take().0, [(frame(99), 0)]);
        back.give(&frame(77), &[77], 0, 0);
        assert_eq!(receive(&device), Ok(Some((frame(77), ReceivedChecksum::Unknown))));
    }
}

#[test]
fn the_carrier_is_the_backends_to_say() {
    let (kernel, device, _) = connected(&[]);
    for (carrier, up) in [("0", false), ("1", true), ("0", false)] {
        kernel.set(&format!("{BACKEND}/carrier"), carrier);
        settle(kernel, &device);
        assert_eq!(device.is_up(), up);
    }
}

/// What must be true of a device whose backend lied.
fn is_given_up(kernel: &FakeKernel, device: &Netfront, how: &'static str) {
    settle(kernel, device);
    assert!(!device.is_up() && !device.has_frame() && !device.has_room());
    assert_eq!(receive(device), Err(NetDeviceError::Broken(how)));
    assert_eq!(send(device, &frame(60), None), Err(NetDeviceError::Broken(how)));
    device.flush();
    assert_eq!(kernel.get("device/vif/0/state").as_deref(), Some("6"));
    kernel.set(&format!("{BACKEND}/state"), "6");
    settle(kernel, device);
    assert!(kernel.open_ports().is_empty());
}

#[test]
fn memory_that_a_closed_backend_still_uses_is_not_used_again() {
    let (kernel, device, _) = connected(&[]);
    let ring = kernel.get("device/vif/0/rx-ring-ref").unwrap().parse().unwrap();
    kernel.mark_grant(ring, 16, true);
    kernel.set(&format!("{BACKEND}/state"), "6");
    settle(kernel, &device);
    let how = "a backend that has closed, and still uses this domain's memory";
    assert_eq!(receive(&device), Err(NetDeviceError::Broken(how)));
}

#[test]
fn lies_about_received_frames_end_the_device() {
    type Lie = (&'static str, fn(&FakeKernel, &mut Netback));
    let lies: [Lie; 8] = [
        ("more received frames than pages for them", |_, back| back.receive.set(RESPONSES, 65)),
        ("more received frames than pages for them", |_, back| back.receive.set(RESPONSES, u32::MAX)),
        ("a received frame in the place of another", |_, back| _ = back.receive.answer(&[1, 60 << 16])),
        ("a received frame that does not fit its page", |_, back| _ = back.receive.answer(&[4040 << 16, 60 << 16])),
        ("a received frame of a kind that was not asked for", |_, back| _ = back.receive.answer(&[0, 16 | 60 << 16])),
        ("a received frame of too many pages", |_, back| {
            (0..19).for_each(|id| _ = back.receive.answer(&[id, 4 | 60 << 16]));
        }),
        ("a received frame with extra information of an unknown kind", |_, back| {
            back.receive.answer(&[0, 8 | 60 << 16]);
            back.receive.answer(&[9, 0]);
        }),
        ("a page that the backend has given back, and still uses", |kernel, back| {
            let [_, reference] = back.receive.request::<2>().unwrap();
            kernel.mark_grant(reference, 16, true);
            back.receive.answer(&[0, 60 << 16]);
        }),
    ];
    for (how, lie) in lies {
        let (kernel, device, mut back) = connected(&[]);
        lie(kernel, &mut back);
        assert!(device.has_frame(), "{how}: it is for `receive` to say");
        assert_eq!(receive(&device), Err(NetDeviceError::Broken(how)));
        is_given_up(kernel, &device, how);
    }
}

#[test]
fn lies_about_sent_frames_end_the_device() {
    type Lie = (&'static str, fn(&FakeKernel, &mut Netback));
    const NOT_OUT: &str = "a response to a frame that is not on its way, or whose memory the backend still uses";
    let lies: [Lie; 5] = [
        ("more responses to sent frames than frames", |_, back| back.transmit.set(RESPONSES, 3)),
        ("a response to a frame that never was", |_, back| _ = back.transmit.answer(&[64])),
        (NOT_OUT, |_, back| _ = back.transmit.answer(&[0])),
        (NOT_OUT, |_, back| {
            let (_, ids) = back.take();
            back.transmit.answer(&[u32::from(ids[0])]);
            back.transmit.answer(&[u32::from(ids[0])]);
        }),
        (NOT_OUT, |kernel, back| {
            let [reference, _, third] = back.transmit.request::<3>().unwrap();
            kernel.mark_grant(reference, 8, true);
            back.transmit.answer(&[third & 0xffff]);
        }),
    ];
    for (how, lie) in lies {
        let (kernel, device, mut back) = connected(&[]);
        send(&device, &frame(60), None).unwrap();
        send(&device, &frame(61), None).unwrap();
        device.flush();
        lie(kernel, &mut back);
        assert_eq!(send(&device, &frame(60), None), Err(NetDeviceError::Broken(how)));
        is_given_up(kernel, &device, how);
    }
}

#[test]
fn a_backend_that_cannot_copy_is_refused() {
    let kernel = FakeKernel::new();
    attach(kernel, &[("feature-rx-copy", "0")]);
    let device = Netfront::open(kernel).unwrap();
    settle(kernel, &device);
    assert_eq!(send(&device, &frame(60), None), Err(NetDeviceError::Broken("the backend cannot copy received frames")));
    assert_eq!(kernel.get("device/vif/0/state").as_deref(), Some("6"));
}

/// What a hostile backend and the stack do, in any order.
#[derive(Clone, Debug)]
enum Step {
    Honest { bytes: usize },
    Receive { words: [u32; 2] },
    Transmit { word: u32 },
    Word { received: bool, at: usize, value: u32 },
    Mark { reference: u32, flags: u16, set: bool },
    State { state: u8 },
    Send { bytes: usize },
    Take,
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let small = prop_oneof![3 => 0u32..70, 1 => any::<u32>()];
    // Words of slots that are nearly right: ids and offsets, flags and sizes.
    let words = (small.clone(), 0u32..32, prop_oneof![0u32..5000, any::<u32>()]);
    prop_oneof![
        4 => (1usize..1500).prop_map(|bytes| Step::Honest { bytes }),
        4 => words.prop_map(|(first, flags, size)| Step::Receive { words: [first, flags | size << 16] }),
        3 => small.clone().prop_map(|word| Step::Transmit { word }),
        2 => (any::<bool>(), 0usize..80, small).prop_map(|(received, at, value)| Step::Word { received, at, value }),
        1 => (8u32..200, any::<u16>(), any::<bool>()).prop_map(|(reference, flags, set)| Step::Mark { reference, flags: flags & 24, set }),
        1 => (0u8..9).prop_map(|state| Step::State { state }),
        4 => (0usize..1600).prop_map(|bytes| Step::Send { bytes }),
        4 => Just(Step::Take),
        2 => Just(Step::Flush),
    ]
}

proptest! {
    /// Whatever the backend writes, nothing panics, no frame is longer than it may be, and an end is an end.
    #[test]
    fn a_hostile_backend_does_no_harm(steps in prop::collection::vec(step(), 1..120)) {
        let (kernel, device, mut back) = connected(&[]);
        let mut broken = None;
        for step in steps {
            let result = match step {
                Step::Honest { bytes } => {
                    let in_order = back.receive.at == back.receive.answered;
                    if let (true, Some([id, _])) = (in_order, back.receive.request::<2>()) {
                        back.receive.answer(&[id, (bytes as u32) << 16]);
                    }
                    Ok(())
                }
                Step::Receive { words } => {
                    back.receive.answer(&words);
                    Ok(())
                },
                Step::Transmit { word } => {
                    back.transmit.answer(&[word]);
                    Ok(())
                },
                Step::Word { received, at, value } => {
                    if received { &back.receive } else { &back.transmit }.set(at, value);
                    Ok(())
                }
                Step::Mark { reference, flags, set } => {
                    kernel.mark_grant(reference, flags, set);
                    Ok(())
                }
                Step::State { state } => {
                    kernel.set(&format!("{BACKEND}/state"), &state.to_string());
                    kernel.serve();
                    Ok(())
                }
                Step::Send { bytes } => send(&device, &frame(bytes), None),
                Step::Take => receive(&device).map(|got| {
                    assert!(got.is_none_or(|(bytes, _)| (1..=1518).contains(&bytes.len())));
                }),
                Step::Flush => {
                    device.flush();
                    Ok(())
                }
            };
            if let Some(how) = broken {
                prop_assert!(matches!(result, Ok(()) | Err(NetDeviceError::Broken(_))), "{how}, and then {result:?}");
            }
            if let Err(NetDeviceError::Broken(how)) = result {
                broken = Some(how);
            }
        }
        settle(kernel, &device);
    }
}
