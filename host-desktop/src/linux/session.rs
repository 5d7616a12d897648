//! An app at work inside this program, for whoever needs more of it than a run: the preinit stage, which calls an app's initialiser and
//! then looks at its memory.
//!
//! The app is instantiated with WASI on this machine's ports, as for `mwasm run`.

use super::engine;
use crate::ports::Process;
pub use mwasm_host_core::State;
use mwasm_host_core::reactor::{Reactor, Stopped};
use mwasm_host_core::state::Event;
use mwasm_host_core::{failure, registry};
use mwasm_plan::Plan;
use mwasm_plan::net::Http;
use mwasm_ports::{Outcome, Output};
use std::sync::Arc;
use wasmtime::component::{Component, Instance, Linker};
use wasmtime::{Error, Result, Store};

/// An instantiated app.
pub struct Session {
    instance: Instance,
    store: Store<State>,
    reactor: Arc<Reactor>,
}

impl Session {
    /// Compiles a component for this process and instantiates it, with what `plan` grants. Fails also if the app ends by itself.
    pub fn start(component: &[u8], plan: &Plan<'static>) -> Result<Self> {
        // Initialisation is no request: nothing is counted.
        let engine = engine(plan.memory.stack_bytes, &Http::default())?;
        let component = Component::new(&engine, component)?;
        let mut ports = Process::ports();
        Process::open_entropy(&mut ports);
        let mut linker = Linker::new(&engine);
        registry::register_all(&mut linker)?;
        let state = State::new(ports, plan);
        let reactor = state.reactor.clone();
        let mut store = Store::new(&engine, state);
        store.limiter(|state| &mut state.limits);
        let instance = reactor.block_on(linker.instantiate_async(&mut store, &component)).map_err(stopped)?;
        Ok(Self { instance: instance.map_err(ended)?, store, reactor })
    }

    /// Runs a future that works on the app, such as a call of one of its functions.
    pub fn run<T>(&mut self, work: impl AsyncFnOnce(&mut Store<State>, Instance) -> Result<T>) -> Result<T> {
        let Self { instance, store, reactor } = self;
        reactor.block_on(work(store, *instance)).map_err(stopped)?.map_err(ended)
    }

    /// Waits until all that the app has written is handed over.
    pub fn flush(&mut self) -> Result<()> {
        for to in [Output::Out, Output::Err] {
            while !self.store.data_mut().is_ready(&Event::Output(to)) {
                self.reactor.block_on(self.reactor.wait(Event::Output(to).interest())).map_err(stopped)?;
            }
        }
        Ok(())
    }
}

/// An error of the app; its own wish to end is one, too.
fn ended(error: Error) -> Error {
    match failure::outcome(&error) {
        Outcome::Exit(code) => Error::msg(format!("the app ended with exit code {code}")),
        _ => error,
    }
}

fn stopped(_: Stopped) -> Error {
    Error::msg("somebody asked for the end")
}
