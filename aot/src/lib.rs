//! The pipeline of `mwasm aot`: from an app, a manifest and flags to an image and a report.
//!
//! ```text
//!   app.wasm -> load -> compose -> configure -> preinit -> [invoke] -> strip -> compile -> fuse -> image + report
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
pub mod invoke;
pub mod load;
pub mod manifest;
pub mod network;
pub mod preinit;
pub mod problem;
pub mod prune;
pub mod report;
pub mod strip;
pub mod target;
pub mod write;

use anyhow::Result;
use app::{App, Surface};
use configure::{Flags, Settings};
use fuse::Image;
use manifest::Layer;
use mwasm_plan::Provenance;
use report::{ImageRow, Report};
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
    let call = request.flags.invoke.as_deref().map(|call| invoke::read(&app, call)).transpose()?;
    let exports = call.as_ref().map_or_else(|| Surface::of(&app.component), |call| Ok(call.surface()))?;
    let preinit = request.layer.preinit.clone();
    let settings = configure::configure(&app.name, &exports, request.layer, request.flags, &mut report)?;
    let settings: &'static Settings = Box::leak(Box::new(settings));
    watch.begins("preinit");
    let plan = settings.plan(Provenance::default());
    let mut app = preinit::preinit(app, preinit.as_ref(), &plan, &mut report)?;
    if let Some(call) = call {
        watch.begins("invoke");
        app = call.apply(app, &mut report)?;
    }
    Ok(Prepared { app, settings, report })
}

/// Runs all stages; `out` is where the image will be.
pub fn build(request: Request<'_>, out: &Path, watch: &mut dyn Watch) -> Result<Built> {
    let (target, arch) = (request.target, request.arch);
    let Prepared { app, settings, mut report } = prepare(request, watch)?;
    watch.begins("strip");
    let app = prune::prune(app, &mut report)?;
    imports::check(&app, &report)?;
    watch.begins("compile");
    let native = compile::compile(&app, arch, settings.is_metered(), &mut report)?;
    watch.begins("fuse");
    let imports = report.kept_imports();
    let mut plan = settings.plan(Provenance {
        mwasm: env!("CARGO_PKG_VERSION"),
        wasmtime: engine::WASMTIME_VERSION,
        target: target.name(),
        arch: arch.name(),
        component_sha256: &app.sha256,
        imports: imports.iter().map(String::as_str).collect(),
    });
    plan.memory.paged_data = native.paged_data;
    let image = fuse::fuse(&native, &plan, target, arch, &mut report)?;
    let xl = (target == Target::Xen).then(|| fuse::pack::xl::configuration(&plan, out, image.memory_bytes));
    report.image = Some(ImageRow {
        file: out.display().to_string(),
        bytes: image.bytes.len(),
        host: image.host.clone(),
        parts: image.parts(),
    });
    Ok(Built { image, xl, report })
}
