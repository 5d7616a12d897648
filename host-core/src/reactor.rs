//! The executor: runs one future on one thread, and parks the machine when it cannot go on.
//!
//! Host functions that must wait await [`Reactor::wait`] with a deadline, a set of devices, or both. [`Reactor::block_on`] polls
//! the app's future; when it is pending, and nothing was woken meanwhile, the reactor asks the [`Idle`](mwasm_ports::Idle) port to
//! park until the earliest deadline or the first device that anybody waits for, and wakes those whose time has come. There is no
//! other place where a host waits, and no other queue.
//!
//! Some work goes on beside the app's future, such as handing over what the app wrote to a connection that takes it slowly: see
//! [`Reactor::spawn`].
//!
//! A waiter is plain data (a number, a deadline, a set): all that a run waits for can be listed at any time.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker, ready};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mwasm_ports::{Ports, Ready};
use spin::Mutex;

/// All that a run waits for.
pub struct Reactor {
    ports: Ports,
    waiters: Mutex<Waiters>,
    background: Mutex<Option<Box<dyn Background>>>,
}

/// Work beside the app's future.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All tasks. Behind a trait, so that only images of which something spawns tasks contain what runs them.
trait Background: Send {
    fn add(&mut self, task: Task);
    fn take(&mut self) -> Vec<Task>;
    /// Ready once all are done.
    fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

impl Background for FuturesUnordered<Task> {
    fn add(&mut self, task: Task) {
        self.push(task);
    }

    fn take(&mut self) -> Vec<Task> {
        core::mem::take(self).into_iter().collect()
    }

    fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while ready!(self.poll_next_unpin(context)).is_some() {}
        Poll::Ready(())
    }
}

/// A list in no order: an app waits for a handful of things at a time, and every park looks at all of them once.
#[derive(Default)]
struct Waiters {
    next_id: u64,
    list: Vec<Waiter>,
}

struct Waiter {
    id: u64,
    deadline_ns: Option<u64>,
    devices: Ready,
    waker: Waker,
}

/// What somebody waits for: whichever of it comes first.
#[derive(Clone, Default)]
pub struct Interest {
    /// A time on the monotonic clock, in nanoseconds.
    pub deadline_ns: Option<u64>,
    /// Devices that may be ready.
    pub devices: Ready,
    /// Things that call wakers themselves, such as connections.
    pub sources: Vec<Arc<dyn Readiness>>,
}

impl Interest {
    /// Whichever of both comes first.
    #[must_use]
    pub fn or(mut self, mut other: Self) -> Self {
        self.sources.append(&mut other.sources);
        Self {
            deadline_ns: self.deadline_ns.into_iter().chain(other.deadline_ns).min(),
            devices: self.devices.with(other.devices),
            sources: self.sources,
        }
    }
}

/// Something that may become ready, and calls wakers when it does.
pub trait Readiness: Send + Sync {
    /// As [`Future::poll`]: when it is not ready, it keeps the waker (one, the last) and calls it when it may be.
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()>;
}

