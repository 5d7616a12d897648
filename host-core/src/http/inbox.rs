//! The piece of a body that comes, between the connection and the app.

use super::Failure;
use alloc::vec::Vec;
use mwasm_http::{Body, Headers};

/// The next bytes of a body, and its end. To see whether there is something to read a piece must be taken out of the connection; it
/// waits here until it is read.
#[derive(Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    end: Option<Result<Option<Headers>, Failure>>,
}

impl Inbox {
    /// Whether there is something to read, or the body is over.
    pub fn is_ready(&self) -> bool {
        !self.bytes.is_empty() || self.is_over()
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Takes the next piece in; false if it has not come yet.
    pub fn accept(&mut self, piece: Body<'_>) -> bool {
        match piece {
            Body::Data(bytes) => self.bytes = bytes.into(),
            Body::End(trailers) => self.end = Some(Ok(trailers)),
            Body::Failed(fault) => self.end = Some(Err(fault.into())),
            Body::Pending => return false,
        }
        true
    }

    /// The rest will not come.
    pub fn fail(&mut self, failure: Failure) {
        self.end = Some(Err(failure));
    }

    /// Why the rest did not come.
    pub fn failure(&self) -> Option<Failure> {
        self.end.as_ref().and_then(|end| end.as_ref().err().copied())
    }

    /// Takes up to `most` bytes; see [`Incoming::read`](super::Incoming::read).
    pub fn read(&mut self, most: usize) -> Result<Option<Vec<u8>>, Failure> {
        match &self.end {
            Some(Ok(_)) if self.bytes.is_empty() => Ok(None),
            Some(Err(failure)) if self.bytes.is_empty() => Err(*failure),
            _ => {
                let rest = self.bytes.split_off(most.min(self.bytes.len()));
                Ok(Some(core::mem::replace(&mut self.bytes, rest)))
            }
        }
    }

    /// Moves bytes to the front of `into`; 0 at the end, `None` if nothing is there.
    pub fn read_into(&mut self, into: &mut [u8]) -> Option<Result<usize, Failure>> {
        if self.bytes.is_empty() {
            return self.end.as_ref().map(|end| end.as_ref().map(|_| 0).map_err(|failure| *failure));
        }
        let count = self.bytes.len().min(into.len());
        into.iter_mut().zip(self.bytes.drain(..count)).for_each(|(to, from)| *to = from);
        Some(Ok(count))
    }

    /// Throws away what was not read.
    pub fn discard(&mut self) {
        self.bytes = Vec::new();
    }

    /// The trailers, once the body is over. They are taken.
    pub fn trailers(&mut self) -> Option<Result<Option<Headers>, Failure>> {
        match self.end.as_mut()? {
            Ok(trailers) => Some(Ok(trailers.take())),
            Err(failure) => Some(Err(*failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_http::Fault;

    #[test]
    fn bytes_come_before_the_end() {
        let mut inbox = Inbox::default();
        assert!(!inbox.accept(Body::Pending) && !inbox.is_ready());
        assert_eq!(inbox.read(5), Ok(Some(Vec::new())));
        assert!(inbox.accept(Body::Data(b"abc")) && inbox.accept(Body::End(None)));
        assert_eq!(inbox.read(2), Ok(Some(b"ab".to_vec())));
        assert_eq!(inbox.read(0), Ok(Some(Vec::new())));
        assert_eq!((inbox.read(2), inbox.read(2)), (Ok(Some(b"c".to_vec())), Ok(None)));
        assert_eq!(inbox.trailers(), Some(Ok(None)));
    }

    #[test]
    fn pieces_go_where_they_are_wanted() {
        let (mut inbox, mut into) = (Inbox::default(), [0; 2]);
        assert_eq!(inbox.read_into(&mut into), None);
        assert!(inbox.accept(Body::Data(b"abc")) && inbox.accept(Body::End(None)));
        assert_eq!((inbox.read_into(&mut into), into), (Some(Ok(2)), *b"ab"));
        assert_eq!((inbox.read_into(&mut into), into), (Some(Ok(1)), *b"cb"));
        assert_eq!(inbox.read_into(&mut into), Some(Ok(0)));
    }

    #[test]
    fn what_failed_stays_failed() {
        let mut inbox = Inbox::default();
        assert!(inbox.accept(Body::Failed(Fault::Incomplete)));
        let failure = Failure::Fault(Fault::Incomplete);
        assert_eq!(
            (inbox.read(1), inbox.trailers(), inbox.failure()),
            (Err(failure), Some(Err(failure)), Some(failure))
        );
    }
}
