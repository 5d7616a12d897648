//! Stage 4, preinit: an app's initialisation is run now, and the memory that it leaves becomes the app's data.
//!
//! The app exports a function for it, `wizer-initialize` unless the manifest names another. Wizer makes the app's state visible from
//! outside, the initialiser runs with the desktop host's WASI and the image's own arguments, environment and files, and Wizer writes
//! what it finds in memories and globals back into the component. The initialiser is gone afterwards.

use crate::app::{App, Surface};
use crate::engine;
use crate::manifest::{INITIALIZER, Preinit};
use crate::problem::Problem;
use crate::report::{Report, Stage};
use anyhow::{Context, Result};
use mwasm_host_desktop::linux::session::{Session, State};
use mwasm_plan::Plan;
use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime::{Error, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

/// Initialises the app, if the manifest asks for it or the app exports the usual initialiser.
pub fn preinit(mut app: App, wanted: Option<&Preinit>, plan: &Plan<'static>, report: &mut Report) -> Result<App> {
    let exports = Surface::of(&app.component)?;
    let exported = |name: &str| exports.exports.iter().any(|item| item.name == name && item.kind == "function");
    let function = match wanted {
        Some(Preinit::Off) => return Ok(app),
        None if !exported(INITIALIZER) => return Ok(app),
        None => INITIALIZER,
        Some(Preinit::Call(function)) => function,
    };
    if !exported(function) {
        let names: Vec<&str> = exports.exports.iter().map(|item| item.name.as_str()).collect();
        let message = format!("the app is to be initialised by '{function}', which it does not export");
        let help = match names.as_slice() {
            [] => "it exports nothing; remove preinit from the manifest".to_owned(),
            names => format!("it exports {}", names.join(", ")),
        };
        return Err(Problem::new(message).help(help).into());
    }
    let before = app.component.len();
    let snapshot = snapshot(&app.component, function, plan);
    app.component = snapshot.with_context(|| format!("cannot initialise the app by '{function}'"))?;
    report.stage(Stage::new("preinit", before, app.component.len()).note(format!("'{function}' has run")));
    Ok(app)
}

fn snapshot(component: &[u8], function: &str, plan: &Plan<'static>) -> Result<Vec<u8>> {
    let mut wizer = Wizer::new();
    wizer.init_func(function);
    let (context, instrumented) = wizer.instrument_component(component).map_err(engine::error)?;
    let mut session = Session::start(&instrumented, plan).map_err(engine::error)?;
    let initialised = session.run(async |store, instance| {
        let initialise = instance.get_typed_func::<(), ()>(&mut *store, function)?;
        initialise.call_async(&mut *store, ()).await
    });
    initialised.and_then(|()| session.flush()).map_err(engine::error)?;
    let component = session.run(async |store, instance| {
        let mut state = Inside { store, instance, error: None };
        let component = wizer.snapshot_component(&context, &mut state).await?;
        state.error.map_or(Ok(component), Err)
    });
    component.map_err(engine::error)
}

/// The instance as Wizer looks at it: it asks by calling functions that it added. Wizer wants answers, not errors, so the first error
/// is kept and told afterwards.
struct Inside<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
    error: Option<Error>,
}

impl Inside<'_> {
    async fn call<R: Lift + Send + Sync + 'static>(&mut self, interface: &str, function: &str) -> Option<R> {
        match self.try_call(interface, function).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    async fn try_call<R: Lift + Send + Sync + 'static>(
        &mut self,
        interface: &str,
        function: &str,
    ) -> wasmtime::Result<R> {
        let missing = || Error::msg(format!("the instrumented app lacks '{function}'"));
        let (_, interface) = self.instance.get_export(&mut *self.store, None, interface).ok_or_else(missing)?;
        let (_, function) =
            self.instance.get_export(&mut *self.store, Some(&interface), function).ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, function)?;
        Ok(function.call_async(&mut *self.store, ()).await?.0)
    }
}

impl ComponentInstanceState for Inside<'_> {
    async fn call_func_ret_list_u8(&mut self, interface: &str, function: &str, contents: impl FnOnce(&[u8]) + Send) {
        match self.call::<WasmList<u8>>(interface, function).await {
            Some(list) => contents(list.as_le_slice(&*self.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, interface: &str, function: &str) -> i32 {
        self.call(interface, function).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, interface: &str, function: &str) -> i64 {
        self.call(interface, function).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, interface: &str, function: &str) -> u32 {
        self.call::<f32>(interface, function).await.unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, interface: &str, function: &str) -> u64 {
        self.call::<f64>(interface, function).await.unwrap_or_default().to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Arch, Target};

    /// `get` returns what the initialiser has put into memory.
    fn app() -> App {
        let text = r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "init") (i32.store (i32.const 16) (i32.const 42)))
                (func (export "get") (result i32) (i32.load (i32.const 16))))
            (core instance $i (instantiate $m))
            (func (export "wizer-initialize") (canon lift (core func $i "init")))
            (func (export "get") (result u32) (canon lift (core func $i "get"))))"#;
        App { name: "app".into(), sha256: String::new(), component: wat::parse_str(text).unwrap() }
    }

    fn run(wanted: Option<&Preinit>) -> Result<(App, Report)> {
        let mut report = Report::new(Target::Desktop, Arch::X86_64);
        let app = preinit(app(), wanted, &Plan::default(), &mut report)?;
        Ok((app, report))
    }

    fn get(component: &[u8]) -> u32 {
        let mut session = Session::start(component, &Plan::default()).unwrap();
        let call = session.run(async |store, instance| {
            instance.get_typed_func::<(), (u32,)>(&mut *store, "get")?.call_async(&mut *store, ()).await
        });
        call.unwrap().0
    }

    #[test]
    fn what_the_initialiser_wrote_is_there_from_the_start() {
        assert_eq!(get(&app().component), 0);
        let (app, report) = run(None).unwrap();
        assert_eq!(get(&app.component), 42);
        assert_eq!(report.stages.len(), 1);
        assert!(!Surface::of(&app.component).unwrap().exports.iter().any(|item| item.name == INITIALIZER));
    }

    #[test]
    fn the_manifest_has_the_last_word() {
        let (app, report) = run(Some(&Preinit::Off)).unwrap();
        assert_eq!((get(&app.component), report.stages.len()), (0, 0));
        let error = run(Some(&Preinit::Call("warm-up".into()))).unwrap_err();
        assert!(error.to_string().contains("'warm-up', which it does not export"), "{error}");
    }
}
