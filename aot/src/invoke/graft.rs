//! The component around an app that calls one of its functions.
//!
//! ```text
//!   imports of the app --> app --function--> caller --> wasi:cli/run
//!   mwasm:wave/print ----------------------> caller
//! ```
//!
//! A component may neither call itself nor a component inside it, so app and caller are side by side in an outer one, which passes the
//! app's imports on. The caller is appended to it: sections of a component may follow each other in any order.

use super::Call;
use super::constants::{BASE, Data};
use super::print::PRINT;
use super::types::{TypeWriter, name};
use crate::app::App;
use crate::strip::component::{Component as Parsed, Def, Model, ROOT};
use crate::strip::component_refs::Space;
use anyhow::{Context, Result};
use std::fmt::Write;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentImportSection, ComponentInstanceSection, ComponentSectionId, ComponentTypeRef,
    ComponentTypeSection, ComponentValType, ExportKind, InstanceSection, InstanceType, ModuleArg, PrimitiveValType,
    RawSection,
};
use wasmparser::ComponentInstance;

/// The interface that prints; see host-core's module `wave`.
const INTERFACE: &str = "mwasm:wave/print@0.1.0";
/// The caller's import of the function.
const CALL: &str = "call";
/// Bytes before the first section of a component.
const HEADER_BYTES: usize = 8;
/// Size of a page of memory in bytes.
const PAGE_BYTES: u32 = 64 << 10;

/// Puts the app inside a component that makes the call by `main`, a core module, with `data` in its memory.
pub fn graft(app: &App, call: &Call, data: &Data, main: &[u8]) -> Result<Vec<u8>> {
    let mut outer = around(app)?;
    let caller = caller(call, &memory(data)?, main);
    let tail = {
        let model = Model::parse(&outer)?;
        tail(model.component(ROOT), call, &caller)?
    };
    outer.extend_from_slice(tail.get(HEADER_BYTES..).unwrap_or_default());
    Ok(outer)
}

/// A component that instantiates the app with its own imports, and exports nothing.
fn around(app: &App) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let package = Package::from_bytes("mwasm:app", None, app.component.clone(), graph.types_mut())
        .with_context(|| format!("cannot put '{}' inside another component", app.name))?;
    let package = graph.register_package(package)?;
    graph.instantiate(package);
    Ok(graph.encode(EncodeOptions::default())?)
}

/// The sections to append to the outer component: the caller, linked to the app.
fn tail(outer: &Parsed<'_>, call: &Call, caller: &[u8]) -> Result<Vec<u8>> {
    let count = |space: Space| outer.spaces[space as usize].len() as u32;
    let instantiates = |def: &Def<'_>| matches!(def, Def::Instance(ComponentInstance::Instantiate { .. }));
    let (_, added) =
        outer.defs.iter().zip(&outer.adds).find(|(def, _)| instantiates(def)).context("the app was lost")?;
    let (_, app, _) = added.context("the app was lost")?;
    let mut component = Component::new();
    let mut instances = count(Space::Instance);

    let mut aliases = ComponentAliasSection::new();
    let mut alias = |instance, kind, name: &str| {
        aliases.alias(Alias::InstanceExport { instance, kind, name });
    };
    let holder = match &call.interface {
        None => app,
        Some(interface) => {
            alias(app, ComponentExportKind::Instance, interface);
            instances += 1;
            instances - 1
        }
    };
    alias(holder, ComponentExportKind::Func, &call.function);
    component.section(&aliases);

    let mut types =
        TypeWriter { component: &mut component, next: count(Space::Type), imports: false, named: Vec::new() };
    types.function(call);
    let TypeWriter { next, named, .. } = types;
    import_printer(&mut component, next);

    component.section(&RawSection { id: ComponentSectionId::Component as u8, data: caller });
    let mut arguments = vec![
        (CALL.to_owned(), ComponentExportKind::Func, count(Space::Func)),
        (INTERFACE.to_owned(), ComponentExportKind::Instance, instances),
    ];
    arguments.extend((0..).zip(named).map(|(number, index)| (name(number), ComponentExportKind::Type, index)));
    let mut instance = ComponentInstanceSection::new();
    instance.instantiate(count(Space::Component), arguments);
    component.section(&instance);
    let mut aliases = ComponentAliasSection::new();
    let entry = call.entry();
    aliases.alias(Alias::InstanceExport { instance: instances + 1, kind: ComponentExportKind::Instance, name: entry });
    component.section(&aliases);
    let mut exports = ComponentExportSection::new();
    exports.export(entry, ComponentExportKind::Instance, instances + 2, None);
    component.section(&exports);
    Ok(component.finish())
}

/// Imports the interface that prints; its type gets the index `ty`.
fn import_printer(component: &mut Component, ty: u32) {
    let takes = [
        PrimitiveValType::String,
        PrimitiveValType::String,
        PrimitiveValType::Char,
        PrimitiveValType::S64,
        PrimitiveValType::U64,
        PrimitiveValType::F32,
        PrimitiveValType::F64,
    ];
    let mut instance = InstanceType::new();
    for ((index, (name, _)), value) in (0..).zip(PRINT).zip(takes) {
        instance.ty().function().async_(false).params([("value", value)]).result(None);
        instance.export(name, ComponentTypeRef::Func(index));
    }
    let mut types = ComponentTypeSection::new();
    types.ty().instance(&instance);
    component.section(&types);
    let mut imports = ComponentImportSection::new();
    imports.import(INTERFACE, ComponentTypeRef::Instance(ty));
    component.section(&imports);
}

