//! Messages of xenstore (`xen/include/public/io/xs_wire.h`), and what this kernel says with them.
//!
//! Three things are said: watch `control/shutdown`; when it changed, read it, and if it holds a request, answer by
//! emptying it; at the end, write the exit code to [`EXIT_CODE_NODE`]. All of it fits into [`Conversation`], which is
//! fed bytes as they come and can be used from an interrupt handler: it never waits and never allocates.

use crate::bytes::u32_at;
use crate::ring::{Broken, Ring};

/// Bytes of a message's header.
pub const HEADER_BYTES: usize = 16;
/// The largest payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 4096;
/// Where the exit code goes, relative to the domain's own directory, as decimal digits.
pub const EXIT_CODE_NODE: &[u8] = b"data/mwasm/exit-code";
/// Where a request to end comes from.
const SHUTDOWN_NODE: &[u8] = b"control/shutdown";
/// Values of [`SHUTDOWN_NODE`] that ask for the end.
const REQUESTS: [&[u8]; 3] = [b"poweroff", b"halt", b"reboot"];

const READ: u32 = 2;
const WATCH: u32 = 4;
const WRITE: u32 = 11;
const WATCH_EVENT: u32 = 15;

/// What this kernel calls its messages: the request number says what a reply is about.
const ID_WATCH: u32 = 1;
const ID_READ: u32 = 2;
const ID_ANSWER: u32 = 3;
const ID_EXIT_CODE: u32 = 4;

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
}

impl Conversation {
    /// Nothing has come yet.
    pub const fn new() -> Self {
        Self { message: [0; HEADER_BYTES + MAX_PAYLOAD_BYTES], arrived: 0 }
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

    fn handle(&self, requests: &Ring<'_>) -> Result<Option<Event>, Broken> {
        let kind = u32_at(&self.message, 0).ok_or(Broken)?;
        let id = u32_at(&self.message, 4).ok_or(Broken)?;
        let payload = self.message.get(HEADER_BYTES..self.arrived).ok_or(Broken)?;
        match (kind, id) {
            (WATCH_EVENT, _) => {
                send(requests, READ, ID_READ, &[SHUTDOWN_NODE, b"\0"])?;
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
