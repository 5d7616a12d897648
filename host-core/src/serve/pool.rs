//! A pool of things that one user at a time has, such as instances of an app: made when needed, up to a number, and used again.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// The pool.
pub(crate) struct Pool<T> {
    state: RefCell<State<T>>,
}

struct State<T> {
    idle: Vec<T>,
    /// How many are with users.
    busy: usize,
    /// How many there may be now, and at most.
    limit: usize,
    most: usize,
    /// Who waits, in the order of arrival.
    queue: VecDeque<Ticket>,
    next_ticket: u64,
}

struct Ticket {
    number: u64,
    waker: Waker,
}

impl<T> Pool<T> {
    /// An empty pool of at most `most` things, at least 1.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State { idle: Vec::new(), busy: 0, limit: most, most, queue: VecDeque::new(), next_ticket: 0 };
        Self { state: RefCell::new(state) }
    }

    /// Adds one that nobody uses.
    pub fn add(&self, thing: T) {
        self.state.borrow_mut().idle.push(thing);
    }

    /// Waits for a place, in the order of arrival.
    pub fn take(&self) -> Take<'_, T> {
        Take { pool: self, ticket: None }
    }

    /// Nothing can be made for one who has a place: there may only be what there is, and those who wait share it.
    pub fn is_full(&self) {
        let mut state = self.state.borrow_mut();
        state.limit = (state.busy + state.idle.len()).saturating_sub(1).max(1);
    }

    /// How many are with users.
    pub fn busy(&self) -> usize {
        self.state.borrow().busy
    }
}

impl<T> State<T> {
    /// Whether somebody could have a place now.
    fn has_room(&self) -> bool {
        self.busy < self.limit
    }

    fn wake_first(&self) {
        if let Some(first) = self.queue.front().filter(|_| self.has_room()) {
            first.waker.wake_by_ref();
        }
    }
}

/// Future of [`Pool::take`].
pub(crate) struct Take<'a, T> {
    pool: &'a Pool<T>,
    ticket: Option<u64>,
}

impl<'a, T> Future for Take<'a, T> {
    type Output = Lease<'a, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let pool = self.pool;
        let mut state = pool.state.borrow_mut();
        let is_first = state.queue.front().is_none_or(|first| Some(first.number) == self.ticket);
        if is_first && state.has_room() {
            if self.ticket.take().is_some() {
                state.queue.pop_front();
            }
            state.busy += 1;
            let thing = state.idle.pop();
            state.wake_first();
            return Poll::Ready(Lease { pool, thing });
        }
        let waker = context.waker();
        match self.ticket {
            Some(number) => {
                if let Some(ticket) = state.queue.iter_mut().find(|ticket| ticket.number == number) {
                    ticket.waker.clone_from(waker);
                }
            }
            None => {
                let number = state.next_ticket;
                state.next_ticket += 1;
                state.queue.push_back(Ticket { number, waker: waker.clone() });
                self.ticket = Some(number);
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Take<'_, T> {
    fn drop(&mut self) {
        if let Some(number) = self.ticket {
            let mut state = self.pool.state.borrow_mut();
            state.queue.retain(|ticket| ticket.number != number);
            state.wake_first();
        }
    }
}

/// A place in the pool, and what is there: it goes back when this is dropped.
pub(crate) struct Lease<'a, T> {
    pool: &'a Pool<T>,
    /// `None`: one has to be made; or it is of no use any more.
    pub thing: Option<T>,
}

impl<T> Lease<'_, T> {
    /// What was here is gone, so there may be room again for one more.
    pub fn discard(self) {
        let mut state = self.pool.state.borrow_mut();
        state.limit = state.most;
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        let mut state = self.pool.state.borrow_mut();
        state.busy -= 1;
        state.idle.extend(self.thing.take());
        state.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;

    fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_came_back_is_used_again() {
        let pool = Pool::new(2);
        let mut one = now(&mut pool.take()).unwrap();
        assert_eq!(one.thing, None);
        one.thing = Some(7);
        drop(one);
        assert_eq!(pool.busy(), 0);
        assert_eq!(now(&mut pool.take()).unwrap().thing, Some(7));
    }

    #[test]
    fn whoever_came_first_is_served_first() {
        let pool = Pool::new(1);
        let mut first = now(&mut pool.take()).unwrap();
        first.thing = Some('a');
        let (mut second, mut third) = (Box::new(pool.take()), pool.take());
        assert!(now(&mut second).is_none() && now(&mut third).is_none());
        drop(first);
        assert!(now(&mut third).is_none() && now(&mut pool.take()).is_none());
        // One who gives up lets the next one in.
        drop(second);
        assert_eq!(now(&mut third).unwrap().thing, Some('a'));
    }

    /// A machine may have memory for fewer instances than the manifest wants: the requests wait for those, and are not refused.
    #[test]
    fn a_full_machine_makes_the_pool_smaller() {
        let pool = Pool::<()>::new(64);
        let (one, two) = (now(&mut pool.take()).unwrap(), now(&mut pool.take()).unwrap());
        pool.is_full();
        drop(two);
        assert!(now(&mut pool.take()).is_none());
        one.discard();
        let (one, two) = (now(&mut pool.take()), now(&mut pool.take()));
        assert!(one.is_some() && two.is_some());
    }
}
