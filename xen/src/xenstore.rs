//! Messages of xenstore (`xen/include/public/io/xs_wire.h`), and what this domain says with them.
//!
//! Xenstore is a tree of small values that all domains see, each as far as it may. It speaks through two byte rings
//! ([`ring`](crate::ring)): requests go out, replies come back with the number of their request, and a message comes unasked when a
//! node changes that somebody here watches.
//!
//! Two kinds of talk go on at the same time, in one [`Conversation`]:
//!
//! * The domain's own: it watches `control/shutdown`; when that changes, it reads it, and if it holds a request, answers by emptying it.
//!   At the end it writes its exit code to [`EXIT_CODE_NODE`]. All that happens in [`Conversation::receive`], which is fed bytes as they
//!   come and can be called from an interrupt handler: it never waits and never allocates.
//! * That of [drivers](crate::xenbus), which run outside of handlers: they [ask](Conversation::ask) one thing at a time and later
//!   [take](Conversation::take) the answer, and hear which of their watches [fired](Conversation::fired).

use crate::ring::{Broken, Ring};

/// Bytes of a message's header.
pub const HEADER_BYTES: usize = 16;
/// The largest payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 4096;
/// The largest answer that a driver can take, in bytes: paths, names of nodes and numbers.
pub const MAX_ANSWER_BYTES: usize = 512;
/// Watches of drivers.
pub const MAX_WATCHES: u32 = 32;
/// Where the exit code goes, relative to the domain's own directory, as decimal digits.
pub const EXIT_CODE_NODE: &[u8] = b"data/mwasm/exit-code";
/// Where a request to end comes from.
const SHUTDOWN_NODE: &[u8] = b"control/shutdown";
/// Values of [`SHUTDOWN_NODE`] that ask for the end.
const REQUESTS: [&[u8]; 3] = [b"poweroff", b"halt", b"reboot"];
/// What is before the number in the token of a driver's watch.
const TOKEN_PREFIX: u8 = b'w';

const WATCH_EVENT: u32 = 15;
const ERROR: u32 = 16;

/// What this domain calls its messages: the request number says what a reply is about.
const ID_WATCH: u32 = 1;
const ID_READ: u32 = 2;
const ID_ANSWER: u32 = 3;
const ID_EXIT_CODE: u32 = 4;
/// The first number of drivers.
const ID_DRIVERS: u32 = 1 << 16;

/// What can be asked, by its number in a message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// The names below a node: `PATH\0`.
    Directory = 1,
    /// The value of a node: `PATH\0`.
    Read = 2,
    /// To be told of changes at a node and below: `PATH\0TOKEN\0`.
    Watch = 4,
    /// Not to be told any more: `PATH\0TOKEN\0`.
    Unwatch = 5,
    /// To change the value of a node: `PATH\0VALUE`.
    Write = 11,
}

const WATCH: u32 = Request::Watch as u32;
const READ: u32 = Request::Read as u32;
const WRITE: u32 = Request::Write as u32;

/// The number of a request, which its answer has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

/// The answer to a driver's request.
#[derive(Debug)]
struct Answer {
    /// Of which request; nobody asks while it is `None`.
    ticket: Option<Ticket>,
    state: State,
    bytes: [u8; MAX_ANSWER_BYTES],
    length: usize,
}

/// How far an answer is. The first is zero: a conversation at its start takes no bytes of an image.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum State {
    NotYet = 0,
    Whole,
    Refused,
    TooLong,
}

/// Why there is no answer that could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Xenstore refuses: most often there is no such node, or no right to it.
    Refused,
    /// The answer is longer than [`MAX_ANSWER_BYTES`].
    TooLong,
}

/// What a message from xenstore means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody asks this domain to end.
    Shutdown,
    /// The exit code was stored (or refused).
    ExitCodeStored,
}

/// Both directions, and what has come of a message so far.
#[derive(Debug)]
pub struct Conversation {
    /// Header and payload of the message that is arriving.
    message: [u8; HEADER_BYTES + MAX_PAYLOAD_BYTES],
    arrived: usize,
    /// Requests of drivers so far.
    asked: u32,
    answer: Answer,
    /// One bit for each watch that fired.
    fired: u32,
}

impl Conversation {
    /// Nothing has come yet.
    pub const fn new() -> Self {
        let answer = Answer { ticket: None, state: State::NotYet, bytes: [0; MAX_ANSWER_BYTES], length: 0 };
        Self { message: [0; HEADER_BYTES + MAX_PAYLOAD_BYTES], arrived: 0, asked: 0, answer, fired: 0 }
    }

