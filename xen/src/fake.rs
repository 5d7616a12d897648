//! A kernel, a hypervisor and a xenstore in memory, for tests.

use crate::grants::GrantTable;
use crate::hypercall::Refused;
use crate::kernel::{Kernel, PAGE_BYTES};
use crate::ring::Ring;
use crate::xenstore::{Conversation, HEADER_BYTES, Request};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};
use core::task::{Context, Poll, Waker};
use spin::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;

const RING_BYTES: usize = 1024;
const ENTRIES: u32 = 512;
/// Frame numbers start here, so that they are no indices by chance.
const FIRST_FRAME: u32 = 0x100;
/// How often a future is polled before it is said to hang.
const POLLS: u32 = 1000;

/// One direction of the talk with xenstore.
struct Wire {
    buffer: Vec<AtomicU8>,
    counters: [AtomicU32; 2],
}

impl Wire {
    fn new() -> Self {
        Self { buffer: (0..RING_BYTES).map(|_| AtomicU8::new(0)).collect(), counters: Default::default() }
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.buffer, &self.counters[0], &self.counters[1])
    }
}

/// The kernel. It is leaked, as kernels are.
pub struct FakeKernel {
    requests: Wire,
    replies: Wire,
    conversation: Mutex<Conversation>,
    news: AtomicU32,
    table: Mutex<GrantTable>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Addresses of pages; a frame's number is its index, from [`FIRST_FRAME`] on.
    pages: Vec<usize>,
    /// Addresses of the grant table's pages.
    grants: Vec<usize>,
    nodes: BTreeMap<String, String>,
    watches: Vec<(String, String)>,
    /// Messages that do not fit the ring yet.
    unsent: Vec<(u32, u32, Vec<u8>)>,
    open_ports: Vec<u32>,
    next_port: u32,
    notified: Vec<u32>,
    rung: u32,
}

impl FakeKernel {
    /// A domain with an empty xenstore.
    pub fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            requests: Wire::new(),
            replies: Wire::new(),
            conversation: Mutex::new(Conversation::new()),
            news: AtomicU32::new(0),
            table: Mutex::new(GrantTable::new()),
            state: Mutex::new(State { next_port: 10, ..State::default() }),
        }))
    }

    /// Flags, domain and frame of an entry of the grant table.
    pub fn grant_entry(&self, reference: u32) -> (u16, u16, u32) {
        let Some(at) = self.grant_address(reference) else { return (0, 0, 0) };
        // SAFETY: the page was leaked, and is used by atomics of these sizes only.
        let (flags, domain, frame) =
            unsafe { (&*(at as *const AtomicU16), &*((at + 2) as *const AtomicU16), &*((at + 4) as *const AtomicU32)) };
        (flags.load(Ordering::Acquire), domain.load(Ordering::Relaxed), frame.load(Ordering::Relaxed))
    }

    /// As Xen does while another domain uses the page of a grant: sets or clears flags.
    pub fn mark_grant(&self, reference: u32, flags: u16, set: bool) {
        if let Some(at) = self.grant_address(reference) {
            // SAFETY: as in `grant_entry`.
            let entry = unsafe { &*(at as *const AtomicU16) };
            if set {
                entry.fetch_or(flags, Ordering::SeqCst)
            } else {
                entry.fetch_and(!flags, Ordering::SeqCst)
            };
        }
    }

    fn grant_address(&self, reference: u32) -> Option<usize> {
        let page = *self.state.lock().grants.get((reference / ENTRIES) as usize)?;
        Some(page + (reference % ENTRIES) as usize * 8)
    }

    /// The page that a grant lets `domain` use, as Xen checks it.
    pub fn granted(&self, reference: u32, domain: u16, write: bool) -> Option<NonNull<u8>> {
        let (flags, to, frame) = self.grant_entry(reference);
        let allowed = flags & 3 == 1 && to == domain && (!write || flags & 4 == 0);
        let pages = &self.state.lock().pages;
        let address = *pages.get(frame.checked_sub(FIRST_FRAME)? as usize)?;
        NonNull::new(address as *mut u8).filter(|_| allowed)
    }

    /// Ports that were notified since this was asked last.
    pub fn take_notified(&self) -> Vec<u32> {
        core::mem::take(&mut self.state.lock().notified)
    }

    /// Ports that are open.
    pub fn open_ports(&self) -> Vec<u32> {
        self.state.lock().open_ports.clone()
    }

    /// How often the driver rang by itself, since this was asked last.
    pub fn take_rung(&self) -> u32 {
        core::mem::take(&mut self.state.lock().rung)
    }

    /// A node's value.
    pub fn get(&self, path: &str) -> Option<String> {
        self.state.lock().nodes.get(path).cloned()
    }

    /// Sets a node, as another domain does.
    pub fn set(&self, path: &str, value: &str) {
        self.state.lock().set(path, value);
    }

    /// Removes a node and all below it, as another domain does.
    pub fn remove(&self, path: &str) {
        let mut state = self.state.lock();
        state.nodes.retain(|node, _| !is_below(node, path));
        state.fire(path);
    }

    /// Xenstore's turn: answers what was asked, and delivers. False if there was nothing to do.
    pub fn serve(&self) -> bool {
        let mut busy = false;
        let mut header = [0; HEADER_BYTES];
        while self.requests.ring().filled().is_ok_and(|filled| filled >= HEADER_BYTES) {
            self.requests.ring().read(&mut header).unwrap();
            let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
            let mut payload = vec![0; word(12) as usize];
            self.requests.ring().read(&mut payload).unwrap();
            self.state.lock().answer(word(0), word(4), &payload);
            busy = true;
        }
        loop {
            let mut state = self.state.lock();
            let Some((kind, id, payload)) = state.unsent.first().cloned() else { break };
            if self.replies.ring().room().unwrap() < HEADER_BYTES + payload.len() {
                break;
            }
            state.unsent.remove(0);
            for word in [kind, id, 0, payload.len() as u32] {
                self.replies.ring().write(&word.to_le_bytes()).unwrap();
            }
            self.replies.ring().write(&payload).unwrap();
            drop(state);
            let received = self.conversation.lock().receive(&self.replies.ring(), &self.requests.ring());
            received.unwrap();
            busy = true;
        }
        if busy {
            self.news.fetch_add(1, Ordering::SeqCst);
        }
        busy
    }
}