/// The component that makes the call, from its core modules.
fn caller(call: &Call, memory: &[u8], main: &[u8]) -> Vec<u8> {
    // Core instances: of the memory, two that hold what `main` imports, of `main`.
    let [at_memory, at_app, at_printer, at_main] = [0, 1, 2, 3];
    let printers = PRINT.len() as u32;
    let mut component = Component::new();

    // Functions: the one to call, and those that print.
    let mut types = TypeWriter { component: &mut component, next: 0, imports: true, named: Vec::new() };
    let function = types.function(call);
    let printer_type = types.next;
    let mut imports = ComponentImportSection::new();
    imports.import(CALL, ComponentTypeRef::Func(function));
    component.section(&imports);
    import_printer(&mut component, printer_type);
    let mut aliases = ComponentAliasSection::new();
    for (name, _) in PRINT {
        aliases.alias(Alias::InstanceExport { instance: 0, kind: ComponentExportKind::Func, name });
    }
    component.section(&aliases);

    // Core functions: `realloc`, the one to call, those that print, `run`.
    for module in [memory, main] {
        component.section(&RawSection { id: ComponentSectionId::CoreModule as u8, data: module });
    }
    let mut instances = InstanceSection::new();
    instances.instantiate::<[(&str, ModuleArg); 0], &str>(0, []);
    component.section(&instances);
    let alias = |component: &mut Component, instance, kind, name| {
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::CoreInstanceExport { instance, kind, name });
        component.section(&aliases);
    };
    alias(&mut component, at_memory, ExportKind::Memory, "memory");
    alias(&mut component, at_memory, ExportKind::Func, "realloc");
    let options = [CanonicalOption::UTF8, CanonicalOption::Memory(0), CanonicalOption::Realloc(0)];
    let mut lowered = CanonicalFunctionSection::new();
    (0..=printers).for_each(|function| {
        lowered.lower(function, options);
    });
    component.section(&lowered);
    let mut instances = InstanceSection::new();
    instances.export_items([("call", ExportKind::Func, 1)]);
    let print = (2..).zip(PRINT).map(|(index, (name, _))| (name, ExportKind::Func, index));
    instances.export_items(print.collect::<Vec<_>>());
    let arguments = [("memory", at_memory), ("app", at_app), ("print", at_printer)];
    instances.instantiate(1, arguments.map(|(name, instance)| (name, ModuleArg::Instance(instance))));
    component.section(&instances);
    alias(&mut component, at_main, ExportKind::Func, "run");

    // The entry.
    let mut types = ComponentTypeSection::new();
    types.ty().defined_type().result(None, None);
    let result = ComponentValType::Type(printer_type + 1);
    types.ty().function().async_(call.is_async).params::<[(&str, ComponentValType); 0], _>([]).result(Some(result));
    component.section(&types);
    let mut lifted = CanonicalFunctionSection::new();
    lifted.lift(printers + 2, printer_type + 2, []);
    component.section(&lifted);
    let mut instance = ComponentInstanceSection::new();
    instance.export_items([("run", ComponentExportKind::Func, printers + 1)]);
    component.section(&instance);
    let mut exports = ComponentExportSection::new();
    exports.export(call.entry(), ComponentExportKind::Instance, 1, None);
    component.section(&exports);
    component.finish()
}

/// The core module of the memory: constants at the bottom, and what the function returns above. Nothing is ever freed, because the
/// app ends after the call.
fn memory(data: &Data) -> Result<Vec<u8>> {
    let heap = (BASE + data.bytes().len() as u32).next_multiple_of(8);
    let pages = heap.div_ceil(PAGE_BYTES);
    let last = PAGE_BYTES - 1;
    let bytes = data.bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    });
    let text = format!(
        r#"(module
            (memory (export "memory") {pages})
            (data (i32.const {BASE}) "{bytes}")
            (global $top (mut i32) (i32.const {heap}))
            (func (export "realloc") (param $old i32) (param $old-bytes i32) (param $align i32) (param $bytes i32) (result i32)
                (local $new i32) (local $end i64) (local $lack i64)
                (local.set $new
                    (i32.and
                        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get $align))))
                (local.set $end (i64.add (i64.extend_i32_u (local.get $new)) (i64.extend_i32_u (local.get $bytes))))
                (local.set $lack
                    (i64.sub (local.get $end) (i64.mul (i64.extend_i32_u (memory.size)) (i64.const {PAGE_BYTES}))))
                (if (i64.gt_s (local.get $lack) (i64.const 0))
                    (then
                        (if (i32.eq
                                (memory.grow
                                    (i32.wrap_i64
                                        (i64.div_u
                                            (i64.add (local.get $lack) (i64.const {last}))
                                            (i64.const {PAGE_BYTES}))))
                                (i32.const -1))
                            (then unreachable))))
                (global.set $top (i32.wrap_i64 (local.get $end)))
                (memory.copy
                    (local.get $new)
                    (local.get $old)
                    (select
                        (local.get $old-bytes)
                        (local.get $bytes)
                        (i32.lt_u (local.get $old-bytes) (local.get $bytes))))
                (local.get $new)))"#
    );
    let text = text.replace(&format!("(i64.const {last})"), &format!("(i64.const {})", PAGE_BYTES - 1));
    wat::parse_str(text).context("the module of the memory is not valid")
}
