//! An app at work inside this program: instantiated with WASI on this machine's ports, for whoever needs more of it than a run.
//!
//! Two do: the preinit stage, which calls an app's initialiser and then looks at its memory, and `mwasm run --invoke`, which calls a
//! function that is no entry of any world. The WASI that the app sees is that of the desktop host.

use anyhow::Result;
use mwasm_host_core::reactor::{Reactor, Stopped};
use mwasm_host_core::state::Event;
use mwasm_host_core::{State, failure, registry};
use mwasm_host_desktop::linux::engine;
use mwasm_host_desktop::ports::Process;
use mwasm_plan::Plan;
use mwasm_ports::{Outcome, Output};
use std::fmt;
use std::sync::Arc;
use wasmtime::component::{Component, Instance, Linker};
use wasmtime::{Error, Store};

/// An instantiated app.
pub struct Session {
    /// The app as it was compiled.
    pub component: Component,
    /// Its instance.
    pub instance: Instance,
    /// All that belongs to it.
    pub store: Store<State>,
    reactor: Arc<Reactor>,
}

/// An app that ended before it was done.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// Why, in Wasmtime's words.
    pub why: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Ended {}

impl Ended {
    fn new(error: &Error) -> Self {
        let outcome = failure::outcome(error);
        let why = match outcome {
            Outcome::Exit(code) => format!("the app ended with exit code {code}"),
            _ => format!("{error:?}"),
        };
        Self { outcome, why }
    }
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self { outcome: Outcome::Stopped, why: "somebody asked for the end".to_owned() }
    }
}

impl Session {
    /// Compiles a component for this process and instantiates it, with what `plan` grants.
    pub fn start(component: &[u8], plan: &Plan<'static>) -> Result<Self> {
        let engine = engine(plan.memory.stack_bytes).map_err(crate::engine::error)?;
        let component = Component::new(&engine, component).map_err(crate::engine::error)?;
        let mut ports = Process::ports();
        Process::open_entropy(&mut ports);
        let mut linker = Linker::new(&engine);
        registry::register_all(&mut linker).map_err(crate::engine::error)?;
        let state = State::new(ports, plan);
        let reactor = state.reactor.clone();
        let mut store = Store::new(&engine, state);
        store.limiter(|state| &mut state.limits);
        let instance = reactor.block_on(linker.instantiate_async(&mut store, &component)).map_err(Ended::from)?;
        let instance = instance.map_err(|error| Ended::new(&error))?;
        Ok(Self { component, instance, store, reactor })
    }

    /// Runs a future that works on the app, such as a call of one of its functions.
    pub fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Store<State>, Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Ended> {
        let Self { instance, store, reactor, .. } = self;
        let done = reactor.block_on(work(store, *instance))?;
        done.map_err(|error| Ended::new(&error))
    }

    /// Waits until all that the app has written is handed over.
    pub fn flush(&mut self) -> Result<(), Ended> {
        for to in [Output::Out, Output::Err] {
            while !self.store.data_mut().is_ready(Event::Output(to)) {
                let (deadline_ns, interest) = Event::Output(to).wait_for();
                self.reactor.block_on(self.reactor.wait(deadline_ns, interest))?;
            }
        }
        Ok(())
    }
}