    /// For a driver: sends a request, whose payload is `parts` in a row. `None`: another one is under way, or the ring is full; to be
    /// tried again when there are news.
    pub fn ask(&mut self, requests: &Ring<'_>, request: Request, parts: &[&[u8]]) -> Result<Option<Ticket>, Broken> {
        let ticket = Ticket(ID_DRIVERS | (self.asked & (ID_DRIVERS - 1)));
        if self.answer.ticket.is_some() || !send(requests, request as u32, ticket.0, parts)? {
            return Ok(None);
        }
        self.asked = self.asked.wrapping_add(1);
        self.answer.ticket = Some(ticket);
        self.answer.state = State::NotYet;
        Ok(Some(ticket))
    }

    /// For a driver: passes the answer to `ticket` to `take`, once it has come.
    pub fn take<R>(&mut self, ticket: Ticket, take: impl FnOnce(Result<&[u8], Failed>) -> R) -> Option<R> {
        let answer = &mut self.answer;
        if answer.ticket != Some(ticket) {
            return None;
        }
        let result = match answer.state {
            State::NotYet => return None,
            State::Whole => Ok(answer.bytes.get(..answer.length).unwrap_or_default()),
            State::Refused => Err(Failed::Refused),
            State::TooLong => Err(Failed::TooLong),
        };
        answer.ticket = None;
        Some(take(result))
    }

    /// For a driver: whether its watch has fired since this was asked last. A watch fires once at its start.
    pub fn fired(&mut self, watch: u32) -> bool {
        let bit = 1u32.checked_shl(watch).unwrap_or(0);
        let fired = self.fired & bit != 0;
        self.fired &= !bit;
        fired
    }

    /// Asks to be told of requests to end.
    pub fn watch(requests: &Ring<'_>) -> Result<bool, Broken> {
        send(requests, WATCH, ID_WATCH, &[SHUTDOWN_NODE, b"\0", b"stop\0"])
    }

    /// Stores the exit code.
    pub fn store_exit_code(requests: &Ring<'_>, code: u8) -> Result<bool, Broken> {
        let digits = [b'0' + code / 100, b'0' + code / 10 % 10, b'0' + code % 10];
        let skip = digits.iter().take(2).take_while(|digit| **digit == b'0').count();
        send(requests, WRITE, ID_EXIT_CODE, &[EXIT_CODE_NODE, b"\0", digits.get(skip..).unwrap_or_default()])
    }

