//! What comes on a connection: a buffer, the end of heads in it, and bodies taken out of it.
//!
//! The buffer is a block with the bytes that came and were not taken between `start` and `end`. Whoever needs more bytes than are there
//! first has them moved to the block's front, so there is always room behind them; nothing else is ever moved. The block begins small
//! and doubles while reads fill it, up to a limit.

use crate::Body;
use crate::fault::Fault;
use crate::headers::Headers;
use crate::limits::{BODY_BUFFER_BYTES, FIRST_BUFFER_BYTES, Limits, MAX_CHUNK_LINE_BYTES};
use crate::parse;
use alloc::vec;
use alloc::vec::Vec;
use memchr::memchr;

/// How a body that comes is framed (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes, perhaps none.
    Length(u64),
    /// In chunks.
    Chunked,
    /// To the end of the connection.
    UntilEnd,
}

/// What comes next of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// So many bytes, then nothing.
    Length(u64),
    /// A line with a chunk's size.
    ChunkLine,
    /// So many bytes, then the line's end that closes a chunk.
    Chunk(u64),
    /// The line's end that closes a chunk.
    ChunkEnd,
    /// Fields after the last chunk.
    Trailers,
    /// All that comes.
    UntilEnd,
    /// Nothing.
    Done,
    /// Nothing that could be made sense of.
    Broken(Fault),
}

/// What the decoder found before it borrows the buffer for it.
enum Found {
    Data(usize),
    Pending,
    End(Option<Headers>),
}

#[derive(Debug)]
pub(crate) struct Receiver {
    block: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read filled the block.
    grows: bool,
    /// The other side sends no more.
    ended: bool,
    scan: Scan,
    part: Part,
    /// How many bytes of the body may still come.
    body_limit: u64,
    limits: Limits,
}

/// How far lines have been looked through, from [`Receiver::start`].
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Where the line begins that is being looked through.
    line: usize,
    /// What has been looked through.
    done: usize,
}

