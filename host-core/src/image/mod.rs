//! A fused image from the inside: the table that the fuse stage left, and the run of what it names.
//!
//! The app is never copied: Wasmtime reads it where the linker put it, and its code is made executable in place
//! ([`code`](self::code)). The plan is read once and borrowed from for the rest of the run.

mod code;
mod stacks;

use crate::engine;
use crate::failure;
use crate::interface::Register;
use crate::run::{App, Start};
use crate::state::State;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use mwasm_plan::{DecodeError, Plan, check_tree};
use mwasm_ports::{Outcome, Output, Ports};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Error, Result};

/// Opens a port beyond the basic ones, as the plan says; otherwise it says what the machine lacks.
pub type OpenPort = fn(&mut Ports, &mut Plan<'static>) -> Result<(), &'static str>;

/// The table at [`mwasm_plan::symbols::IMAGE`], written by the fuse stage.
#[repr(C)]
struct Image {
    app: *const u8,
    app_bytes: usize,
    plan: *const u8,
    plan_bytes: usize,
    items: *const Item,
    item_count: usize,
    ports: *const OpenPort,
    port_count: usize,
    start: Start,
}

/// A function or resource of an interface; those of an interface stand together.
#[repr(C)]
struct Item {
    /// The interface's name in the app.
    interface: *const u8,
    interface_bytes: usize,
    /// Its own name there.
    name: *const u8,
    name_bytes: usize,
    register: Register,
}

impl Item {
    fn interface(&self) -> &'static str {
        // SAFETY: the fuse stage wrote address and length of a constant text.
        unsafe { text(self.interface, self.interface_bytes) }
    }

    fn name(&self) -> &'static str {
        // SAFETY: the fuse stage wrote address and length of a constant text.
        unsafe { text(self.name, self.name_bytes) }
    }
}

/// A text of the table.
///
/// # Safety
/// There must be that many bytes of constant UTF-8.
unsafe fn text(start: *const u8, bytes: usize) -> &'static str {
    // SAFETY: the caller vouches for it.
    unsafe { core::str::from_utf8_unchecked(core::slice::from_raw_parts(start, bytes)) }
}

unsafe extern "Rust" {
    #[link_name = "mwasm_image"]
    static IMAGE: Image;
}

/// The plan of this image; what there is of a network in it is read by the opener of that port.
pub fn plan() -> Result<Plan<'static>, DecodeError> {
    // SAFETY: the fuse stage wrote the table: address and length of the plan, which is constant for the whole run.
    let bytes = unsafe { core::slice::from_raw_parts(IMAGE.plan, IMAGE.plan_bytes) };
    Plan::decode_without_network(bytes)
}

/// Runs this image on a machine, to the app's end. Whatever goes wrong is told on the console.
pub fn run(ports: Ports) -> Outcome {
    run_with_args(ports, None)
}

/// As [`run`], with arguments (after the program's name) in place of those compiled in.
pub fn run_with_args(mut ports: Ports, args: Option<Vec<&'static str>>) -> Outcome {
    let outcome = plan().map_err(|error| format!("{error}")).and_then(|mut plan| {
        plan.args = args.unwrap_or(plan.args);
        // SAFETY: the fuse stage wrote the table: address and number of port openers of this type.
        let openers = unsafe { core::slice::from_raw_parts(IMAGE.ports, IMAGE.port_count) };
        for open in openers {
            open(&mut ports, &mut plan)?;
        }
        run_plan(&ports, &plan).map_err(|error| format!("{error:#}"))
    });
    outcome.unwrap_or_else(|why| {
        // A console that takes nothing now cannot be waited for here: there is no app yet, and so no reactor.
        let _ = ports.console.write(Output::Err, format!("mwasm: this image cannot start: {why}\n").as_bytes());
        Outcome::Failed
    })
}

fn run_plan(ports: &Ports, plan: &Plan<'static>) -> Result<Outcome> {
    for dir in &plan.dirs {
        check_tree(dir).map_err(|error| Error::msg(format!("its embedded files are damaged: {error}")))?;
    }
    let mut config = Config::new();
    engine::configure(&mut config, plan.memory.stack_bytes, plan.memory.paged_data, engine::CONCURRENCY);
    engine::meter(&mut config, &plan.net.http);
    engine::detect_features(&mut config);
    config.with_custom_code_memory(Some(Arc::new(code::InPlace)));
    config.with_host_stack(Arc::<stacks::Guarded>::default());
    let engine = Engine::new(&config)?;
    // SAFETY: the fuse stage put the output of Wasmtime's own compiler there, and it stays for the whole run.
    let component = unsafe {
        let app = NonNull::slice_from_raw_parts(NonNull::new_unchecked(IMAGE.app.cast_mut()), IMAGE.app_bytes);
        Component::deserialize_raw(&engine, app)?
    };
    let mut linker = Linker::new(&engine);
    // SAFETY: the fuse stage wrote the table: address and number of items.
    let items = unsafe { core::slice::from_raw_parts(IMAGE.items, IMAGE.item_count) };
    for group in items.chunk_by(|one, next| one.interface() == next.interface()) {
        let name = group.first().map(Item::interface).unwrap_or_default();
        let mut instance = linker.instance(name)?;
        group.iter().try_for_each(|item| (item.register)(&mut instance, item.name()))?;
    }
    let app = App { component: &component, linker: &linker, plan, describe: failure::describe };
    // SAFETY: the fuse stage wrote the table: a function of this type.
    let start = unsafe { IMAGE.start };
    let outcome = start(&app, &|| State::new(ports.clone(), plan));
    // The machine ends with the app: to free all this one by one would be work for nobody.
    core::mem::forget((component, linker));
    Ok(outcome)
}
