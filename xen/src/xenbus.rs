//! How the two halves of a device find each other: a driver's side of `xen/include/public/io/xenbus.h`.
//!
//! Each half has a directory in xenstore: the frontend `device/vif/0`, the backend (in another domain) one that the frontend's node
//! `backend` names. Each writes what it offers and wants to its own directory, and then its state. When a half sees the other's state, all
//! that belongs to it is there:
//!
//! ```text
//!   backend    InitWait (features written) .................... Connected ... Closing, Closed
//!   frontend   Initialising ... Connected (rings, ports written) ............. Closed
//! ```
//!
//! A driver is an `async` function over [`Store`]: it reads like the steps above, and never waits. Whoever polls it does so when the
//! kernel has [news of xenstore](crate::kernel::Kernel::store_news).

use crate::kernel::Kernel;
use crate::xenstore::{Failed, Request, Ticket, token};
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;

/// State of one half of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// There is no such half (any more).
    Unknown = 0,
    /// It starts.
    Initialising = 1,
    /// What it offers is written; it waits for the other.
    InitWait = 2,
    /// What the other needs is written; it waits for the other.
    Initialised = 3,
    /// In use.
    Connected = 4,
    /// It is about to go.
    Closing = 5,
    /// It is gone: nothing is shared any more.
    Closed = 6,
    /// Something of the machine changes.
    Reconfiguring = 7,
    /// Something of the machine has changed.
    Reconfigured = 8,
}

impl State {
    /// The state that a node's value says; unknown for all that makes no sense.
    pub fn parse(value: &str) -> Self {
        let states = [
            Self::Initialising,
            Self::InitWait,
            Self::Initialised,
            Self::Connected,
            Self::Closing,
            Self::Closed,
            Self::Reconfiguring,
            Self::Reconfigured,
        ];
        let number = value.parse::<u8>();
        states.into_iter().find(|state| number == Ok(*state as u8)).unwrap_or(Self::Unknown)
    }
}

/// Xenstore, as a driver sees it.
#[derive(Clone, Copy)]
pub struct Store {
    kernel: &'static dyn Kernel,
}

impl Store {
    /// That of the domain that `kernel` runs in.
    pub fn new(kernel: &'static dyn Kernel) -> Self {
        Self { kernel }
    }

    /// The value of a node; `None` if there is no such node, or nothing that makes sense.
    pub async fn read(&self, path: &str) -> Option<String> {
        String::from_utf8(self.ask(Request::Read, &[path.as_bytes(), b"\0"]).await.ok()?).ok()
    }

    /// The number in a node.
    pub async fn number<N: core::str::FromStr>(&self, path: &str) -> Option<N> {
        self.read(path).await?.parse().ok()
    }

    /// Whether a node says that its half has a feature: 1 is yes; 0, or no such node, is no.
    pub async fn feature(&self, path: &str) -> bool {
        self.number::<u32>(path).await.is_some_and(|value| value != 0)
    }

    /// The state in a node.
    pub async fn state(&self, path: &str) -> State {
        self.read(path).await.map_or(State::Unknown, |value| State::parse(&value))
    }

    /// The names below a node; none if there is no such node.
    pub async fn directory(&self, path: &str) -> Vec<String> {
        let names = self.ask(Request::Directory, &[path.as_bytes(), b"\0"]).await.unwrap_or_default();
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect()
    }

    /// Writes a node.
    pub async fn write(&self, path: &str, value: &str) -> Result<(), Failed> {
        self.ask(Request::Write, &[path.as_bytes(), b"\0", value.as_bytes()]).await.map(drop)
    }

    /// Starts to watch a node and all below it. `watch` is below [`MAX_WATCHES`](crate::xenstore::MAX_WATCHES), and used for one node at a
    /// time.
    pub async fn watch(&self, path: &str, watch: u32) -> Result<(), Failed> {
        self.ask(Request::Watch, &[path.as_bytes(), b"\0", &token(watch), b"\0"]).await.map(drop)
    }

    /// Ends a watch.
    pub async fn unwatch(&self, path: &str, watch: u32) {
        // A watch that xenstore does not know has ended.
        let _ = self.ask(Request::Unwatch, &[path.as_bytes(), b"\0", &token(watch), b"\0"]).await;
    }

    /// Whether a watch has fired since this was asked last.
    pub fn fired(&self, watch: u32) -> bool {
        let mut fired = false;
        self.kernel.with_store(&mut |talk, _| fired = talk.fired(watch));
        fired
    }

    /// Ready once a watch has fired since this, or [`Store::fired`], was asked last.
    pub async fn changed(&self, watch: u32) {
        poll_fn(|_| if self.fired(watch) { Poll::Ready(()) } else { Poll::Pending }).await
    }

    async fn ask(&self, request: Request, parts: &[&[u8]]) -> Result<Vec<u8>, Failed> {
        let mut ticket: Option<Ticket> = None;
        poll_fn(|_| {
            let mut answer = Poll::Pending;
            self.kernel.with_store(&mut |talk, requests| match ticket {
                // A broken ring stays silent, like a xenstore that does not answer.
                None => ticket = talk.ask(requests, request, parts).ok().flatten(),
                Some(ticket) => {
                    if let Some(taken) = talk.take(ticket, |answer| answer.map(<[u8]>::to_vec)) {
                        answer = Poll::Ready(taken);
                    }
                }
            });
            answer
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeKernel, run};

    #[test]
    fn states_are_numbers() {
        assert_eq!(State::parse("2"), State::InitWait);
        assert_eq!(State::parse("6"), State::Closed);
        for nonsense in ["", "0", "9", "256", "-1", "x"] {
            assert_eq!(State::parse(nonsense), State::Unknown, "{nonsense:?}");
        }
    }

    #[test]
    fn nodes_are_read_and_written() {
        let kernel = FakeKernel::new();
        let store = Store::new(kernel);
        kernel.set("device/vif/0/mtu", "9000");
        kernel.set("device/vif/1/state", "1");
        run(kernel, async move {
            assert_eq!(store.number::<u16>("device/vif/0/mtu").await, Some(9000));
            assert_eq!(store.number::<u8>("device/vif/0/mtu").await, None, "out of range");
            assert_eq!(store.state("device/vif/1/state").await, State::Initialising);
            assert_eq!(store.read("device/vif/7/state").await, None);
            assert_eq!(store.directory("device/vif").await, ["0", "1"]);
            assert!(store.directory("device/vbd").await.is_empty());
            store.write("device/vif/0/feature-sg", "1").await.unwrap();
            assert!(store.feature("device/vif/0/feature-sg").await && !store.feature("device/vif/0/other").await);
        });
        assert_eq!(kernel.get("device/vif/0/feature-sg").as_deref(), Some("1"));
    }

    #[test]
    fn a_watch_fires_at_its_start_and_at_each_change() {
        let kernel = FakeKernel::new();
        let store = Store::new(kernel);
        run(kernel, async move {
            store.watch("device/vif", 4).await.unwrap();
            store.changed(4).await;
            kernel.set("device/vif/0/state", "1");
            store.changed(4).await;
            store.unwatch("device/vif", 4).await;
            kernel.set("device/vif/0/state", "2");
        });
        let mut fired = true;
        kernel.with_store(&mut |talk, _| fired = talk.fired(4));
        assert!(!fired, "it was ended");
    }
}
