//! The report: what was kept, what was removed, why, and how many bytes it cost.
//!
//! Each stage adds its rows as it ends. The report is the product's main screen: [`text`] draws it for people, and serde writes it as
//! JSON with the keys that docs/report.md promises.

pub mod text;

use crate::app::{Item, Surface};
use crate::strip::StripReport;
use crate::target::{Arch, Target};
use serde::Serialize;

/// The version of the report's JSON; a key that changes its meaning or goes away raises it.
pub const FORMAT: u32 = 1;

/// Between the functions of a chain of calls.
pub const ARROW: &str = " → ";

/// All that the stages of one build had to say.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of mwasm.
    pub mwasm: &'static str,
    /// The app.
    pub app: Input,
    /// What the image is for.
    pub target: Target,
    /// The instruction set.
    pub arch: Arch,
    /// The stages that ran, in their order.
    pub stages: Vec<Stage>,
    /// Everything that the app, as it was given, imports.
    pub imports: Vec<Import>,
    /// Core functions of the app's modules, before and after, if the app was stripped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip: Option<StripReport>,
    /// The image, if one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRow>,
}

/// The app as it was given.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Input {
    /// The file's name without its extension.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// What one stage did.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// The stage's name.
    pub name: &'static str,
    /// Size of what it took, in bytes.
    pub bytes_before: usize,
    /// Size of what it gave, in bytes.
    pub bytes_after: usize,
    /// What else there is to say, one sentence each.
    pub notes: Vec<String>,
}

impl Stage {
    /// A stage with no notes.
    pub fn new(name: &'static str, bytes_before: usize, bytes_after: usize) -> Self {
        Self { name, bytes_before, bytes_after, notes: Vec::new() }
    }

    /// Adds a sentence.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// What became of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// The image has it.
    Kept,
    /// Nothing in the app can call it.
    Dropped,
    /// A component that was plugged in provides it.
    Plugged,
}

/// An import, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Import {
    /// The interface, with the version that the app asked for.
    pub name: String,
    /// What became of it.
    pub fate: Fate,
    /// Why.
    pub why: String,
}

/// The image that was made.
#[derive(Clone, Debug, Serialize)]
pub struct ImageRow {
    /// The file.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// The host object that was linked.
    pub host: String,
    /// Where the bytes went, largest first; they add up to `bytes`.
    pub parts: Vec<Part>,
}

/// A part of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `app code`, `host wasmtime`, ...
    pub name: String,
    /// Bytes in the file.
    pub bytes: u64,
}

impl Report {
    /// An empty report.
    pub fn new(target: Target, arch: Arch) -> Self {
        Self {
            format: FORMAT,
            mwasm: env!("CARGO_PKG_VERSION"),
            app: Input::default(),
            target,
            arch,
            stages: Vec::new(),
            imports: Vec::new(),
            strip: None,
            image: None,
        }
    }

    /// Adds what a stage did.
    pub fn stage(&mut self, stage: Stage) {
        self.stages.push(stage);
    }

    /// Takes the names that the app has on its outside when it comes in.
    pub fn surface(&mut self, surface: &Surface) {
        let kept = |item: &Item| Import {
            name: item.name.clone(),
            fate: Fate::Kept,
            why: format!("the app imports it ({})", item.kind),
        };
        self.imports = surface.imports.iter().map(kept).collect();
    }

    /// Notes what became of an import; one that was not known before came with a plugin.
    pub fn import(&mut self, name: &str, fate: Fate, why: String) {
        match self.imports.iter_mut().find(|import| import.name == name) {
            Some(import) => (import.fate, import.why) = (fate, why),
            None => self.imports.push(Import { name: name.to_owned(), fate, why }),
        }
    }

    /// The imports that are left, sorted: `interface#function` where the strip stage has looked at functions.
    pub fn kept_imports(&self) -> Vec<String> {
        let kept = |import: &&Import| import.fate == Fate::Kept;
        let whole = self.imports.iter().filter(kept).map(|import| import.name.clone());
        let rows = self.strip.iter().flat_map(|strip| &strip.imports).filter(|row| row.kept);
        let functions: Vec<String> = rows
            .map(|row| match &row.function {
                Some(function) => format!("{}#{function}", row.interface),
                None => row.interface.clone(),
            })
            .collect();
        let mut imports = if functions.is_empty() { whole.collect() } else { functions };
        imports.sort();
        imports.dedup();
        imports
    }

    /// How many imports met a fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.imports.iter().filter(|import| import.fate == fate).count()
    }
}
