//! From a precompiled component to its exit code.

use crate::failure;
use crate::reactor::{Reactor, Stopped};
use crate::state::{Event, State};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::mem::ManuallyDrop;
use core::pin::pin;
use core::task::Poll;
use mwasm_plan::{Entry, Plan};
use mwasm_ports::{NANOS_PER_SECOND, Outcome, Output};
use wasmtime::component::{Component, Instance, Linker, ResourceTable};
use wasmtime::{Error, Result, Store};

/// An app, ready to be started.
pub struct App<'a> {
    /// Its code.
    pub component: &'a Component,
    /// What it may import.
    pub linker: &'a Linker<State>,
    /// What was decided at build time.
    pub plan: &'a Plan<'static>,
    /// How an error of the app is told ([`failure::describe`] unless the host has better).
    pub describe: fn(&Error) -> String,
}

/// A way to start an app, with a maker of fresh states. Each has a symbol of its own; an image's table names the one that it needs.
pub type Start = fn(&App<'_>, &dyn Fn() -> State) -> Outcome;

/// Starts an app that is a program: instantiates it, calls the plan's entry, and runs it to its end. What went wrong is told on the
/// console's error output.
#[unsafe(export_name = "mwasm_start_run")]
pub fn run(app: &App<'_>, new_state: &dyn Fn() -> State) -> Outcome {
    run_and(app, new_state, |_, _| true)
}

/// As [`run`], for an app that may have connections.
#[unsafe(export_name = "mwasm_start_run_networked")]
pub fn run_networked(app: &App<'_>, new_state: &dyn Fn() -> State) -> Outcome {
    run_and(app, new_state, |reactor, store| reactor.block_on(linger(reactor, store)).is_ok())
}

/// What is left to do when the app has ended; `false` if somebody asked for the end meanwhile.
type AtTheEnd = fn(&Arc<Reactor>, &mut Store<State>) -> bool;

fn run_and(app: &App<'_>, new_state: &dyn Fn() -> State, at_the_end: AtTheEnd) -> Outcome {
    let App { component, linker, plan, describe } = *app;
    let (entry, state) = (plan.entry, new_state());
    let reactor = state.reactor.clone();
    // Not freed: a process or a machine ends after its run, and takes back everything at once.
    let mut store = ManuallyDrop::new(Store::new(component.engine(), state));
    store.limiter(|state| &mut state.limits);
    let (result, started) = start_and_call(&reactor, &mut store, component, linker, entry);
    if !drain(&reactor, &mut store) || !at_the_end(&reactor, &mut store) {
        return Outcome::Stopped;
    }
    let outcome = match &result {
        Err(Stopped) => return Outcome::Stopped,
        Ok(Ok(outcome)) => return *outcome,
        Ok(Err(error)) if started => failure::outcome(error),
        Ok(Err(error)) => match failure::outcome(error) {
            Outcome::Trap if error.downcast_ref::<wasmtime::Trap>().is_none() => Outcome::Failed,
            outcome => outcome,
        },
    };
    if let (Ok(Err(error)), Outcome::Trap | Outcome::Failed) = (&result, outcome) {
        let text = match outcome {
            Outcome::Failed => format!("mwasm: the app cannot start: {error:#}\n{}", memory_hint(&store)),
            _ => format!("{}{}", describe(error), memory_hint(&store)),
        };
        say(&reactor, &mut store, &text);
    }
    outcome
}

/// The run itself; the flag says whether the app was instantiated.
fn start_and_call(
    reactor: &Arc<Reactor>,
    store: &mut Store<State>,
    component: &Component,
    linker: &Linker<State>,
    entry: Entry<'_>,
) -> (Result<Result<Outcome>, Stopped>, bool) {
    match reactor.block_on(linker.instantiate_async(&mut *store, component)) {
        Err(Stopped) => (Err(Stopped), false),
        Ok(Err(error)) => (Ok(Err(error)), false),
        Ok(Ok(instance)) => (reactor.block_on(call(store, component, instance, entry)), true),
    }
}

async fn call(
    store: &mut Store<State>,
    component: &Component,
    instance: Instance,
    entry: Entry<'_>,
) -> Result<Outcome> {
    let (export, concurrent) = match entry {
        Entry::None | Entry::Serve02(_) | Entry::Serve03(_) => return Ok(Outcome::Exit(0)),
        Entry::Run02(export) => (export, false),
        Entry::Run03(export) => (export, true),
    };
    let index = component.get_export_index(None, export);
    let index = index.and_then(|interface| component.get_export_index(Some(&interface), "run"));
    let index = index.ok_or_else(|| Error::msg(format!("it exports no function 'run' in '{export}'")))?;
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, index)?;
    let (result,) =
        if concurrent { call_concurrent(store, run).await? } else { run.call_async(&mut *store, ()).await? };
    Ok(Outcome::Exit(u8::from(result.is_err())))
}