/// Somebody outside asked for the end while the app ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl Reactor {
    /// A reactor on a machine.
    pub fn new(ports: Ports) -> Arc<Self> {
        Arc::new(Self { ports, waiters: Mutex::default(), background: Mutex::new(None) })
    }

    /// Waits until something in `interest` may have come. May end early: look again afterwards.
    pub fn wait(self: &Arc<Self>, interest: Interest) -> Wait {
        Wait { reactor: self.clone(), interest, id: None }
    }

    /// Waits until `deadline_ns` on the monotonic clock. May end early.
    pub fn sleep_until(self: &Arc<Self>, deadline_ns: u64) -> Wait {
        self.wait(Interest { deadline_ns: Some(deadline_ns), ..Interest::default() })
    }

    /// Runs `future` to its end, or until somebody outside asks for the end.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Stopped> {
        self.run(pin!(future), None)
    }

    /// Runs `future` to its end although somebody has asked for the end, until `deadline_ns` on the monotonic clock.
    pub fn finish<F: Future>(&self, future: Pin<&mut F>, deadline_ns: u64) -> Result<F::Output, Stopped> {
        self.run(future, Some(deadline_ns))
    }

    fn run<F: Future>(&self, mut future: Pin<&mut F>, grace_until_ns: Option<u64>) -> Result<F::Output, Stopped> {
        let mut output = None;
        let mut poll = |context: &mut Context<'_>| future.as_mut().poll(context).map(|ready| output = Some(ready));
        self.drive(&mut poll, grace_until_ns)?;
        output.ok_or(Stopped)
    }

    /// Polls until it is ready. For futures of every type the same code.
    fn drive(
        &self,
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        grace_until_ns: Option<u64>,
    ) -> Result<(), Stopped> {
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            woken.0.store(false, Ordering::Relaxed);
            if poll(&mut context).is_ready() {
                return Ok(());
            }
            self.work(&mut context);
            if woken.0.load(Ordering::Relaxed) {
                self.advance();
            } else if let Some(network) = &self.ports.network {
                network.advance_before_park();
            }
            while !woken.0.load(Ordering::Relaxed) {
                self.park(grace_until_ns)?;
            }
        }
    }

    /// Lets `task` go on beside the app's future. It runs whenever [`Reactor::block_on`] does.
    pub fn spawn(&self, task: Task) {
        let background = &mut *self.background.lock();
        background.get_or_insert_with(|| Box::new(FuturesUnordered::new())).add(task);
    }

    /// Waits until no task is left.
    pub async fn settled(&self) {
        poll_fn(|context| if self.work(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Asks whether something is ready, without waiting. If it is not, what goes on beside the app gets a turn first: an app that asks
    /// again and again, and never waits, must get an answer some day.
    pub fn now<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let context = &mut Context::from_waker(Waker::noop());
        match poll(context) {
            Poll::Pending => {
                self.turn();
                poll(context)
            }
            ready => ready,
        }
    }

    /// Lets the tasks and the network work, for an app that does not wait. They are woken as ever: [`Reactor::block_on`] asks them before
    /// it parks.
    pub fn turn(&self) {
        self.work(&mut Context::from_waker(Waker::noop()));
        self.advance();
    }

    /// Lets the tasks work; says whether none is left. They may spawn others, so nothing is locked meanwhile.
    fn work(&self, context: &mut Context<'_>) -> bool {
        loop {
            let Some(mut tasks) = self.background.lock().take() else { return true };
            let done = tasks.poll_all(context).is_ready();
            let background = &mut *self.background.lock();
            match (done, background.take()) {
                (true, None) => return true,
                // Spawned meanwhile: to be polled as well.
                (true, Some(spawned)) => *background = Some(spawned),
                (false, None) => {
                    *background = Some(tasks);
                    return false;
                }
                (false, Some(mut spawned)) => {
                    spawned.take().into_iter().for_each(|task| tasks.add(task));
                    *background = Some(tasks);
                }
            }
        }
    }

    /// Lets the network work: it sends what the app gave it, takes what came, and wakes whoever waits for that.
    fn advance(&self) {
        if let Some(network) = &self.ports.network {
            network.advance();
        }
    }

    /// Wakes those for whom something has come, without waiting: for a future that is woken again and again, so that nobody parks. That
    /// somebody asked for the end is seen by those who park.
    pub fn glance(&self) {
        let _ = self.park(Some(0));
    }

    /// Parks once, and wakes whoever it was for.
    fn park(&self, grace_until_ns: Option<u64>) -> Result<(), Stopped> {
        let (mut deadline_ns, mut interest) = self.waiters.lock().next();
        deadline_ns = deadline_ns.into_iter().chain(grace_until_ns).min();
        let waits_for_time = deadline_ns.is_some();
        if let Some(network) = &self.ports.network {
            deadline_ns = deadline_ns.into_iter().chain(network.deadline_ns()).min();
            interest = interest.with(Ready::NETWORK);
        }
        let happened = self.ports.idle.park(deadline_ns, interest);
        self.advance();
        // A clock costs a system call or a trap on some machines.
        let now_ns = if waits_for_time { self.ports.clock.monotonic_ns() } else { 0 };
        while let Some(waker) = self.waiters.lock().take_ready(now_ns, happened) {
            waker.wake();
        }
        let is_over = match grace_until_ns {
            None => happened.contains(Ready::STOP),
            Some(grace_until_ns) => now_ns >= grace_until_ns,
        };
        if is_over { Err(Stopped) } else { Ok(()) }
    }
}

impl Waiters {
    fn position(&self, id: u64) -> Option<usize> {
        self.list.iter().position(|waiter| waiter.id == id)
    }

    fn remove(&mut self, id: u64) {
        if let Some(at) = self.position(id) {
            self.list.swap_remove(at);
        }
    }

    /// The earliest deadline, and everything that anybody waits for.
    fn next(&self) -> (Option<u64>, Ready) {
        let devices = self.list.iter().fold(Ready::NONE, |all, waiter| all.with(waiter.devices));
        (self.list.iter().filter_map(|waiter| waiter.deadline_ns).min(), devices)
    }

    /// Takes out one waiter whose time has come: the one with the earliest deadline, if several have.
    fn take_ready(&mut self, now_ns: u64, happened: Ready) -> Option<Waker> {
        let is_ready = |waiter: &Waiter| {
            waiter.deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns)
                || Ready::ALL.iter().any(|one| happened.contains(*one) && waiter.devices.contains(*one))
        };
        let ready = self.list.iter().enumerate().filter(|(_, waiter)| is_ready(waiter));
        let (at, _) = ready.min_by_key(|(_, waiter)| (waiter.deadline_ns.unwrap_or(u64::MAX), waiter.id))?;
        Some(self.list.swap_remove(at).waker)
    }
}

