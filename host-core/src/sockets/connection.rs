//! A TCP connection, and its two directions.
//!
//! Bytes that come go from the port straight to whoever asks. Bytes that go are handed to the port in the guest's memory; what the port
//! does not take at once of a write that was promised to be taken whole (`wasi:io` 0.2) waits in [`Sending::waiting`], and a task of the
//! reactor hands it over. While something waits there, nothing more is taken: one write is all that ever waits.

use crate::reactor::Reactor;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use mwasm_ports::network::{NetError, TcpOptions, TcpStream};
use spin::Mutex;

/// The most that a write may hand over, in bytes.
pub const WRITE_BYTES: usize = 64 << 10;

/// A TCP connection. It is closed when the last handle is dropped, and what was sent arrives first.
pub struct Connection {
    stream: Box<dyn TcpStream>,
    receiving: AtomicBool,
    sending: Mutex<Sending>,
}

/// What goes to the other side.
struct Sending {
    state: SendState,
    /// What the port did not take yet, and how much of it it has.
    waiting: Vec<u8>,
    taken: usize,
    /// Who waits until nothing waits any more.
    waker: Option<Waker>,
}

/// How far this side's sending is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SendState {
    Open,
    /// Ended as soon as nothing waits.
    Ending,
    /// Ended, by this side or by an error that was told.
    Ended,
    /// Broken; to be told by the next call.
    Failed(NetError),
}

impl Connection {
    /// A connection that the port has made.
    pub fn new(stream: Box<dyn TcpStream>) -> Arc<Self> {
        let sending = Sending { state: SendState::Open, waiting: Vec::new(), taken: 0, waker: None };
        Arc::new(Self { stream, receiving: AtomicBool::new(true), sending: Mutex::new(sending) })
    }

    /// The address on this side.
    pub fn local(&self) -> SocketAddr {
        self.stream.local()
    }

    /// The address on the other side.
    pub fn remote(&self) -> SocketAddr {
        self.stream.remote()
    }

    /// The options in use.
    pub fn options(&self) -> Result<TcpOptions, NetError> {
        self.stream.options()
    }

    /// Changes the options.
    pub fn set_options(&self, options: &TcpOptions) -> Result<(), NetError> {
        self.stream.set_options(options)
    }

    /// Takes bytes that came, into a buffer that is not empty; 0 is the end.
    pub fn poll_receive(&self, into: &mut [u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        if !self.receiving.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(0));
        }
        self.stream.poll_receive(into, context)
    }

    /// Whether [`Connection::poll_receive`] would be ready.
    pub fn poll_receivable(&self, context: &mut Context<'_>) -> Poll<()> {
        if !self.receiving.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        self.stream.poll_receivable(context)
    }

    /// Throws away what still comes.
    pub fn end_receiving(&self) {
        if self.receiving.swap(false, Ordering::Relaxed) {
            // The other side may be gone, and then nothing comes.
            let _ = self.stream.shutdown_receive();
        }
    }

    /// Hands over bytes from the front of `bytes` (not empty), as many as the port takes now.
    pub fn poll_send(&self, bytes: &[u8], context: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        if self.poll_sendable(context).is_pending() {
            return Poll::Pending;
        }
        match self.sending.lock().take_state() {
            SendState::Failed(error) => Poll::Ready(Err(error)),
            SendState::Ending | SendState::Ended => Poll::Ready(Err(NetError::ConnectionBroken)),
            SendState::Open => self.stream.poll_send(bytes, context),
        }
    }

    /// Whether something would be taken, or sending has ended.
    pub fn poll_sendable(&self, context: &mut Context<'_>) -> Poll<()> {
        let sending = &mut *self.sending.lock();
        match sending.state {
            SendState::Failed(_) | SendState::Ended => Poll::Ready(()),
            _ if !sending.waiting.is_empty() => {
                sending.waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => self.stream.poll_sendable(context),
        }
    }

    /// How many bytes [`Connection::write`] takes now; `None`: sending has ended.
    pub fn room(&self, reactor: &Reactor) -> Result<Option<usize>, NetError> {
        let ready = reactor.now(|context| self.poll_sendable(context)).is_ready();
        match self.sending.lock().take_state() {
            SendState::Failed(error) => Err(error),
            SendState::Ending | SendState::Ended => Ok(None),
            SendState::Open => Ok(Some(if ready { WRITE_BYTES } else { 0 })),
        }
    }

    /// Takes all of `bytes`: the port gets what it takes, and `reactor` hands over the rest.
    pub fn write(self: &Arc<Self>, reactor: &Reactor, bytes: &[u8]) -> Result<(), NetError> {
        let context = &mut Context::from_waker(Waker::noop());
        let sending = &mut *self.sending.lock();
        match sending.take_state() {
            SendState::Failed(error) => return Err(error),
            SendState::Ending | SendState::Ended => return Err(NetError::ConnectionBroken),
            SendState::Open => {}
        }
        let mut rest = bytes;
        while sending.waiting.is_empty() && !rest.is_empty() {
            match self.stream.poll_send(rest, context) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => rest = rest.get(count..).unwrap_or_default(),
                Poll::Ready(Err(error)) => {
                    sending.state = SendState::Ended;
                    return Err(error);
                }
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let runs = !sending.waiting.is_empty();
        sending.waiting.extend_from_slice(rest);
        if !runs {
            let me = self.clone();
            reactor.spawn(Box::pin(poll_fn(move |context| me.poll_hand_over(context))));
        }
        Ok(())
    }

    /// Hands over what waits; ready when nothing does any more.
    fn poll_hand_over(&self, context: &mut Context<'_>) -> Poll<()> {
        let sending = &mut *self.sending.lock();
        while let Some(rest) = sending.waiting.get(sending.taken..).filter(|rest| !rest.is_empty()) {
            match self.stream.poll_send(rest, context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(count)) => sending.taken += count,
                Poll::Ready(Err(error)) => {
                    sending.state = SendState::Failed(error);
                    break;
                }
            }
        }
        sending.waiting = Vec::new();
        sending.taken = 0;
        if sending.state == SendState::Ending {
            sending.state = self.shut_down();
        }
        if let Some(waker) = sending.waker.take() {
            waker.wake();
        }
        Poll::Ready(())
    }

    /// Ends this side's sending: what was written is delivered, then the end.
    pub fn end_sending(&self) {
        let sending = &mut *self.sending.lock();
        if sending.state == SendState::Open {
            sending.state = if sending.waiting.is_empty() { self.shut_down() } else { SendState::Ending };
        }
    }

    fn shut_down(&self) -> SendState {
        // The other side may be gone, and then nothing is left to end.
        let _ = self.stream.shutdown_send();
        SendState::Ended
    }
}

impl Sending {
    /// The state; an error is told once, and then it is the end.
    fn take_state(&mut self) -> SendState {
        let state = self.state;
        if let SendState::Failed(_) = state {
            self.state = SendState::Ended;
        }
        state
    }
}
