//! Rings of requests and responses between two domains (`xen/include/public/io/ring.h`), from the side that makes requests.
//!
//! ```text
//!   offset  bytes  content
//!        0      4  requests produced         (this side writes)
//!        4      4  "tell me at this request"  (the other side writes)
//!        8      4  responses produced        (the other side writes)
//!       12      4  "tell me at this response" (this side writes)
//!       64      -  slots, a power of two of them; a response takes the place of a request that was consumed
//! ```
//!
//! Counters run freely, modulo 2^32. Neither side tells the other of each message: it looks at what the other wants to be told of,
//! after it has produced. So a batch costs one event, and a side that is busy anyway asks for none.
//!
//! The other side may lie. Its counter of responses is read once for each look, and must not be ahead of the requests that it was told
//! of; a slot is copied out once.

use crate::kernel::PAGE_BYTES;
use core::sync::atomic::{AtomicU32, Ordering, fence};

/// Bytes of a word. Slots are read and written in words.
const WORD_BYTES: usize = 4;
/// Words of the page that the two domains share.
pub const PAGE_WORDS: usize = PAGE_BYTES / WORD_BYTES;

/// Words of the header.
const REQUESTS: usize = 0;
const TELL_AT_REQUEST: usize = 1;
const RESPONSES: usize = 2;
const TELL_AT_RESPONSE: usize = 3;
/// The word where slots begin.
const SLOTS: usize = 16;

/// The other side has answered what was never asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A ring whose requests have `REQUEST` words, and its responses `RESPONSE`.
#[derive(Debug)]
pub struct FrontRing<const REQUEST: usize, const RESPONSE: usize> {
    page: &'static [AtomicU32; PAGE_WORDS],
    /// Requests that were written.
    written: u32,
    /// Requests that the other side was shown.
    shown: u32,
    /// Responses that were consumed.
    consumed: u32,
}

impl<const REQUEST: usize, const RESPONSE: usize> FrontRing<REQUEST, RESPONSE> {
    const SLOT_WORDS: usize = if REQUEST > RESPONSE { REQUEST } else { RESPONSE };
    /// Slots of the ring: the largest power of two that fits.
    pub const SIZE: u32 = 1 << ((PAGE_WORDS - SLOTS) / Self::SLOT_WORDS).ilog2();

    /// An empty ring in `page`, which the other side cannot see yet.
    pub fn new(page: &'static [AtomicU32; PAGE_WORDS]) -> Self {
        page.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let ring = Self { page, written: 0, shown: 0, consumed: 0 };
        ring.word(TELL_AT_REQUEST).store(1, Ordering::Relaxed);
        ring.word(TELL_AT_RESPONSE).store(1, Ordering::Release);
        ring
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        &self.page[at % PAGE_WORDS]
    }

    fn slot(counter: u32) -> usize {
        SLOTS + (counter % Self::SIZE) as usize * Self::SLOT_WORDS
    }

    /// Slots in which no request or unread response is.
    pub fn room(&self) -> u32 {
        Self::SIZE - self.written.wrapping_sub(self.consumed)
    }

    /// The slot that the next request goes to.
    pub fn next_slot(&self) -> u32 {
        self.written % Self::SIZE
    }

    /// Writes a request, which the other side does not see before [`FrontRing::show`]; `false` if there is no room.
    pub fn write(&mut self, request: [u32; REQUEST]) -> bool {
        if self.room() == 0 {
            return false;
        }
        let slot = Self::slot(self.written);
        for (i, word) in request.into_iter().enumerate() {
            self.word(slot + i).store(word, Ordering::Relaxed);
        }
        self.written = self.written.wrapping_add(1);
        true
    }

    /// Shows what was written; says whether the other side wants to be told.
    pub fn show(&mut self) -> bool {
        let before = core::mem::replace(&mut self.shown, self.written);
        if before == self.written {
            return false;
        }
        self.word(REQUESTS).store(self.written, Ordering::Release);
        // The other side sets its mark, then looks for requests; this side the other way round. One of the two sees the other.
        fence(Ordering::SeqCst);
        let mark = self.word(TELL_AT_REQUEST).load(Ordering::Relaxed);
        self.written.wrapping_sub(mark) < self.written.wrapping_sub(before)
    }

    /// Responses that can be read.
    pub fn waiting(&self) -> Result<u32, Broken> {
        let waiting = self.word(RESPONSES).load(Ordering::Acquire).wrapping_sub(self.consumed);
        if waiting <= self.outstanding() { Ok(waiting) } else { Err(Broken) }
    }