    /// Takes what has come, answers what is to be answered, and says what happened; to be called until it says nothing.
    pub fn receive(&mut self, replies: &Ring<'_>, requests: &Ring<'_>) -> Result<Option<Event>, Broken> {
        while self.fill(replies)? {
            let event = self.handle(requests)?;
            self.arrived = 0;
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Reads on; says whether a whole message is there.
    fn fill(&mut self, replies: &Ring<'_>) -> Result<bool, Broken> {
        loop {
            let wanted = match self.arrived {
                0..HEADER_BYTES => HEADER_BYTES,
                _ => HEADER_BYTES + self.payload_bytes()?,
            };
            if self.arrived >= HEADER_BYTES && self.arrived == wanted {
                return Ok(true);
            }
            let got = replies.read(self.message.get_mut(self.arrived..wanted).ok_or(Broken)?)?;
            self.arrived += got;
            if got == 0 {
                return Ok(false);
            }
        }
    }

    fn payload_bytes(&self) -> Result<usize, Broken> {
        let bytes = u32_at(&self.message, 12).ok_or(Broken)? as usize;
        if bytes <= MAX_PAYLOAD_BYTES { Ok(bytes) } else { Err(Broken) }
    }

    fn handle(&mut self, requests: &Ring<'_>) -> Result<Option<Event>, Broken> {
        let kind = u32_at(&self.message, 0).ok_or(Broken)?;
        let id = u32_at(&self.message, 4).ok_or(Broken)?;
        let payload = self.message.get(HEADER_BYTES..self.arrived).ok_or(Broken)?;
        match (kind, id) {
            (WATCH_EVENT, _) => match watch_of(payload) {
                Some(watch) => {
                    self.fired |= 1 << watch;
                    Ok(None)
                }
                None => {
                    send(requests, READ, ID_READ, &[SHUTDOWN_NODE, b"\0"])?;
                    Ok(None)
                }
            },
            (_, ID_DRIVERS..) if self.answer.ticket == Some(Ticket(id)) => {
                let answer = &mut self.answer;
                answer.state = match answer.bytes.get_mut(..payload.len()) {
                    _ if kind == ERROR => State::Refused,
                    Some(bytes) => {
                        bytes.copy_from_slice(payload);
                        answer.length = payload.len();
                        State::Whole
                    }
                    None => State::TooLong,
                };
                Ok(None)
            }
            (READ, ID_READ) if REQUESTS.contains(&payload) => {
                send(requests, WRITE, ID_ANSWER, &[SHUTDOWN_NODE, b"\0"])?;
                Ok(Some(Event::Shutdown))
            }
            (_, ID_EXIT_CODE) => Ok(Some(Event::ExitCodeStored)),
            _ => Ok(None),
        }
    }
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

/// The token of a driver's watch.
pub fn token(watch: u32) -> [u8; 3] {
    [TOKEN_PREFIX, b'0' + (watch / 10 % 10) as u8, b'0' + (watch % 10) as u8]
}

/// Which driver's watch a message is about: `PATH\0TOKEN\0`.
fn watch_of(payload: &[u8]) -> Option<u32> {
    let found = payload.strip_suffix(b"\0")?.rsplit(|byte| *byte == 0).next()?;
    (0..MAX_WATCHES).find(|watch| token(*watch) == found)
}

/// The 32-bit integer at `at` of a message.
fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Puts one whole message into the ring; `false` if it does not fit now.
fn send(requests: &Ring<'_>, kind: u32, id: u32, parts: &[&[u8]]) -> Result<bool, Broken> {
    let payload: usize = parts.iter().map(|part| part.len()).sum();
    if requests.room()? < HEADER_BYTES + payload {
        return Ok(false);
    }
    for word in [kind, id, 0, payload as u32] {
        requests.write(&word.to_le_bytes())?;
    }
    for part in parts {
        requests.write(part)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU8, AtomicU32};
    use proptest::prelude::*;

    /// One direction, with memory of its own.
    struct Wire {
        buffer: Vec<AtomicU8>,
        counters: [AtomicU32; 2],
    }

    impl Wire {
        fn new() -> Self {
            Self { buffer: (0..1024).map(|_| AtomicU8::new(0)).collect(), counters: Default::default() }
        }
        fn ring(&self) -> Ring<'_> {
            Ring::new(&self.buffer, &self.counters[0], &self.counters[1])
        }
        /// What the other side reads: kind, request number, payload.
        fn next(&self) -> Option<(u32, u32, Vec<u8>)> {
            let mut header = [0; HEADER_BYTES];
            if self.ring().read(&mut header).unwrap() == 0 {
                return None;
            }
            let mut payload = vec![0; u32_at(&header, 12).unwrap() as usize];
            self.ring().read(&mut payload).unwrap();
            Some((u32_at(&header, 0).unwrap(), u32_at(&header, 4).unwrap(), payload))
        }
    }

    #[test]
    fn a_shutdown_is_read_and_answered() {
        let (requests, replies, mut talk) = (Wire::new(), Wire::new(), Conversation::new());
        assert_eq!(Conversation::watch(&requests.ring()), Ok(true));
        assert_eq!(requests.next(), Some((WATCH, ID_WATCH, b"control/shutdown\0stop\0".to_vec())));
        // Xenstore answers, and fires the new watch once at once; the node is still missing.
        send(&replies.ring(), WATCH, ID_WATCH, &[b"OK\0"]).unwrap();
        send(&replies.ring(), WATCH_EVENT, 0, &[b"control/shutdown\0stop\0"]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(None));
        assert_eq!(requests.next(), Some((READ, ID_READ, b"control/shutdown\0".to_vec())));
        send(&replies.ring(), 16, ID_READ, &[b"ENOENT\0"]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(None));
        // `xl shutdown`.
        send(&replies.ring(), WATCH_EVENT, 0, &[b"control/shutdown\0stop\0"]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(None));
        assert!(requests.next().is_some());
        send(&replies.ring(), READ, ID_READ, &[b"poweroff"]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(Some(Event::Shutdown)));
        assert_eq!(requests.next(), Some((WRITE, ID_ANSWER, b"control/shutdown\0".to_vec())));
        // Our own answer changes the node again, to nothing.
        send(&replies.ring(), READ, ID_READ, &[]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(None));
    }

    #[test]
    fn drivers_ask_one_thing_at_a_time_and_get_their_own_answer() {
        let (requests, replies, mut talk) = (Wire::new(), Wire::new(), Conversation::new());
        let ring = requests.ring();
        let ticket = talk.ask(&ring, Request::Read, &[b"device/vif/0/mac\0"]).unwrap().unwrap();
        assert_eq!(talk.ask(&ring, Request::Read, &[b"x\0"]), Ok(None), "one at a time");
        let (kind, id, payload) = requests.next().unwrap();
        assert_eq!((kind, payload.as_slice()), (READ, &b"device/vif/0/mac\0"[..]));
        assert_eq!(talk.take(ticket, |_| ()), None, "it has not come");
        // An answer to nobody, and the right one.
        send(&replies.ring(), READ, id + 1, &[b"stale"]).unwrap();
        send(&replies.ring(), READ, id, &[b"00:16:3e:00:00:01"]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &ring), Ok(None));
        assert_eq!(talk.take(ticket, |answer| answer.map(<[u8]>::to_vec)), Some(Ok(b"00:16:3e:00:00:01".to_vec())));
        assert_eq!(talk.take(ticket, |_| ()), None, "it was taken");
        for (kind, payload, failed) in
            [(ERROR, b"ENOENT\0".to_vec(), Failed::Refused), (READ, vec![b'x'; MAX_ANSWER_BYTES + 1], Failed::TooLong)]
        {
            let ticket = talk.ask(&ring, Request::Read, &[b"x\0"]).unwrap().unwrap();
            send(&replies.ring(), kind, requests.next().unwrap().1, &[&payload]).unwrap();
            assert_eq!(talk.receive(&replies.ring(), &ring), Ok(None));
            assert_eq!(talk.take(ticket, |answer| answer.map(<[u8]>::to_vec)), Some(Err(failed)));
        }
    }

    #[test]
    fn watches_of_drivers_and_the_domains_own_are_kept_apart() {
        let (requests, replies, mut talk) = (Wire::new(), Wire::new(), Conversation::new());
        send(&replies.ring(), WATCH_EVENT, 0, &[b"device/vif/0/state\0", &token(31), b"\0"]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(None));
        assert!(!talk.fired(1) && talk.fired(31) && !talk.fired(31) && !talk.fired(32));
        send(&replies.ring(), WATCH_EVENT, 0, &[b"control/shutdown\0stop\0"]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(None));
        assert_eq!(requests.next(), Some((READ, ID_READ, b"control/shutdown\0".to_vec())));
    }

    #[test]
    fn exit_codes_are_decimal() {
        let requests = Wire::new();
        for (code, text) in [(0, "0"), (7, "7"), (70, "70"), (100, "100"), (255, "255")] {
            assert_eq!(Conversation::store_exit_code(&requests.ring(), code), Ok(true));
            let expected = format!("data/mwasm/exit-code\0{text}").into_bytes();
            assert_eq!(requests.next(), Some((WRITE, ID_EXIT_CODE, expected)));
        }
    }

    #[test]
    fn messages_may_come_in_pieces() {
        let (requests, replies, whole, mut talk) = (Wire::new(), Wire::new(), Wire::new(), Conversation::new());
        send(&whole.ring(), READ, ID_READ, &[b"halt"]).unwrap();
        let mut byte = [0];
        for i in 0..HEADER_BYTES + 4 {
            assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(None), "after {i} bytes");
            whole.ring().read(&mut byte).unwrap();
            replies.ring().write(&byte).unwrap();
        }
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Ok(Some(Event::Shutdown)));
    }

    #[test]
    fn a_full_ring_and_an_endless_message_are_refused() {
        let (requests, replies, mut talk) = (Wire::new(), Wire::new(), Conversation::new());
        requests.ring().write(&[0; 1000]).unwrap();
        assert_eq!(Conversation::watch(&requests.ring()), Ok(false));
        replies.ring().write(&[0xff; HEADER_BYTES]).unwrap();
        assert_eq!(talk.receive(&replies.ring(), &requests.ring()), Err(Broken));
    }

    proptest! {
        #[test]
        fn arbitrary_replies_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1024)) {
            let (requests, replies, mut talk) = (Wire::new(), Wire::new(), Conversation::new());
            replies.ring().write(&bytes).unwrap();
            for _ in 0..bytes.len() + 1 {
                if talk.receive(&replies.ring(), &requests.ring()).is_err() {
                    break;
                }
            }
        }
    }
}
