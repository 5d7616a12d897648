//! `--invoke`: one call of an export that is no world's entry, its arguments and result in WAVE.

use anyhow::Result;
use mwasm_aot::Prepared;
use mwasm_aot::problem::Problem;
use mwasm_aot::session::{Ended, Session};
use mwasm_plan::Provenance;
use mwasm_ports::Outcome;
use std::process::ExitCode;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::wasm::{DisplayFuncResults, DisplayType, WasmFunc};
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex, Val};

/// Calls what `call` says, such as `add(1, 2)` or `docs:adder/ops.add(1, 2)`, and prints the result.
pub fn invoke(prepared: Prepared, call: &str) -> Result<ExitCode> {
    let parsed = UntypedFuncCall::parse(call).map_err(|error| {
        Problem::usage(format!("cannot understand the call '{call}': {error}"))
            .help("wanted the name of an export and its arguments in WAVE, such as 'add(1, 2)' or 'greet(\"you\")'")
    })?;
    let plan = prepared.settings.plan(Provenance::default());
    let mut session = match Session::start(&prepared.app.component, &plan) {
        Ok(session) => session,
        Err(error) => return error.downcast::<Ended>().map(|ended| tell(&ended)),
    };
    let (index, function) = find(&session.component, &parsed)?;
    let types: Vec<Type> = WasmFunc::params(&function).collect();
    let arguments: Vec<Val> = parsed.to_wasm_params(&types).map_err(|error| {
        let types: Vec<String> = types.iter().map(|ty| DisplayType(ty).to_string()).collect();
        Problem::usage(format!("the arguments of '{call}' do not fit: {error}")).help(format!(
            "'{}' takes ({})",
            parsed.name(),
            types.join(", ")
        ))
    })?;
    let mut results = vec![Val::Bool(false); function.results().len()];
    let called = session.run(async |store, instance| {
        let function = instance.get_func(&mut *store, index);
        let function = function.ok_or_else(|| wasmtime::Error::msg("the export vanished"))?;
        function.call_async(&mut *store, &arguments, &mut results).await
    });
    // What the app printed comes first, also when it failed.
    let flushed = session.flush();
    if let Err(ended) = called.and(flushed) {
        return Ok(tell(&ended));
    }
    println!("{}", DisplayFuncResults(&results));
    Ok(ExitCode::SUCCESS)
}

/// Says why a call ended early, if that is not the app's own wish.
fn tell(ended: &Ended) -> ExitCode {
    if let Outcome::Trap | Outcome::Failed = ended.outcome {
        eprintln!("mwasm: the app trapped: {ended}");
    }
    ExitCode::from(ended.outcome.code())
}

fn find(component: &Component, call: &UntypedFuncCall<'_>) -> Result<(ComponentExportIndex, ComponentFunc)> {
    let name = call.item_name().map_err(|error| Problem::usage(format!("'{}' is no name: {error}", call.name())))?;
    let interface = name.instance_name();
    let parent = interface.as_deref().map(|interface| component.get_export_index(None, interface));
    let found = match parent {
        Some(None) => None,
        Some(Some(parent)) => component.get_export(Some(&parent), name.name.as_str()),
        None => component.get_export(None, name.name.as_str()),
    };
    match found {
        Some((ComponentItem::ComponentFunc(function), index)) => Ok((index, function)),
        Some(_) => Err(Problem::usage(format!("the app's export '{}' is no function", call.name())).into()),
        None => {
            let names = functions(component);
            let help = match names.as_slice() {
                [] => "it exports no function".to_owned(),
                names => format!("it exports {}", names.join(", ")),
            };
            Err(Problem::usage(format!("the app exports no function '{}'", call.name())).help(help).into())
        }
    }
}

/// The functions that can be invoked, as they are written in a call.
fn functions(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let mut names = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => names.push(name.to_owned()),
            ComponentItem::ComponentInstance(instance) => {
                let (interface, version) =
                    name.split_once('@').map_or((name, String::new()), |(i, v)| (i, format!("@{v}")));
                for (function, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(_) = item.ty {
                        names.push(format!("{interface}.{function}{version}"));
                    }
                }
            }
            _ => {}
        }
    }
    names
}