type Run = wasmtime::component::TypedFunc<(), (Result<(), ()>,)>;

#[cfg(feature = "component-model-async")]
async fn call_concurrent(store: &mut Store<State>, run: Run) -> Result<(Result<(), ()>,)> {
    store.run_concurrent(async move |accessor| run.call_concurrent(accessor, ()).await).await?
}

#[cfg(not(feature = "component-model-async"))]
async fn call_concurrent(_store: &mut Store<State>, _run: Run) -> Result<(Result<(), ()>,)> {
    Err(Error::msg("this host was built without the component model's async, which WASI 0.3 needs"))
}

/// How long the other sides of connections may take what the app had written when it ended, in nanoseconds.
pub const LINGER_NS: u64 = 30 * NANOS_PER_SECOND;

/// Waits until what the app has written to connections is handed over, and the connections that it left open are closed.
async fn linger(reactor: &Arc<Reactor>, store: &mut Store<State>) {
    let Some(network) = store.data().ports.network.clone() else { return };
    let until_ns = store.data().ports.clock.monotonic_ns().saturating_add(LINGER_NS);
    let (mut settled, mut late) = (pin!(reactor.settled()), pin!(reactor.sleep_until(until_ns)));
    let mut are_closed = false;
    poll_fn(|context| {
        if !are_closed && settled.as_mut().poll(context).is_ready() {
            // What nobody holds is closed in order.
            store.data_mut().table = ResourceTable::new();
            are_closed = true;
        }
        if are_closed && network.poll_settled(context).is_ready() {
            return Poll::Ready(());
        }
        late.as_mut().poll(context)
    })
    .await;
}

/// Hands over all output that is in flight; `false` if somebody asked for the end meanwhile.
fn drain(reactor: &Arc<Reactor>, store: &mut Store<State>) -> bool {
    let state = store.data_mut();
    [Output::Out, Output::Err].into_iter().all(|to| {
        while !state.is_ready(&Event::Output(to)) {
            if reactor.block_on(reactor.wait(Event::Output(to).interest())).is_err() {
                return false;
            }
        }
        true
    })
}

/// Says something of the host's own on the error output. A console that is gone cannot be told so.
fn say(reactor: &Arc<Reactor>, store: &mut Store<State>, text: &str) {
    let state = store.data_mut();
    let console = state.ports.console.clone();
    if state.console.write(&*console, Output::Err, text.as_bytes()).is_ok() {
        drain(reactor, store);
    }
}

/// An app that was refused memory most often fails of that.
fn memory_hint(store: &Store<State>) -> String {
    let limits = &store.data().limits;
    match limits.refused_bytes() {
        0 => String::new(),
        refused => format!(
            "mwasm: it has {} KiB of memory and was refused {} KiB more of {} KiB; give it more ([memory] heap, or a larger machine)\n",
            limits.granted_bytes() >> 10,
            refused >> 10,
            limits.most_bytes() >> 10,
        ),
    }
}
