//! Inspection: what an app or an image needs, may do, and is made of.
//!
//! For an image all of it is read back from the image itself: the plan that was compiled in, and the size map behind it. For an app it
//! is what a build would find: its imports, and which of them it can reach.

pub mod html;
pub mod network;
mod sizes;
pub mod text;
mod treemap;

use crate::app::Surface;
use crate::fuse::map::Node;
use crate::image::{Found, recognise};
use crate::report::{Fate, Import, Report};
use crate::target::{Arch, Target};
use crate::{load, prune};
use anyhow::Result;
use mwasm_plan::{Entry, Plan};
use network::{Policy, Served, SetUp};
use serde::Serialize;
use std::path::Path;

/// The version of the inspection's JSON.
pub const FORMAT: u32 = 1;

/// What was found in a file.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// [`FORMAT`].
    pub format: u32,
    /// `app` or `image`.
    pub kind: &'static str,
    /// The file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// The app's name.
    pub name: String,
    /// SHA-256 of the app as it was given.
    pub component_sha256: String,
    /// What the app imports. Of an image, what is left of it, function by function.
    pub imports: Vec<Import>,
    /// What the app exports; empty for an image.
    pub exports: Vec<String>,
    /// What the imports let the app do, in plain words.
    pub capabilities: Vec<&'static str>,
    /// Only for an image: what was decided when it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Decided>,
    /// Where the bytes went; for an image the sizes add up to `bytes` without the map itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Node>,
}

/// What was decided when an image was built.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    /// What it is for.
    pub target: Target,
    /// Its instruction set.
    pub arch: Arch,
    /// The export that is called, if any.
    pub entry: Option<String>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Values of `wasi:config/store`.
    pub config: Vec<(String, String)>,
    /// Embedded directories.
    pub embedded: Vec<Embedded>,
    /// The most linear memory, in bytes; `None` is what the machine has.
    pub heap_bytes: Option<u64>,
    /// The most guest stack, in bytes.
    pub stack_bytes: u64,
    /// What the app may reach.
    pub policy: Policy,
    /// How the network is set up; left out of an image without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<SetUp>,
    /// How the app is served, if it is an HTTP handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Served>,
    /// Whether the host tells what it does.
    pub verbose: bool,
    /// Version of mwasm that built it.
    pub mwasm: String,
    /// Version of Wasmtime in it.
    pub wasmtime: String,
}

/// An embedded directory.
#[derive(Clone, Debug, Serialize)]
pub struct Embedded {
    /// The path that the guest sees.
    pub guest: String,
    /// Number of files.
    pub files: usize,
    /// Size of all files in bytes.
    pub bytes: usize,
}

/// Looks into a file.
pub fn inspect(path: &Path) -> Result<Inspection> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).ok();
    match bytes.as_deref().map(|bytes| recognise(&file, bytes)).transpose()?.flatten() {
        Some(found) => Ok(image(file, bytes.as_ref().map_or(0, Vec::len), found)),
        None => app(path, file),
    }
}

fn app(path: &Path, file: String) -> Result<Inspection> {
    // Neither is used: an inspection stops before anything is compiled.
    let mut report = Report::new(Target::Desktop, Arch::X86_64);
    let app = load::load(path, &mut report)?;
    let surface = Surface::of(&app.component)?;
    let sizes = sizes::of(&app.component)?;
    let (name, sha256) = (app.name.clone(), app.sha256.clone());
    prune::prune(app, &mut report)?;
    let kept = report.imports.iter().filter(|import| import.fate != Fate::Dropped).map(|import| import.name.as_str());
    let capabilities = capabilities(kept);
    Ok(Inspection {
        format: FORMAT,
        kind: "app",
        file,
        bytes: usize::try_from(std::fs::metadata(path)?.len())?,
        name,
        component_sha256: sha256,
        capabilities,
        exports: surface.exports.into_iter().map(|item| item.name).collect(),
        imports: report.imports,
        image: None,
        sizes: Some(sizes),
    })
}