/// Future of [`Reactor::wait`].
pub struct Wait {
    reactor: Arc<Reactor>,
    interest: Interest,
    id: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Every source is asked, so that each has the waker.
        let ready = self.interest.sources.iter().filter(|source| source.poll_ready(context).is_ready()).count();
        if ready > 0 {
            return Poll::Ready(());
        }
        let Interest { deadline_ns, devices, .. } = self.interest;
        if deadline_ns.is_none() && devices.is_empty() && !self.interest.sources.is_empty() {
            return Poll::Pending;
        }
        let reactor = self.reactor.clone();
        let mut waiters = reactor.waiters.lock();
        match self.id {
            None => {
                waiters.next_id += 1;
                let (id, waker) = (waiters.next_id, context.waker().clone());
                waiters.list.push(Waiter { id, deadline_ns, devices, waker });
                self.id = Some(id);
                Poll::Pending
            }
            Some(id) => match waiters.list.iter_mut().find(|waiter| waiter.id == id) {
                Some(waiter) => {
                    waiter.waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            },
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.reactor.waiters.lock().remove(id);
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_ports::fake::Machine;
    use mwasm_ports::faulty::{Faults, Faulty};

    /// Polls all of `futures` until they are done, in whatever order.
    async fn all<F: Future<Output = ()>>(futures: Vec<F>) {
        let mut futures: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
        poll_fn(|context| {
            for slot in &mut futures {
                if slot.as_mut().is_some_and(|future| future.as_mut().poll(context).is_ready()) {
                    *slot = None;
                }
            }
            if futures.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[test]
    fn sleeps_end_in_order_of_their_deadlines() {
        let machine = Machine::new(1);
        let reactor = Reactor::new(machine.ports());
        let order = Mutex::new(Vec::new());
        let sleep = |ns: u64| {
            let (reactor, order) = (&reactor, &order);
            async move {
                reactor.sleep_until(ns).await;
                order.lock().push(ns);
            }
        };
        assert_eq!(reactor.block_on(all(alloc::vec![sleep(30), sleep(10), sleep(20)])), Ok(()));
        assert_eq!(*order.lock(), [10, 20, 30]);
        assert_eq!(machine.state().parks, 3, "one park a deadline, none in between");
        assert!(reactor.waiters.lock().list.is_empty());
    }

    #[test]
    fn a_device_wakes_before_the_deadline() {
        let machine = Machine::new(1);
        machine.state().input_later.push_back((5, b"x".to_vec()));
        let reactor = Reactor::new(machine.ports());
        assert_eq!(
            reactor.block_on(reactor.wait(Interest {
                deadline_ns: Some(100),
                devices: Ready::CONSOLE_IN,
                ..Interest::default()
            })),
            Ok(())
        );
        assert_eq!(machine.state().now_ns, 5);
    }

    #[test]
    fn early_parks_change_nothing() {
        let machine = Machine::new(1);
        let ports = Faulty::ports(machine.ports(), Faults { park_early: 200, ..Faults::default() }, 4);
        let reactor = Reactor::new(ports);
        assert_eq!(reactor.block_on(reactor.sleep_until(77)), Ok(()));
        assert_eq!(machine.state().now_ns, 77);
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let machine = Machine::new(1);
        machine.state().stop_at_ns = Some(9);
        let reactor = Reactor::new(machine.ports());
        assert_eq!(reactor.block_on(reactor.sleep_until(100)), Err(Stopped));
    }

    #[test]
    fn tasks_go_on_beside_the_app_and_may_spawn_others() {
        let machine = Machine::new(1);
        let reactor = Reactor::new(machine.ports());
        let order = Arc::new(Mutex::new(Vec::new()));
        let sleep = |ns: u64| {
            let (reactor, order) = (reactor.clone(), order.clone());
            async move {
                reactor.sleep_until(ns).await;
                order.lock().push(ns);
            }
        };
        let (first, second, last) = (sleep(10), sleep(20), sleep(40));
        let spawner = reactor.clone();
        reactor.spawn(Box::pin(async move {
            first.await;
            spawner.spawn(Box::pin(second));
            spawner.spawn(Box::pin(last));
        }));
        assert_eq!(reactor.block_on(reactor.sleep_until(30)), Ok(()));
        assert_eq!(*order.lock(), [10, 20]);
        assert_eq!(reactor.block_on(reactor.settled()), Ok(()));
        assert_eq!((*order.lock()).as_slice(), [10, 20, 40]);
        assert!(reactor.background.lock().is_none());
    }

    #[test]
    fn a_dropped_wait_is_forgotten() {
        let machine = Machine::new(1);
        let reactor = Reactor::new(machine.ports());
        let mut wait = Box::pin(reactor.sleep_until(5));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(wait);
        assert!(reactor.waiters.lock().list.is_empty());
    }
}
