//! One script of the test suite at work.
//!
//! A script defines modules, gives instances names and calls their exports. What a call or a module should do is in the script; a
//! script passes if all of it does. Modules that need a feature that is missing are left out, with all that uses them.

use crate::missing::Missing;
use crate::pipeline::{Pipeline, now};
use crate::values::{all_match, argument};
use anyhow::{Context, Result, bail, ensure};
use json_from_wast::{Action, Command, WasmFile, WasmFileType, Wast};
use mwasm_aot::engine::error;
use std::collections::{BTreeMap, HashMap};
use wasmtime::{Extern, Instance, Linker, Module, Store, Val};
use wast::lexer::Lexer;
use wast::parser::{ParseBuffer, parse};

/// The module `spectest`, which scripts import from.
const SPECTEST: &str = r#"(module
    (func (export "print"))
    (func (export "print_i32") (param i32))
    (func (export "print_i64") (param i64))
    (func (export "print_f32") (param f32))
    (func (export "print_f64") (param f64))
    (func (export "print_i32_f32") (param i32 f32))
    (func (export "print_f64_f64") (param f64 f64))
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (table (export "table") 10 20 funcref)
    (table (export "table64") i64 10 20 funcref)
    (memory (export "memory") 1 2))"#;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Modules that were compiled.
    pub modules: u32,
    /// Modules that no component can hold, and that are therefore not stripped.
    pub bare: u32,
    /// Functions that the strip stage removed.
    pub removed: u32,
    /// Assertions that hold.
    pub assertions: u32,
    /// Commands that were left out, by the feature that they need.
    pub left_out: BTreeMap<Missing, u32>,
}

impl Tally {
    /// Adds what another script did.
    pub fn add(&mut self, other: &Self) {
        self.modules += other.modules;
        self.bare += other.bare;
        self.removed += other.removed;
        self.assertions += other.assertions;
        for (missing, count) in &other.left_out {
            *self.left_out.entry(*missing).or_default() += count;
        }
    }
}

/// Runs a script, and counts what was done. The error names the line where the script fails.
pub fn run(pipeline: &Pipeline, name: &str, text: &str) -> Result<Tally> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let mut script = Wast::from_ast(name, text, parse(&buffer)?)?;
    let files = script.wasms.drain(..).collect();
    let mut runner = Runner::new(pipeline, files)?;
    for command in &script.commands {
        let line = command.line();
        runner.command(command).with_context(|| format!("{name}:{line}"))?;
    }
    Ok(runner.tally)
}

/// An instance, or why there is none.
type Slot = Result<Instance, Missing>;

struct Runner<'p> {
    pipeline: &'p Pipeline,
    files: HashMap<String, Vec<u8>>,
    store: Store<()>,
    linker: Linker<()>,
    current: Option<Slot>,
    instances: HashMap<String, Slot>,
    definitions: HashMap<Option<String>, Result<Module, Missing>>,
    /// Names that modules could import from, if they had not been left out.
    unlinkable: HashMap<String, Missing>,
    tally: Tally,
}

impl<'p> Runner<'p> {
    fn new(pipeline: &'p Pipeline, files: HashMap<String, Vec<u8>>) -> Result<Self> {
        let mut runner = Self {
            pipeline,
            files,
            store: Store::new(&pipeline.engine, ()),
            linker: Linker::new(&pipeline.engine),
            current: None,
            instances: HashMap::new(),
            definitions: HashMap::new(),
            unlinkable: HashMap::new(),
            tally: Tally::default(),
        };
        // Scripts register another module under a name that is taken.
        runner.linker.allow_shadowing(true);
        let spectest = pipeline.compile(&wat::parse_str(SPECTEST)?)?.module;
        let spectest = runner.instantiate(&spectest)?.map_err(error)?;
        runner.linker.instance(&mut runner.store, "spectest", spectest).map_err(error)?;
        Ok(runner)
    }

