//! A queue from which several workers take: each thing goes to one of them, the one that was busy last. So work stays with the workers
//! that are warm, and the others may never need to begin.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// The queue.
pub(super) struct Queue<T>(RefCell<State<T>>);

struct State<T> {
    things: VecDeque<T>,
    /// Workers that wait, the one that came last at the end.
    idle: Vec<(u64, Waker)>,
    next_id: u64,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self(RefCell::new(State { things: VecDeque::new(), idle: Vec::new(), next_id: 0 }))
    }

    /// Adds something at the end.
    pub fn push(&self, thing: T) {
        let state = &mut *self.0.borrow_mut();
        state.things.push_back(thing);
        state.wake_one();
    }

    /// Puts something back where it was taken, for whoever comes next.
    pub fn put_back(&self, thing: T) {
        self.0.borrow_mut().things.push_front(thing);
    }

    /// Waits for something, and takes it.
    pub fn take(&self) -> Take<'_, T> {
        Take { queue: self, id: None }
    }
}

impl<T> State<T> {
    fn wake_one(&mut self) {
        if !self.things.is_empty()
            && let Some((_, waker)) = self.idle.pop()
        {
            waker.wake();
        }
    }
}

/// Future of [`Queue::take`]. It can be polled again after it was ready, for the next thing.
pub(super) struct Take<'a, T> {
    queue: &'a Queue<T>,
    /// Its place among those who wait.
    id: Option<u64>,
}

impl<T> Future for Take<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let queue = self.queue;
        let state = &mut *queue.0.borrow_mut();
        let place = self.id.and_then(|id| state.idle.iter().position(|(other, _)| *other == id));
        if let Some(thing) = state.things.pop_front() {
            if let Some(at) = place {
                state.idle.remove(at);
            }
            self.id = None;
            return Poll::Ready(thing);
        }
        match place.and_then(|at| state.idle.get_mut(at)) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => {
                let id = state.next_id;
                state.next_id += 1;
                state.idle.push((id, context.waker().clone()));
                self.id = Some(id);
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Take<'_, T> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let state = &mut *self.queue.0.borrow_mut();
        match state.idle.iter().position(|(other, _)| *other == id) {
            Some(at) => {
                state.idle.remove(at);
            }
            // It was woken, and did not come.
            None => state.wake_one(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[derive(Default)]
    struct Worker(AtomicU32);

    impl Wake for Worker {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// Polls once as a worker that counts how often it is woken.
    fn poll<T>(take: &mut Take<'_, T>, worker: &Arc<Worker>) -> Poll<T> {
        Pin::new(take).poll(&mut Context::from_waker(&worker.clone().into()))
    }

    #[test]
    fn the_last_to_wait_is_the_first_to_work() {
        let (queue, workers) = (Queue::new(), [Arc::<Worker>::default(), Arc::default()]);
        let (mut first, mut last) = (queue.take(), queue.take());
        assert!(poll(&mut first, &workers[0]).is_pending() && poll(&mut last, &workers[1]).is_pending());
        for thing in 0..3 {
            queue.push(thing);
            assert_eq!(poll(&mut last, &workers[1]), Poll::Ready(thing));
            assert!(poll(&mut last, &workers[1]).is_pending());
        }
        let wakes = || [0, 1].map(|at| workers[at].0.load(Relaxed));
        assert_eq!(wakes(), [0, 3]);
        queue.push(3);
        queue.push(4);
        assert_eq!(wakes(), [1, 4]);
        assert_eq!((poll(&mut first, &workers[0]), poll(&mut last, &workers[1])), (Poll::Ready(3), Poll::Ready(4)));
    }

    /// A worker that was called and went away must not take the call with it.
    #[test]
    fn a_call_is_passed_on() {
        let (queue, workers) = (Queue::new(), [Arc::<Worker>::default(), Arc::default()]);
        let (mut first, mut last) = (queue.take(), queue.take());
        assert!(poll(&mut first, &workers[0]).is_pending() && poll(&mut last, &workers[1]).is_pending());
        queue.push('a');
        drop(last);
        assert_eq!(workers[0].0.load(Relaxed), 1);
        assert_eq!(poll(&mut first, &workers[0]), Poll::Ready('a'));
        queue.put_back('a');
        assert_eq!(poll(&mut first, &workers[0]), Poll::Ready('a'));
    }
}
