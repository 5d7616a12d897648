//! Several tasks that wait for one connection.
//!
//! A socket wakes one task for each direction: the last one that asked. But on a connection with HTTP there are several: one that writes a
//! body, one that reads one, and one that looks after the connection, and whoever comes first moves things on for all. So they join
//! here, the socket wakes this, and this wakes all who have joined since.

use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::task::{Context, Waker};
use spin::Mutex;

/// Those who wait for a connection.
pub(crate) struct Wakers {
    list: Arc<List>,
    /// Wakes all on the list.
    waker: Waker,
}

#[derive(Default)]
struct List(Mutex<Vec<Waker>>);

impl Wake for List {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever is woken may join again at once.
        let woken = core::mem::take(&mut *self.0.lock());
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Wakers {
    pub fn new() -> Self {
        let list = Arc::<List>::default();
        Self { waker: list.clone().into(), list }
    }

    /// What to poll the socket with, for whoever polls with `context`.
    pub fn join(&self, context: &Context<'_>) -> Context<'_> {
        let list = &mut *self.list.0.lock();
        let waker = context.waker();
        if !waker.will_wake(Waker::noop()) && !list.iter().any(|other| other.will_wake(waker)) {
            list.push(waker.clone());
        }
        Context::from_waker(&self.waker)
    }

    /// Wakes all.
    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// A writer that waited for room slept for ever, since the connection's own task was the last to ask.
    #[test]
    fn all_who_wait_are_woken_once() {
        let (wakers, counts) = (Wakers::new(), [Arc::<Count>::default(), Arc::default()]);
        let join = |count: &Arc<Count>| {
            let waker = Waker::from(count.clone());
            wakers.join(&Context::from_waker(&waker)).waker().clone()
        };
        let (socket, other) = (join(&counts[0]), join(&counts[1]));
        assert!(socket.will_wake(&other) && join(&counts[1]).will_wake(&other));
        wakers.join(&Context::from_waker(Waker::noop()));
        assert_eq!(wakers.list.0.lock().len(), 2);
        socket.wake_by_ref();
        socket.wake();
        assert_eq!(counts.map(|count| count.0.load(Relaxed)), [1, 1]);
    }
}
