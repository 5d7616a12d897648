use super::*;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use mwasm_ports::fake::{LinkEnd, Machine, link};
use mwasm_ports::net_device::{NetDeviceInfo, TransmitChecksum};

/// A device that can break.
struct Breakable {
    device: Arc<LinkEnd>,
    is_broken: AtomicBool,
}

impl NetDevice for Breakable {
    fn info(&self) -> NetDeviceInfo {
        self.device.info()
    }

    fn is_up(&self) -> bool {
        self.device.is_up()
    }

    fn has_frame(&self) -> bool {
        self.device.has_frame()
    }

    fn receive(&self, take: &mut dyn FnMut(&mut [u8], ReceivedChecksum)) -> Result<bool, NetDeviceError> {
        if self.is_broken.load(Relaxed) { Err(NetDeviceError::Broken("pulled out")) } else { self.device.receive(take) }
    }

    fn has_room(&self) -> bool {
        self.device.has_room()
    }

    fn transmit(
        &self,
        bytes: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<TransmitChecksum>,
    ) -> Result<(), NetDeviceError> {
        self.device.transmit(bytes, fill)
    }

    fn flush(&self) {
        self.device.flush();
    }
}

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

struct Bench {
    machine: Arc<Machine>,
    device: Arc<Breakable>,
    other: Arc<LinkEnd>,
    card: Arc<RawCard>,
    wakes: Arc<Wakes>,
}

fn bench() -> Bench {
    let machine = Machine::new(1);
    let [device, other] = link(1500, false);
    let device = Arc::new(Breakable { device, is_broken: AtomicBool::new(false) });
    let next = device.clone();
    let open = move || {
        let there = !next.is_broken.load(Relaxed);
        there.then(|| next.clone() as Arc<dyn NetDevice>)
    };
    let card = RawCard::new(device.clone(), machine.clone(), Box::new(open));
    Bench { machine, device, other, card, wakes: Arc::default() }
}

impl Bench {
    fn with<T>(&self, ask: impl FnOnce(&RawCard, &mut Context<'_>) -> T) -> T {
        let waker = self.wakes.clone().into();
        ask(&self.card, &mut Context::from_waker(&waker))
    }

    /// How often somebody was woken by an advance.
    fn advance(&self) -> u32 {
        let before = self.wakes.0.load(Relaxed);
        self.card.advance();
        self.wakes.0.load(Relaxed) - before
    }
}

const FRAME: [u8; 60] = [7; 60];

#[test]
fn frames_go_and_come_as_they_are() {
    let bench = bench();
    let sent = bench.with(|card, context| card.poll_send("eth0", &FRAME, context));
    assert_eq!((sent, bench.other.take()), (Poll::Ready(Ok(())), Some(FRAME.to_vec())));
    let receive = || bench.with(|card, context| card.poll_receive("eth0", context));
    assert!(receive().is_pending() && bench.advance() == 0);
    bench.other.inject(&FRAME);
    bench.other.inject(&[8; 20]);
    assert_eq!(bench.advance(), 1);
    assert_eq!(receive(), Poll::Ready(Ok(FRAME.to_vec())));
    assert_eq!(receive(), Poll::Ready(Ok([8; 20].to_vec())));
    assert!(receive().is_pending());
}

#[test]
fn what_cannot_be_sent_is_said() {
    let bench = bench();
    let send = |port: &str, frame: &[u8]| bench.with(|card, context| card.poll_send(port, frame, context));
    assert_eq!(send("eth1", &FRAME), Poll::Ready(Err(LinkError::NoSuchPort)));
    assert_eq!(send("eth0", &[0; 13]), Poll::Ready(Err(LinkError::BadLength)));
    assert_eq!(send("eth0", &[0; 1519]), Poll::Ready(Err(LinkError::BadLength)));
    // A tag would be one too many for this device.
    assert_eq!(send("eth0", &[0; 1518]), Poll::Ready(Err(LinkError::BadLength)));
    assert_eq!(send("eth0", &[0; 1514]), Poll::Ready(Ok(())));
    bench.other.plug(false);
    assert_eq!(send("eth0", &FRAME), Poll::Ready(Err(LinkError::Down)));
}

/// Whoever is quick fills the queue, waits for room, and is woken when there is some.
#[test]
fn a_full_queue_is_waited_for() {
    let bench = bench();
    let send = || bench.with(|card, context| card.poll_send("eth0", &FRAME, context));
    let count = (0..10_000).take_while(|_| send().is_ready()).count();
    assert!(count > 0 && count < 10_000 && bench.advance() == 0, "{count}");
    assert!(bench.other.take().is_some() && bench.advance() == 1 && send().is_ready());
}

#[test]
fn cables_and_cards_come_and_go() {
    let bench = bench();
    let changed = |seen| bench.with(|card, context| card.poll_changed(seen, context));
    let Poll::Ready(first) = changed(0) else { panic!("nothing was seen yet") };
    assert!(changed(first).is_pending());
    let up = || bench.card.ports().first().map(|port| port.up);
    bench.other.plug(false);
    assert_eq!((bench.advance(), up()), (1, Some(false)));
    bench.other.plug(true);
    assert!(changed(first).is_ready());
    bench.advance();
    let Poll::Ready(before) = changed(first) else { panic!("the cable was pulled and plugged in") };
    assert!(up() == Some(true) && changed(before).is_pending());
    // The card itself; whoever waits for a frame of it is told.
    let receive = || bench.with(|card, context| card.poll_receive("eth0", context));
    assert!(receive().is_pending());
    bench.device.is_broken.store(true, Relaxed);
    assert_eq!((bench.advance(), up(), bench.card.deadline_ns()), (2, None, Some(LOOK_EVERY_NS)));
    assert_eq!(receive(), Poll::Ready(Err(LinkError::NoSuchPort)));
    bench.device.is_broken.store(false, Relaxed);
    assert_eq!((bench.advance(), up()), (0, None));
    bench.machine.state().now_ns += LOOK_EVERY_NS;
    bench.advance();
    assert_eq!((up(), bench.card.deadline_ns()), (Some(true), None));
    assert!(receive().is_pending());
}