fn is_below(node: &str, path: &str) -> bool {
    node.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl State {
    fn set(&mut self, path: &str, value: &str) {
        self.nodes.insert(path.to_owned(), value.to_owned());
        self.fire(path);
    }

    fn fire(&mut self, path: &str) {
        for (watched, token) in self.watches.clone() {
            // A node that is removed takes those below it along.
            if is_below(path, &watched) || is_below(&watched, path) {
                self.unsent.push((15, 0, format!("{path}\0{token}\0").into_bytes()));
            }
        }
    }

    fn answer(&mut self, kind: u32, id: u32, payload: &[u8]) {
        let text = String::from_utf8(payload.to_vec()).unwrap();
        let (path, rest) = text.split_once('\0').unwrap();
        let token = rest.trim_end_matches('\0').to_owned();
        let is = |request: Request| kind == request as u32;
        let mut answer = Some("OK\0".to_owned());
        if is(Request::Read) {
            answer = self.nodes.get(path).cloned();
        } else if is(Request::Directory) {
            let mut names: Vec<&str> =
                self.nodes.keys().filter_map(|node| node.strip_prefix(path)?.strip_prefix('/')).collect();
            names.iter_mut().for_each(|name| *name = name.split('/').next().unwrap());
            names.dedup();
            answer = (!names.is_empty()).then(|| names.iter().map(|name| format!("{name}\0")).collect());
        } else if is(Request::Write) {
            self.set(path, rest);
        } else if is(Request::Watch) {
            self.watches.push((path.to_owned(), token.clone()));
        } else if is(Request::Unwatch) {
            self.watches.retain(|watch| *watch != (path.to_owned(), token.clone()));
        }
        match answer {
            Some(answer) => self.unsent.push((kind, id, answer.into_bytes())),
            None => self.unsent.push((16, id, b"ENOENT\0".to_vec())),
        }
        if is(Request::Watch) {
            self.unsent.push((15, 0, format!("{path}\0{token}\0").into_bytes()));
        }
    }
}

impl Kernel for FakeKernel {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        let memory = vec![0u8; (count + 1) * PAGE_BYTES].leak();
        let first = (memory.as_mut_ptr() as usize).next_multiple_of(PAGE_BYTES);
        self.state.lock().pages.extend((0..count).map(|i| first + i * PAGE_BYTES));
        let offset = first - memory.as_ptr() as usize;
        NonNull::new(memory[offset..].as_mut_ptr())
    }

    fn frame_of(&self, page: NonNull<u8>) -> Option<u32> {
        let index = self.state.lock().pages.iter().position(|address| *address == page.as_ptr() as usize)?;
        Some(FIRST_FRAME + index as u32)
    }

    fn map_grants(&self, index: u32, page: NonNull<u8>) -> Result<(), Refused> {
        let mut state = self.state.lock();
        assert_eq!(index as usize, state.grants.len());
        state.grants.push(page.as_ptr() as usize);
        Ok(())
    }

    fn grants(&self) -> &Mutex<GrantTable> {
        &self.table
    }

    fn allocate_port(&self, _remote: u16) -> Result<u32, Refused> {
        let mut state = self.state.lock();
        state.next_port += 1;
        let port = state.next_port;
        state.open_ports.push(port);
        Ok(port)
    }

    fn close_port(&self, port: u32) {
        let mut state = self.state.lock();
        let before = state.open_ports.len();
        state.open_ports.retain(|open| *open != port);
        assert_eq!(state.open_ports.len() + 1, before, "port {port} is not open");
    }

    fn notify(&self, port: u32) {
        self.state.lock().notified.push(port);
    }

    fn ring(&self) {
        self.state.lock().rung += 1;
    }

    fn with_store(&self, f: &mut dyn FnMut(&mut Conversation, &Ring<'_>)) {
        f(&mut self.conversation.lock(), &self.requests.ring());
    }

    fn store_news(&self) -> &AtomicU32 {
        &self.news
    }

    fn wait_for_store(&self) -> bool {
        self.serve()
    }
}

/// Polls a future until it is ready; xenstore has its turn in between.
pub fn run<T>(kernel: &FakeKernel, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..POLLS {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        kernel.serve();
    }
    panic!("the future hangs");
}