    /// Does what a command says, or leaves it out.
    fn command(&mut self, command: &Command<'_>) -> Result<()> {
        match self.try_command(command) {
            Ok(asserted) => self.tally.assertions += u32::from(asserted),
            Err(error) => {
                let Some(missing) = error.downcast_ref::<Missing>() else { return Err(error) };
                *self.tally.left_out.entry(*missing).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Does what a command says, and says whether that was an assertion.
    fn try_command(&mut self, command: &Command<'_>) -> Result<bool> {
        match command {
            Command::Module { name, file, .. } => {
                let module = self.compile(file);
                self.start(name.as_deref(), module)?;
                return Ok(false);
            }
            Command::ModuleDefinition { name, file, .. } => {
                let module = self.compile(file);
                let module = or_missing(module)?;
                self.definitions.insert(name.as_deref().map(str::to_owned), module.clone());
                module?;
                return Ok(false);
            }
            Command::ModuleInstance { instance, module, .. } => {
                let module = self.definitions.get(&module.as_deref().map(str::to_owned)).context("no such module")?;
                self.start(instance.as_deref(), module.clone().map_err(Into::into))?;
                return Ok(false);
            }
            Command::Register { name, as_, .. } => {
                self.register(name.as_deref(), as_)?;
                return Ok(false);
            }
            Command::Action { action, .. } => {
                self.act(action)?.map_err(error)?;
                return Ok(false);
            }
            Command::AssertReturn { action, expected, .. } => {
                let results = self.act(action)?.map_err(error)?;
                ensure!(all_match(&results, expected), "wanted {expected:?}, found {results:?}");
            }
            Command::AssertTrap { action, text, .. } | Command::AssertExhaustion { action, text, .. } => {
                let outcome = self.act(action)?;
                traps(outcome, text)?;
            }
            Command::AssertUninstantiable { file, text, .. } => {
                let module = self.compile(file)?;
                traps(self.instantiate(&module)?, text)?;
            }
            Command::AssertUnlinkable { file, text, .. } => {
                let module = self.compile(file)?;
                ensure!(self.instantiate(&module)?.is_err(), "wanted a module that cannot be linked ({text})");
            }
            // The specification leaves the words to each implementation.
            Command::AssertInvalid { file, text, .. }
            | Command::AssertMalformed { file, text, .. }
            | Command::AssertMalformedCustom { file, text, .. } => match or_missing(self.compile(file)) {
                Err(_) => {}
                Ok(Err(missing)) => return Err(missing.into()),
                Ok(Ok(_)) => bail!("wanted an error ({text})"),
            },
            Command::AssertException { .. } => return Err(Missing::Exceptions.into()),
            Command::Thread { .. } | Command::Wait { .. } => return Err(Missing::Threads.into()),
            Command::AssertInvalidCustom { .. } | Command::AssertSuspension { .. } => {
                bail!("a command for no stable feature")
            }
        }
        Ok(true)
    }

    fn compile(&mut self, file: &WasmFile<'_>) -> Result<Module> {
        let name = file.binary_filename.as_ref().unwrap_or(&file.filename);
        let bytes = self.files.get(name.as_ref()).with_context(|| format!("no file {name}"))?;
        let compiled = match file.module_type {
            WasmFileType::Text if file.binary_filename.is_none() => {
                self.pipeline.compile(&wat::parse_bytes(bytes).map_err(Missing::or)?)?
            }
            WasmFileType::Text | WasmFileType::Binary => self.pipeline.compile(bytes)?,
        };
        self.tally.modules += 1;
        self.tally.bare += u32::from(compiled.removed.is_none());
        self.tally.removed += compiled.removed.unwrap_or_default();
        Ok(compiled.module)
    }

    /// Instantiates a module; the inner error is the module's own.
    fn instantiate(&mut self, module: &Module) -> Result<wasmtime::Result<Instance>> {
        if let Some(missing) = module.imports().find_map(|import| self.unlinkable.get(import.module())) {
            return Err((*missing).into());
        }
        now(self.linker.instantiate_async(&mut self.store, module))
    }

    /// Makes the instance that the next commands are about.
    fn start(&mut self, name: Option<&str>, module: Result<Module>) -> Result<()> {
        let instance = module.and_then(|module| self.instantiate(&module)?.map_err(error));
        let slot = or_missing(instance)?;
        self.current = Some(slot);
        if let Some(name) = name {
            self.instances.insert(name.to_owned(), slot);
        }
        slot.map(drop).map_err(Into::into)
    }

    fn instance(&self, name: Option<&str>) -> Result<Instance> {
        let slot = match name {
            Some(name) => self.instances.get(name).copied().with_context(|| format!("no instance '{name}'"))?,
            None => self.current.context("no instance yet")?,
        };
        Ok(slot?)
    }

    fn register(&mut self, name: Option<&str>, under: &str) -> Result<()> {
        let instance = or_missing(self.instance(name))?;
        match instance {
            Ok(instance) => {
                self.unlinkable.remove(under);
                self.linker.instance(&mut self.store, under, instance).map_err(error)?;
            }
            Err(missing) => {
                self.unlinkable.insert(under.to_owned(), missing);
            }
        }
        instance.map(drop).map_err(Into::into)
    }

    /// Calls or reads an export; the inner error is the module's own.
    fn act(&mut self, action: &Action<'_>) -> Result<wasmtime::Result<Vec<Val>>> {
        let (Action::Invoke { module, field, .. } | Action::Get { module, field }) = action;
        let export = self.instance(module.as_deref())?.get_export(&mut self.store, field);
        match (action, export) {
            (Action::Invoke { args, .. }, Some(Extern::Func(function))) => {
                let args = args.iter().map(argument).collect::<Result<Vec<_>>>()?;
                let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
                let called = now(function.call_async(&mut self.store, &args, &mut results))?;
                Ok(called.map(|()| results))
            }
            (Action::Get { .. }, Some(Extern::Global(global))) => Ok(Ok(vec![global.get(&mut self.store)])),
            _ => bail!("the export '{field}' is missing, or something else than wanted"),
        }
    }
}

/// Sets a missing feature apart from other errors.
fn or_missing<T>(result: Result<T>) -> Result<Result<T, Missing>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => match error.downcast_ref::<Missing>() {
            Some(missing) => Ok(Err(*missing)),
            None => Err(error),
        },
    }
}

/// Checks that something trapped, for the reason that the specification gives.
fn traps<T>(outcome: wasmtime::Result<T>, wanted: &str) -> Result<()> {
    let Err(trap) = outcome else { bail!("wanted a trap ({wanted})") };
    let found = format!("{trap:?}");
    // Wasmtime says nothing of which element or kind of reference it was.
    let same = found.contains(wanted)
        || (wanted.starts_with("uninitialized element") && found.contains("uninitialized element"))
        || (wanted == "null function reference" && found.contains("uninitialized element"))
        || (wanted.starts_with("null") && wanted.ends_with("reference") && found.contains("null reference"));
    ensure!(same, "wanted the trap '{wanted}', found {found}");
    Ok(())
}
