//! All that belongs to the app at run time. It sits in the Wasmtime store, in one place, and is plain data as far as it can be:
//! what a running app is can be listed, and one day moved.

use crate::console::Buffers;
use crate::fs::Dir;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::reactor::{Interest, Reactor, Readiness};
use crate::sockets::names::Resolve;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Waker};
use mwasm_plan::Plan;
use mwasm_plan::net::Net;
use mwasm_ports::{Output, Ports, Ready};
use wasmtime::component::ResourceTable;

/// The app's state in the store.
pub struct State {
    /// The machine.
    pub ports: Ports,
    /// What waits, for whom.
    pub reactor: Arc<Reactor>,
    /// Handles that the guest holds.
    pub table: ResourceTable,
    /// Program name and arguments.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Values of `wasi:config/store`.
    pub config: Vec<(String, String)>,
    /// Directories that the guest is given, beside the embedded ones and `/tmp`: path and directory.
    pub mounts: Vec<(String, Arc<dyn Dir>)>,
    /// Embedded directories.
    pub embedded: Vec<mwasm_plan::Dir<'static>>,
    /// Standard input and output in flight.
    pub console: Buffers,
    /// What the guest may still take.
    pub limits: Limits,
    /// What the app may reach. States of one app may share it: what was found and told is then remembered by all.
    pub policy: Arc<Policy>,
    /// How the network is set up.
    pub net: Net<'static>,
    /// What looks names up, once one was looked up. States of one app may share it.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// State of the generator behind `wasi:random/insecure`; 0 before its first use.
    pub insecure_seed: u64,
}

/// The most handles that a guest may hold at once.
pub const MAX_HANDLES: usize = 100_000;

impl State {
    /// The state at the start of a run of `plan` on a machine.
    pub fn new(ports: Ports, plan: &Plan<'static>) -> Self {
        let owned =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let args = [plan.name].into_iter().chain(plan.args.iter().copied()).map(String::from).collect();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            reactor: Reactor::new(ports.clone()),
            table,
            args,
            env: owned(&plan.env),
            config: owned(&plan.config),
            mounts: Vec::new(),
            embedded: plan.dirs.clone(),
            console: Buffers::default(),
            limits: Limits::new(ports.memory.clone(), plan.memory.heap_bytes),
            policy: Arc::new(Policy::new(plan.policy.clone(), plan.verbose.then(|| ports.console.clone()))),
            net: plan.net.clone(),
            resolver: None,
            insecure_seed: 0,
            ports,
        }
    }

    /// This state, for another instance of the app that `other` is of: on the same reactor, with a share of the same memory and the same
    /// policy.
    #[must_use]
    pub fn beside(mut self, other: &Self) -> Self {
        self.reactor = other.reactor.clone();
        self.limits = other.limits.beside();
        self.policy = other.policy.clone();
        self
    }

    /// Looks whether something that a guest waits for has come.
    pub fn is_ready(&mut self, event: &Event) -> bool {
        let console = self.ports.console.clone();
        match event {
            Event::Always => true,
            Event::At(deadline_ns) => self.ports.clock.monotonic_ns() >= *deadline_ns,
            Event::Input => self.console.input_ready(&*console),
            // A broken output is ready: the next write tells why.
            Event::Output(to) => self.console.drain(&*console, *to).unwrap_or(true),
            Event::Source(source) => source.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready(),
        }
    }
}

/// Something that a guest can wait for.
#[derive(Clone)]
pub enum Event {
    /// It has come already.
    Always,
    /// The monotonic clock shows this many nanoseconds.
    At(u64),
    /// Standard input has bytes, or has ended.
    Input,
    /// An output takes bytes.
    Output(Output),
    /// Something of another interface, such as a connection, is ready.
    Source(Arc<dyn Readiness>),
}

impl Event {
    /// What to wait for with the reactor.
    pub fn interest(&self) -> Interest {
        let (deadline_ns, devices) = match self {
            Self::Always => (Some(0), Ready::NONE),
            Self::At(deadline_ns) => (Some(*deadline_ns), Ready::NONE),
            Self::Input => (None, Ready::CONSOLE_IN),
            Self::Output(_) => (None, Ready::CONSOLE_OUT),
            Self::Source(source) => {
                return Interest { sources: alloc::vec![source.clone()], ..Interest::default() };
            }
        };
        Interest { deadline_ns, devices, ..Interest::default() }
    }
}
