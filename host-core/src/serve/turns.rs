//! A future that is polled until it has done what it can.
//!
//! An instance of an app does its work in steps: it is called, answers, writes a body, ends it; after each step it wakes itself. If the
//! connections had their turn in between, a head would leave before its body, and its length would not be known.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::task::{Context, Waker};
use spin::Mutex;

/// The most steps at once: an app that never stops must not keep the connections from their turn.
const MAX_STEPS: u32 = 64;

/// The future.
pub(super) struct Turns<F> {
    /// Until it is over.
    future: Option<Pin<Box<F>>>,
    woken: Arc<Woken>,
    waker: Waker,
}

struct Woken {
    is_woken: AtomicBool,
    /// It is being polled, and will be looked after.
    is_polled: AtomicBool,
    /// Whom to wake otherwise.
    outer: Mutex<Waker>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Relaxed);
        if !self.is_polled.load(Relaxed) {
            self.outer.lock().wake_by_ref();
        }
    }
}

impl<F: Future<Output = ()>> Turns<F> {
    pub fn new(future: F) -> Self {
        let (is_woken, is_polled) = (AtomicBool::new(true), AtomicBool::new(false));
        let woken = Arc::new(Woken { is_woken, is_polled, outer: Mutex::new(Waker::noop().clone()) });
        Self { future: Some(Box::pin(future)), waker: woken.clone().into(), woken }
    }

    /// Lets it do what it can, if it was woken.
    pub fn poll(&mut self, context: &Context<'_>) {
        let Some(future) = &mut self.future else { return };
        self.woken.outer.lock().clone_from(context.waker());
        self.woken.is_polled.store(true, Relaxed);
        let mut steps = 0;
        while steps < MAX_STEPS && self.woken.is_woken.swap(false, Relaxed) {
            steps += 1;
            if future.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
                self.future = None;
                return;
            }
        }
        self.woken.is_polled.store(false, Relaxed);
        if self.woken.is_woken.load(Relaxed) {
            context.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::poll_fn;
    use core::sync::atomic::AtomicU32;
    use core::task::Poll;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// A future that wakes itself so often before it waits.
    fn steps(count: u32, done: &AtomicU32) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            if done.fetch_add(1, Relaxed) + 1 < count {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
    }

    #[test]
    fn all_steps_are_one_turn_but_not_for_ever() {
        let count = Arc::<Count>::default();
        let waker = Waker::from(count.clone());
        let context = Context::from_waker(&waker);
        for (wanted, turns, wakes) in [(1, 1, 0), (5, 1, 0), (MAX_STEPS + 1, 2, 1)] {
            let done = AtomicU32::new(0);
            let mut future = Turns::new(steps(wanted, &done));
            count.0.store(0, Relaxed);
            for _ in 0..turns {
                future.poll(&context);
            }
            // Nobody woke it: another turn is none.
            future.poll(&context);
            assert_eq!((done.load(Relaxed), count.0.load(Relaxed)), (wanted, wakes));
            future.waker.wake_by_ref();
            assert_eq!(count.0.load(Relaxed), wakes + 1);
            future.poll(&context);
            assert_eq!(done.load(Relaxed), wanted + 1);
        }
    }
}