    /// Requests that the other side has been shown, and whose responses were not consumed.
    pub fn outstanding(&self) -> u32 {
        self.shown.wrapping_sub(self.consumed)
    }

    /// The slot of the response that is `ahead` places behind the next one.
    pub fn slot_of(&self, ahead: u32) -> u32 {
        self.consumed.wrapping_add(ahead) % Self::SIZE
    }

    /// Copies out the response that is `ahead` places behind the next one; it must be [waiting](FrontRing::waiting).
    pub fn read(&self, ahead: u32) -> [u32; RESPONSE] {
        let slot = Self::slot(self.consumed.wrapping_add(ahead));
        core::array::from_fn(|i| self.word(slot + i).load(Ordering::Relaxed))
    }

    /// Gives back the slots of `count` responses.
    pub fn consume(&mut self, count: u32) {
        self.consumed = self.consumed.wrapping_add(count);
    }

    /// Asks to be told when there will be `count` responses to read. Some may have come before the other side saw that: look at
    /// [`FrontRing::waiting`] afterwards.
    pub fn ask(&self, count: u32) {
        self.word(TELL_AT_RESPONSE).store(self.consumed.wrapping_add(count), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Ring = FrontRing<3, 1>;

    fn page() -> &'static [AtomicU32; PAGE_WORDS] {
        Box::leak(Box::new([const { AtomicU32::new(0) }; PAGE_WORDS]))
    }

    #[test]
    fn sizes_are_those_of_the_header_file() {
        assert_eq!(Ring::SIZE, 256);
        assert_eq!(FrontRing::<2, 2>::SIZE, 256);
    }

    #[test]
    fn requests_are_hidden_until_shown_and_a_full_ring_takes_no_more() {
        let page = page();
        let mut ring = Ring::new(page);
        assert!((0..Ring::SIZE).all(|i| ring.write([i, 2, 3])));
        assert!(!ring.write([0; 3]));
        assert_eq!(page[REQUESTS].load(Ordering::Relaxed), 0);
        assert!(ring.show(), "an idle other side wants to hear of the first request");
        assert_eq!((page[REQUESTS].load(Ordering::Relaxed), page[SLOTS + 3].load(Ordering::Relaxed)), (256, 1));
        assert!(!ring.show(), "there is nothing new");
    }

    #[test]
    fn the_other_side_is_told_only_of_what_it_asked_for() {
        let page = page();
        let mut ring = Ring::new(page);
        page[TELL_AT_REQUEST].store(3, Ordering::Relaxed);
        let mut told = Vec::new();
        for _ in 0..5 {
            ring.write([0; 3]);
            told.push(ring.show());
        }
        assert_eq!(told, [false, false, true, false, false]);
    }

    #[test]
    fn more_responses_than_requests_are_a_broken_ring() {
        let page = page();
        let mut ring = Ring::new(page);
        ring.write([0; 3]);
        ring.write([0; 3]);
        ring.show();
        ring.write([0; 3]);
        for (claimed, result) in [(2, Ok(2)), (3, Err(Broken)), (u32::MAX, Err(Broken)), (0, Ok(0))] {
            page[RESPONSES].store(claimed, Ordering::Relaxed);
            assert_eq!(ring.waiting(), result, "{claimed} responses to 2 requests");
        }
        page[RESPONSES].store(2, Ordering::Relaxed);
        ring.consume(2);
        page[RESPONSES].store(1, Ordering::Relaxed);
        assert_eq!(ring.waiting(), Err(Broken), "responses were taken back");
    }

    proptest! {
        /// Whatever is in the page, nothing is read out of bounds, and the counts stay within the ring.
        #[test]
        fn a_hostile_page_does_no_harm(steps in prop::collection::vec((0u8..4, any::<u32>(), 0usize..PAGE_WORDS), 0..200)) {
            let page = page();
            let mut ring = Ring::new(page);
            for (step, value, at) in steps {
                match step {
                    0 => page[at].store(value, Ordering::Relaxed),
                    1 => { ring.write([value; 3]); }
                    2 => { ring.show(); }
                    _ => if let Ok(waiting) = ring.waiting() {
                        (0..waiting).for_each(|ahead| { ring.read(ahead); });
                        ring.consume(waiting);
                        ring.ask(value);
                    }
                }
                prop_assert!(ring.outstanding() <= Ring::SIZE && ring.room() <= Ring::SIZE);
            }
        }
    }
}