impl Receiver {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            block: Vec::new(),
            start: 0,
            end: 0,
            grows: true,
            ended: false,
            scan: Scan::default(),
            part: Part::Done,
            body_limit: 0,
            limits,
        }
    }

    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let most = self.limits.max_head_bytes.max(BODY_BUFFER_BYTES);
        if (self.grows || self.block.len() == self.end) && self.block.len() < most {
            // Not `resize`, which is a loop over bytes where it is compiled for size.
            let mut larger = vec![0; (2 * self.block.len()).clamp(FIRST_BUFFER_BYTES.min(most), most)];
            if let (Some(to), Some(from)) = (larger.get_mut(..self.end), self.block.get(..self.end)) {
                to.copy_from_slice(from);
            }
            self.block = larger;
        }
        self.grows = false;
        self.block.get_mut(self.end..).unwrap_or_default()
    }

    pub(crate) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.block.len());
        self.grows = self.end == self.block.len();
    }

    pub(crate) fn ended(&mut self) {
        self.ended = true;
    }

    /// Whether nothing came that was not taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether the last body was taken whole, and nothing came after it, nor the end.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_empty() && !self.ended && self.part == Part::Done
    }

    fn unread(&self) -> &[u8] {
        self.block.get(self.start..self.end).unwrap_or_default()
    }

    /// More bytes are needed.
    fn pending<T>(&mut self) -> Result<Option<T>, Fault> {
        if self.ended {
            return Err(Fault::Incomplete);
        }
        self.block.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        Ok(None)
    }

    /// Parses the next head, once it is there whole. `is_start` says whether a head can begin with a byte, so that what speaks another
    /// protocol is refused at its first byte. Empty lines before it are skipped (RFC 9112, section 2.2).
    pub(crate) fn head<T>(
        &mut self,
        is_start: fn(u8) -> bool,
        parse: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        if self.scan.done == 0 {
            while self.unread().starts_with(b"\r\n") {
                self.start += 2;
            }
            match self.unread() {
                [] | [b'\r'] => return self.pending(),
                [first, ..] if !is_start(*first) => return Err(Fault::Malformed("this is not HTTP")),
                _ => {}
            }
        }
        let too_large = |scan: &Scan| if scan.line == 0 { Fault::TargetTooLong } else { Fault::HeadTooLarge };
        match self.lines(too_large)? {
            None => self.pending(),
            Some(end) => {
                let parsed = parse(self.unread().get(..end).unwrap_or_default())?;
                self.take(end);
                Ok(Some(parsed))
            }
        }
    }

    /// Where lines end with an empty one. Each byte is looked at once, however often this is called.
    fn lines(&mut self, too_large: impl FnOnce(&Scan) -> Fault) -> Result<Option<usize>, Fault> {
        let unread = self.block.get(self.start..self.end).unwrap_or_default();
        let most = unread.len().min(self.limits.max_head_bytes);
        let scan = &mut self.scan;
        while let Some(found) = unread.get(scan.done..most).and_then(|rest| memchr(b'\n', rest)) {
            let feed = scan.done + found;
            if feed == scan.line || unread.get(feed - 1) != Some(&b'\r') {
                return Err(Fault::Malformed("a line ends without a carriage return"));
            }
            let is_empty = feed == scan.line + 1;
            (scan.line, scan.done) = (feed + 1, feed + 1);
            if is_empty {
                return Ok(Some(feed + 1));
            }
        }
        scan.done = most;
        if most == self.limits.max_head_bytes { Err(too_large(scan)) } else { Ok(None) }
    }

    fn take(&mut self, bytes: usize) {
        self.start += bytes;
        self.scan = Scan::default();
    }

    /// What comes from now on is a body. One that is announced to be too large is refused at once.
    pub(crate) fn begin_body(&mut self, framing: Framing) -> Result<(), Fault> {
        self.body_limit = self.limits.max_body_bytes;
        self.part = match framing {
            Framing::Length(0) => Part::Done,
            Framing::Length(bytes) if bytes > self.body_limit => return Err(Fault::BodyTooLarge),
            Framing::Length(bytes) => Part::Length(bytes),
            Framing::Chunked => Part::ChunkLine,
            Framing::UntilEnd => Part::UntilEnd,
        };
        Ok(())
    }

    /// How many bytes are known to come still.
    pub(crate) fn body_left(&self) -> u64 {
        match self.part {
            Part::Length(left) | Part::Chunk(left) => left,
            _ => 0,
        }
    }

    /// The next piece of the body.
    pub(crate) fn body(&mut self, max: usize) -> Body<'_> {
        match self.find(max.max(1)) {
            Ok(Found::Data(bytes)) => {
                let from = self.start;
                self.start += bytes;
                Body::Data(self.block.get(from..from + bytes).unwrap_or_default())
            }
            Ok(Found::Pending) => Body::Pending,
            Ok(Found::End(trailers)) => Body::End(trailers),
            Err(fault) => {
                self.part = Part::Broken(fault);
                Body::Failed(fault)
            }
        }
    }

    fn find(&mut self, max: usize) -> Result<Found, Fault> {
        loop {
            match self.part {
                Part::Done => return Ok(Found::End(None)),
                Part::Broken(fault) => return Err(fault),
                Part::UntilEnd if self.is_empty() && self.ended => self.part = Part::Done,
                Part::Length(_) | Part::Chunk(_) | Part::UntilEnd => {
                    let bytes = max.min(self.end - self.start);
                    if bytes == 0 {
                        return self.pending::<()>().map(|_| Found::Pending);
                    }
                    return Ok(Found::Data(self.data(bytes as u64)? as usize));
                }
                Part::ChunkLine => match self.chunk_line()? {
                    None => return Ok(Found::Pending),
                    Some(0) => self.part = Part::Trailers,
                    Some(size) if size > self.body_limit => return Err(Fault::BodyTooLarge),
                    Some(size) => self.part = Part::Chunk(size),
                },
                Part::ChunkEnd => match self.unread() {
                    [b'\r', b'\n', ..] => {
                        self.start += 2;
                        self.part = Part::ChunkLine;
                    }
                    [] | [b'\r'] => return self.pending::<()>().map(|_| Found::Pending),
                    _ => return Err(Fault::Malformed("a chunk is longer than its size")),
                },
                Part::Trailers => {
                    let Some(end) = self.lines(|_| Fault::TrailersTooLarge)? else {
                        return self.pending::<()>().map(|_| Found::Pending);
                    };
                    let trailers = parse::trailers(self.unread().get(..end).unwrap_or_default())?;
                    self.take(end);
                    self.part = Part::Done;
                    return Ok(Found::End(trailers));
                }
            }
        }
    }

    /// Counts up to `bytes` of the body as come; returns how many belong to it.
    fn data(&mut self, bytes: u64) -> Result<u64, Fault> {
        let (bytes, next) = match self.part {
            Part::Length(left) if bytes >= left => (left, Part::Done),
            Part::Length(left) => (bytes, Part::Length(left - bytes)),
            Part::Chunk(left) if bytes >= left => (left, Part::ChunkEnd),
            Part::Chunk(left) => (bytes, Part::Chunk(left - bytes)),
            Part::UntilEnd if bytes > self.body_limit => return Err(Fault::BodyTooLarge),
            other => (bytes, other),
        };
        self.body_limit = self.body_limit.saturating_sub(bytes);
        self.part = next;
        Ok(bytes)
    }

    /// The size at the beginning of a chunk (RFC 9112, section 7.1), in hexadecimal digits. Extensions after it are skipped; the white space
    /// that old senders put there is not, since readers disagree about it.
    fn chunk_line(&mut self) -> Result<Option<u64>, Fault> {
        let unread = self.unread();
        let most = unread.len().min(MAX_CHUNK_LINE_BYTES);
        let Some(feed) = unread.get(..most).and_then(|line| memchr(b'\n', line)) else {
            let too_long = unread.len() >= MAX_CHUNK_LINE_BYTES;
            return if too_long { Err(Fault::Malformed("a chunk's first line is too long")) } else { self.pending() };
        };
        let line = unread.get(..feed).and_then(|line| line.strip_suffix(b"\r"));
        let line = line.ok_or(Fault::Malformed("a line ends without a carriage return"))?;
        let size = parse::chunk_size(line)?;
        self.start += feed + 1;
        Ok(Some(size))
    }

    pub(crate) fn direct(&self) -> u64 {
        match self.part {
            _ if !self.is_empty() => 0,
            Part::Length(left) | Part::Chunk(left) => left,
            Part::UntilEnd => self.body_limit,
            _ => 0,
        }
    }

    pub(crate) fn direct_received(&mut self, bytes: u64) {
        if let Err(fault) = self.data(bytes) {
            self.part = Part::Broken(fault);
        }
    }
}
