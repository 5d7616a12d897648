//! `mwasm run` on the desktop: compile in the process, run at once.

mod directory;
pub mod session;

use crate::network::{Card, Linux, Tap};
use crate::ports::Process;
use mwasm_host_core::policy::Policy;
use mwasm_host_core::run::App;
use mwasm_host_core::{State, engine, fs::Dir, registry};
use mwasm_plan::Plan;
use mwasm_plan::net::Http;
use mwasm_ports::{Outcome, Ports};
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Error, Result, WasmBacktraceDetails};

/// A directory of the machine that an app is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDir {
    /// Where it is on the machine.
    pub host: PathBuf,
    /// Where the guest sees it, such as `/data`.
    pub guest: String,
}

/// Compiles a component and runs it on this machine, as `plan` says, with `dirs`. What goes wrong while it runs is told on standard
/// error; an error here means that it could not be compiled, or that a directory cannot be opened.
pub fn run(component: &[u8], plan: &Plan<'static>, dirs: &[HostDir]) -> Result<Outcome> {
    let mut ports = Process::ports();
    Process::open_entropy(&mut ports);
    if !plan.policy.is_empty() {
        let open = match (plan.policy.link.is_empty(), plan.net.tap.is_empty()) {
            (false, _) => Card::open,
            (true, true) => Linux::open,
            (true, false) => Tap::open,
        };
        open(&mut ports, plan).map_err(Error::msg)?;
    }
    run_on(ports, component, plan, dirs)
}

/// As [`run`], on other ports.
pub fn run_on(ports: Ports, component: &[u8], plan: &Plan<'static>, dirs: &[HostDir]) -> Result<Outcome> {
    let engine = engine(plan.memory.stack_bytes, &plan.net.http)?;
    let component = Component::new(&engine, component)?;
    let mut linker = Linker::new(&engine);
    registry::register_all(&mut linker)?;
    let mut mounts = Vec::new();
    for dir in dirs {
        let opened: Arc<dyn Dir> = directory::open(&dir.host).map_err(|error| {
            Error::msg(format!("cannot open the directory '{}' for the app: {error}", dir.host.display()))
        })?;
        mounts.push((dir.guest.clone(), opened));
    }
    let app = App { component: &component, linker: &linker, plan, describe };
    // Whoever runs an app by hand wants to know what it is refused.
    let policy = Arc::new(Policy::new(plan.policy.clone(), Some(ports.console.clone())));
    let new_state = || {
        let mut state = State::new(ports.clone(), plan);
        state.policy = policy.clone();
        state.mounts.clone_from(&mounts);
        state
    };
    Ok(registry::start(plan.entry)(&app, &new_state))
}

/// The engine of `mwasm run`: the settings of an image, but with what a person needs to find a fault.
pub fn engine(stack_bytes: u64, http: &Http) -> Result<Engine> {
    let mut config = Config::new();
    engine::configure(&mut config, stack_bytes, true, true);
    engine::meter(&mut config, http);
    config.generate_address_map(true);
    config.debug_symbols(true);
    config.native_unwind_info(true);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    Engine::new(&config)
}

/// Wasmtime's own description: cause, functions, and lines where the app has DWARF.
fn describe(error: &Error) -> String {
    format!("mwasm: the app trapped: {}\n{error:?}\n", error.root_cause())
}