fn image(file: String, bytes: usize, found: Found<'_>) -> Inspection {
    let plan = &found.plan;
    let import = |name: &&str| Import { name: (*name).to_owned(), fate: Fate::Kept, why: "compiled in".to_owned() };
    Inspection {
        format: FORMAT,
        kind: "image",
        file,
        bytes,
        name: plan.name.to_owned(),
        component_sha256: plan.provenance.component_sha256.to_owned(),
        imports: plan.provenance.imports.iter().map(import).collect(),
        exports: Vec::new(),
        capabilities: capabilities(plan.provenance.imports.iter().copied()),
        image: Some(decided(plan, found.target, found.arch)),
        sizes: found.map.map(|(tree, _)| tree),
    }
}

fn decided(plan: &Plan<'_>, target: Target, arch: Arch) -> Decided {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let pairs =
        |list: &[(&str, &str)]| list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Decided {
        target,
        arch,
        entry: match plan.entry {
            Entry::Run02(export) | Entry::Run03(export) | Entry::Serve02(export) | Entry::Serve03(export) => {
                Some(export.to_owned())
            }
            Entry::None => None,
        },
        args: owned(&plan.args),
        env: pairs(&plan.env),
        config: pairs(&plan.config),
        embedded: plan
            .dirs
            .iter()
            .map(|dir| {
                let contents = dir.files.iter().filter_map(|file| file.content);
                Embedded {
                    guest: dir.guest.to_owned(),
                    files: contents.clone().count(),
                    bytes: contents.map(<[u8]>::len).sum(),
                }
            })
            .collect(),
        heap_bytes: plan.memory.heap_bytes,
        stack_bytes: plan.memory.stack_bytes,
        policy: Policy::of(plan),
        network: SetUp::of(plan, target),
        http: Served::of(plan),
        verbose: plan.verbose,
        mwasm: plan.provenance.mwasm.to_owned(),
        wasmtime: plan.provenance.wasmtime.to_owned(),
    }
}

/// What imports let an app do, by the beginnings of their names.
const CAPABILITIES: &[(&str, &str)] = &[
    ("mwasm:wave/print", "prints what a call returns"),
    ("wasi:cli/environment", "reads its arguments and environment"),
    ("wasi:cli/stdin", "reads standard input"),
    ("wasi:cli/stdout", "writes to standard output"),
    ("wasi:cli/stderr", "writes to standard error"),
    ("wasi:clocks/monotonic-clock", "measures time"),
    ("wasi:clocks/wall-clock", "knows the time of day"),
    ("wasi:clocks/system-clock", "knows the time of day"),
    ("wasi:config/", "reads its configuration"),
    ("wasi:filesystem/preopens", "opens files in the directories that it is given"),
    ("wasi:http/", "speaks HTTP"),
    ("wasi:random/", "asks for random numbers"),
    ("wasi:sockets/ip-name-lookup", "looks names up"),
    ("wasi:sockets/tcp", "opens TCP connections"),
    ("wasi:sockets/udp", "sends and receives UDP"),
];

fn capabilities<'a>(imports: impl Iterator<Item = &'a str> + Clone) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = CAPABILITIES
        .iter()
        .filter(|(begin, _)| imports.clone().any(|import| import.starts_with(begin)))
        .map(|(_, words)| *words)
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_follow_from_imports() {
        let imports = ["wasi:cli/stdout@0.2.6#get-stdout", "wasi:io/streams@0.2.6", "wasi:clocks/wall-clock@0.2.6#now"];
        assert_eq!(capabilities(imports.into_iter()), ["writes to standard output", "knows the time of day"]);
    }

    #[test]
    fn an_app_is_told_from_a_file_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.wat");
        std::fs::write(&file, r#"(component (import "wasi:cli/stdout@0.2.6" (instance)))"#).unwrap();
        let found = inspect(&file).unwrap();
        assert_eq!((found.kind, found.name.as_str(), found.imports.len()), ("app", "app", 1));
        std::fs::write(&file, "text").unwrap();
        assert!(inspect(&file).unwrap_err().to_string().contains("not WebAssembly"));
        assert!(inspect(&folder.path().join("none")).unwrap_err().to_string().contains("cannot read"));
    }
}
