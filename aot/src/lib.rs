//! The pipeline of `mwasm aot`: from an app, a manifest and flags to an image and a report.
//!
//! ```text
//!   app.wasm -> load -> compose -> configure -> preinit -> strip -> compile -> fuse -> image + report
//! ```
//!
//! Each stage is one module with one entry function. It takes what the stage before it returns, adds its rows to the [`report`], and
//! knows no other stage; this file alone knows their order. [`prepare`] runs the stages that any run of an app needs, [`build`] all of
//! them. Errors that a user can mend are [`problem::Problem`]s.

pub mod app;
pub mod compile;
pub mod compose;
pub mod configure;
pub mod engine;
pub mod fuse;
pub mod image;
pub mod imports;
pub mod inspect;
pub mod load;
pub mod manifest;
pub mod preinit;
pub mod problem;
pub mod report;
pub mod session;
pub mod strip;
pub mod target;
pub mod write;

use anyhow::Result;
use app::{App, Surface};
use configure::{Flags, Settings};
use fuse::Image;
use manifest::Layer;
use mwasm_plan::Provenance;
use report::{Fate, ImageRow, Report, Stage};
use std::path::Path;
use target::{Arch, Target};

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The app's file.
    pub app: &'a Path,
    /// What for.
    pub target: Target,
    /// Which instruction set.
    pub arch: Arch,
    /// The manifest's part for the target.
    pub layer: Layer,
    /// What the command line says.
    pub flags: Flags,
}

/// Is told which stage begins, so that whoever waits knows what for.
pub trait Watch {
    /// A stage begins.
    fn begins(&mut self, stage: &'static str);
}

/// An app that is ready to be compiled or run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The app, composed.
    pub app: App,
    /// The constants of its image. They live as long as the program, because so does all that the app may hold on to while it runs.
    pub settings: &'static Settings,
    /// What the stages had to say.
    pub report: Report,
}

/// An image and all that belongs to it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The image.
    pub image: Image,
    /// The configuration for Xen's `xl`, for the target `xen`.
    pub xl: Option<String>,
    /// What the stages had to say.
    pub report: Report,
}

/// Runs the stages from the file to an app with its settings.
pub fn prepare(request: Request<'_>, watch: &mut dyn Watch) -> Result<Prepared> {
    let mut report = Report::new(request.target, request.arch);
    watch.begins("load");
    let app = load::load(request.app, &mut report)?;
    watch.begins("compose");
    let app = compose::compose(app, &request.layer.plugins, &mut report)?;
    watch.begins("configure");
    let exports = Surface::of(&app.component)?;
    let preinit = request.layer.preinit.clone();
    let settings = configure::configure(&app.name, &exports, request.layer, request.flags, &mut report)?;
    let settings: &'static Settings = Box::leak(Box::new(settings));
    watch.begins("preinit");
    let plan = settings.plan(Provenance::default());
    let app = preinit::preinit(app, preinit.as_ref(), &plan, &mut report)?;
    Ok(Prepared { app, settings, report })
}

/// Runs all stages; `out` is where the image will be.
pub fn build(request: Request<'_>, out: &Path, watch: &mut dyn Watch) -> Result<Built> {
    let (target, arch) = (request.target, request.arch);
    let Prepared { app, settings, mut report } = prepare(request, watch)?;
    watch.begins("strip");
    let app = strip_unused(app, &mut report)?;
    let interfaces = imports::check(&app, &report)?;
    watch.begins("compile");
    let native = compile::compile(&app, arch, &mut report)?;
    watch.begins("fuse");
    let imports = kept_imports(&report);
    let plan = settings.plan(Provenance {
        mwasm: env!("CARGO_PKG_VERSION"),
        wasmtime: engine::WASMTIME_VERSION,
        target: target.name(),
        arch: arch.name(),
        component_sha256: &app.sha256,
        imports: imports.iter().map(String::as_str).collect(),
    });
    let image = fuse::fuse(&native, &plan, &interfaces, target, arch, &mut report)?;
    let xl = (target == Target::Xen).then(|| fuse::pack::xl::configuration(&plan, out, image.memory_bytes));
    report.image = Some(ImageRow {
        file: out.display().to_string(),
        bytes: image.bytes.len(),
        host: image.host.clone(),
        parts: image.parts(),
    });
    Ok(Built { image, xl, report })
}

/// Stage 5, strip: drops what the app cannot reach, and with it the imports that nothing calls.
pub fn strip_unused(mut app: App, report: &mut Report) -> Result<App> {
    let stripped = strip::strip(&app.component)?;
    let told = stripped.report;
    let functions = |counts: fn(&strip::ModuleReport) -> u32| told.modules.iter().map(counts).sum::<u32>();
    let (before, after) = (functions(|row| row.before.functions), functions(|row| row.after.functions));
    let mut stage = Stage::new("strip", app.component.len(), stripped.component.len());
    stage = match &told.unchanged_because {
        Some(why) => stage.note(format!("left as it was: {why}")),
        None => stage.note(format!("{} of {before} functions removed", before.saturating_sub(after))),
    };
    report.stage(stage);
    for row in &told.interfaces {
        let (fate, why) = fate(row, &told.imports);
        report.import(&row.name, fate, why);
    }
    report.strip = Some(serde_json::to_value(&told)?);
    app.component = stripped.component;
    Ok(app)
}

/// What became of an interface, and why, from the rows of its functions.
fn fate(row: &strip::InterfaceReport, functions: &[strip::ImportReport]) -> (Fate, String) {
    let mut of_row = functions.iter().filter(|function| function.interface == row.name);
    match row.outcome {
        strip::Outcome::Dropped => {
            let why = of_row.find_map(|function| function.reason.clone());
            (Fate::Dropped, why.unwrap_or_else(|| "nothing in the app calls it".to_owned()))
        }
        strip::Outcome::TypesOnly => (Fate::Kept, "for its types only; no function is called".to_owned()),
        strip::Outcome::Kept => {
            let chain = of_row.find(|function| function.kept && !function.chain.is_empty());
            let chain = chain.map(|function| function.chain.join(" → ")).unwrap_or_default();
            (Fate::Kept, format!("{} of {} functions: {chain}", row.functions_after, row.functions_before))
        }
    }
}

/// The imports that the image has, as `interface#function`, sorted.
fn kept_imports(report: &Report) -> Vec<String> {
    let rows = report.strip.as_ref().and_then(|strip| strip.get("imports")).and_then(|rows| rows.as_array());
    let text = |row: &serde_json::Value, key| row.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let kept = |row: &&serde_json::Value| row.get("kept").and_then(serde_json::Value::as_bool) == Some(true);
    let name = |row: &serde_json::Value| {
        let interface = text(row, "interface")?;
        Some(text(row, "function").map_or(interface.clone(), |function| format!("{interface}#{function}")))
    };
    let mut imports: Vec<String> = rows.into_iter().flatten().filter(kept).filter_map(name).collect();
    imports.sort();
    imports.dedup();
    imports
}
