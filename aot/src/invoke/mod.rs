//! Stage 4b, invoke: one call of a function that is no world's entry becomes the app's entry.
//!
//! `--invoke 'add(1, 2)'` is read, and checked against the app's types, when the image is built. What is left for run time is generated:
//! the app goes inside a component that calls the function with constants and hands the result, piece by piece, to the host's
//! `mwasm:wave/print`. So an invoked function runs wherever an app runs, with all that an app is given, and an image without one
//! carries nothing for it.
//!
//! ```text
//!   call --find--> function, arguments --constants--> data
//!   types --shape--> layout --print--> code
//!   app, data, code --graft--> a component that exports wasi:cli/run
//! ```

mod constants;
mod find;
mod graft;
mod print;
mod shape;
mod types;

use crate::app::{App, Item, Surface};
use crate::engine;
use crate::problem::Problem;
use crate::report::{Report, Stage};
use anyhow::{Context, Result};
use constants::Data;
use find::Exported;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::value::{FuncType, Value};
use wasm_wave::wasm::{DisplayFunc, WasmFunc};
use wasmparser::Validator;

/// A call that fits the app.
#[derive(Clone)]
pub struct Call {
    text: String,
    interface: Option<String>,
    function: String,
    is_async: bool,
    ty: FuncType,
    arguments: Vec<Value>,
}

/// Reads a call such as `add(1, 2)` or `docs:adder/ops.add(1, 2)`, and checks it against what the app exports.
pub fn read(app: &App, text: &str) -> Result<Call> {
    let parsed = UntypedFuncCall::parse(text).map_err(|error| {
        Problem::usage(format!("cannot understand the call '{text}': {error}"))
            .help("wanted the name of an export and its arguments in WAVE, such as 'add(1, 2)' or 'greet(\"you\")'")
    })?;
    let functions = find::functions(app)?;
    let found = choose(&functions, parsed.name())?;
    let ty = found.ty.as_ref().map_err(|unsupported| {
        Problem::usage(format!("'{}' cannot be invoked: it takes or gives {unsupported}", found.written))
            .help(offer(&functions))
    })?;
    let types: Vec<_> = ty.params().collect();
    let arguments = parsed.to_wasm_params(&types).map_err(|error| {
        Problem::usage(format!("the arguments of '{text}' do not fit: {error}")).help(format!(
            "wanted {}: {}",
            found.written,
            DisplayFunc(ty.clone())
        ))
    })?;
    Ok(Call {
        text: text.to_owned(),
        interface: found.interface.clone(),
        function: found.function.clone(),
        is_async: found.is_async,
        ty: ty.clone(),
        arguments,
    })
}

/// The function that a name means: as it is listed, without its version, or without its interface if no other has that name.
fn choose<'a>(functions: &'a [Exported], name: &str) -> Result<&'a Exported> {
    let unversioned = |function: &Exported| function.written.split_once('@').map(|(name, _)| name.to_owned());
    let rules: [&dyn Fn(&Exported) -> bool; 3] = [
        &|function| function.written == name,
        &|function| unversioned(function).as_deref() == Some(name),
        &|function| function.function == name,
    ];
    for rule in rules {
        match functions.iter().filter(|function| rule(function)).collect::<Vec<_>>().as_slice() {
            [] => {}
            [found] => return Ok(found),
            several => {
                let names: Vec<&str> = several.iter().map(|function| function.written.as_str()).collect();
                return Err(Problem::usage(format!("the app exports more than one function '{name}'"))
                    .help(format!("say which: {}", names.join(" or ")))
                    .into());
            }
        }
    }
    Err(Problem::usage(format!("the app exports no function '{name}'")).help(offer(functions)).into())
}

/// The functions that there are, with their types, for whoever named another one.
fn offer(functions: &[Exported]) -> String {
    let line = |function: &Exported| match &function.ty {
        Ok(ty) => format!("\n  {}: {}", function.written, DisplayFunc(ty.clone())),
        Err(unsupported) => format!("\n  {} (not to be invoked: it takes or gives {unsupported})", function.written),
    };
    match functions {
        [] => "it exports no function".to_owned(),
        functions => format!("it exports{}", functions.iter().map(line).collect::<String>()),
    }
}

impl Call {
    /// The name of the entry that the call becomes.
    const fn entry(&self) -> &'static str {
        if self.is_async { "wasi:cli/run@0.3.0" } else { "wasi:cli/run@0.2.0" }
    }

    /// What the app will export.
    pub fn surface(&self) -> Surface {
        Surface { exports: vec![Item { name: self.entry().to_owned(), kind: "instance" }], ..Surface::default() }
    }

    /// Makes the call the app's entry.
    pub fn apply(&self, mut app: App, report: &mut Report) -> Result<App> {
        let before = app.component.len();
        let mut data = Data::default();
        let main = print::main(self, &mut data);
        app.component = graft::graft(&app, self, &data, &main)?;
        let checked = Validator::new_with_features(engine::features()?).validate_all(&app.component);
        checked.with_context(|| format!("cannot make '{}' the app's entry", self.text))?;
        report.stage(Stage::new("invoke", before, app.component.len()).note(format!("calls {}", self.text)));
        Ok(app)
    }
}
