//! `mwasm aot`: builds an image.

use crate::cli::{self, Format};
use crate::progress::Progress;
use anyhow::Result;
use mwasm_aot::manifest::{Layer, Manifest};
use mwasm_aot::problem::Problem;
use mwasm_aot::report::text;
use mwasm_aot::target::{Arch, Target};
use mwasm_aot::{Request, build, write};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Whoever may read an image may run it.
const IMAGE_MODE: u32 = 0o755;
/// Configurations are text.
const TEXT_MODE: u32 = 0o644;

/// Builds what the arguments say.
pub fn main(arguments: cli::Aot) -> Result<ExitCode> {
    let (target, report) = (arguments.target, arguments.report);
    let arch = arch(target, arguments.arch)?;
    let Inputs { app, layer, .. } = inputs(arguments.app, arguments.manifest, target)?;
    if arguments.grants.net.is_some() && target != Target::Desktop {
        let message = format!("--net has no effect on an image for {target}: it has the machine's network card");
        return Err(Problem::usage(message).help("give --net to mwasm run").into());
    }
    let out = arguments.output.unwrap_or_else(|| default_output(&app, target));
    let mut flags = arguments.grants.into_flags();
    flags.args = arguments.args;
    flags.set = arguments.set;
    flags.embed = arguments.embed;
    flags.verbose = arguments.verbose;
    flags.invoke = arguments.invoke;
    if same_file(&app, &out) {
        let message = format!("the image would take the place of the app '{}'", app.display());
        return Err(Problem::usage(message).help("name another file with -o").into());
    }
    let built = build(Request { app: &app, target, arch, layer, flags }, &out, &mut Progress::default())?;
    write::atomically(&out, &built.image.bytes, IMAGE_MODE)?;
    if let Some(xl) = built.xl {
        write::atomically(&beside(&out, ".cfg"), xl.as_bytes(), TEXT_MODE)?;
    }
    match report {
        Format::Text => anstream::eprint!("{}", text::draw(&built.report)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&built.report)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// What a build starts from.
pub struct Inputs {
    /// The app's file.
    pub app: PathBuf,
    /// The manifest's part for the target.
    pub layer: Layer,
    /// Whether there is a manifest.
    pub has_manifest: bool,
}

/// The app and the manifest's part for the target, from what the command line names.
pub fn inputs(app: Option<PathBuf>, manifest: Option<PathBuf>, target: Target) -> Result<Inputs> {
    let manifest = cli::manifest_file(manifest, app.as_ref());
    let layer = match &manifest {
        Some(file) => Manifest::read(file)?.layer(target),
        None => Layer::default(),
    };
    let app = app.or_else(|| layer.component.clone()).ok_or_else(|| {
        Problem::usage("no app: wanted the file of a WebAssembly component")
            .help("name it, or a manifest that does ([app] component = \"app.wasm\") with -m")
    })?;
    Ok(Inputs { app, layer, has_manifest: manifest.is_some() })
}

/// The architecture to build for.
fn arch(target: Target, named: Option<Arch>) -> Result<Arch> {
    let arch = named.unwrap_or_else(|| target.default_arch());
    if target.arches().contains(&arch) {
        return Ok(arch);
    }
    let names: Vec<&str> = target.arches().iter().map(|arch| arch.name()).collect();
    let message = format!("the target {target} does not run on {arch}");
    Err(Problem::usage(message).help(format!("it runs on {}", names.join(" and "))).into())
}

/// The app's name in this folder.
fn default_output(app: &Path, target: Target) -> PathBuf {
    let name = app.file_stem().unwrap_or(app.as_os_str());
    let mut file = OsString::from(name);
    match target {
        Target::Desktop => {}
        Target::Xen | Target::Arm => file.push(format!(".{target}")),
    }
    file.into()
}

/// A file beside another: its name with more behind it.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
