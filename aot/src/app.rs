//! The app as it moves through the pipeline: a component, and what it imports and exports.

use anyhow::{Context, Result};
use serde::Serialize;
pub use wasmparser::Encoding;
use wasmparser::{ComponentExternalKind, ComponentTypeRef, KnownCustom, Parser, Payload, ProducersSectionReader};

/// An app between two stages.
#[derive(Clone, Debug)]
pub struct App {
    /// The file's name without its extension.
    pub name: String,
    /// SHA-256 of the file as it was given, 64 hexadecimal digits.
    pub sha256: String,
    /// The component, valid.
    pub component: Vec<u8>,
}

/// The names on a component's outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Surface {
    /// What it imports, in its order.
    pub imports: Vec<Item>,
    /// What it exports, in its order.
    pub exports: Vec<Item>,
    /// The tools that made it, by the `processed-by` of its custom section `producers`.
    pub processed_by: Vec<String>,
}

/// Tools whose HTTP handlers answer one request in the life of an instance. StarlingMonkey has one `FetchEvent`, which refuses a second
/// `respondWith`.
const ANSWER_ONCE: &[&str] = &["ComponentizeJS"];

/// A component-level import or export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// With its version, such as `wasi:cli/exit@0.2.6`.
    pub name: String,
    /// `instance`, `function`, `module`, `component`, `type` or `value`.
    pub kind: &'static str,
}

impl Item {
    fn import(import: &wasmparser::ComponentImport<'_>) -> Self {
        let kind = match import.ty {
            ComponentTypeRef::Module(_) => "module",
            ComponentTypeRef::Func(_) => "function",
            ComponentTypeRef::Value(_) => "value",
            ComponentTypeRef::Type(_) => "type",
            ComponentTypeRef::Instance(_) => "instance",
            ComponentTypeRef::Component(_) => "component",
        };
        Self { name: import.name.name.to_owned(), kind }
    }

    fn export(export: &wasmparser::ComponentExport<'_>) -> Self {
        let kind = match export.kind {
            ComponentExternalKind::Module => "module",
            ComponentExternalKind::Func => "function",
            ComponentExternalKind::Value => "value",
            ComponentExternalKind::Type => "type",
            ComponentExternalKind::Instance => "instance",
            ComponentExternalKind::Component => "component",
        };
        Self { name: export.name.name.to_owned(), kind }
    }
}

impl Surface {
    /// Reads the names on the outside of a component.
    pub fn of(component: &[u8]) -> Result<Self> {
        let mut surface = Self::default();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.context("cannot read the component")? {
                // The parser walks into nested modules and components; their names are not on the outside.
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        surface.imports.push(Item::import(&import?));
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        surface.exports.push(Item::export(&export?));
                    }
                }
                Payload::CustomSection(section) if depth == 0 => {
                    if let KnownCustom::Producers(fields) = section.as_known() {
                        surface.processed_by = processed_by(fields);
                    }
                }
                _ => {}
            }
        }
        Ok(surface)
    }

    /// Whether an instance of it can answer one HTTP request only.
    pub fn answers_once(&self) -> bool {
        self.processed_by.iter().any(|tool| ANSWER_ONCE.contains(&tool.as_str()))
    }

    /// The exported interface `name` at the minor version `minor` (`0.2` finds `0.2.6`), with its whole name.
    pub fn exported(&self, name: &str, minor: &str) -> Option<&str> {
        self.exports.iter().map(|item| item.name.as_str()).find(|export| {
            let (found, version) = mwasm_plan::interfaces::split(export);
            let rest = version.strip_prefix(minor);
            found == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        })
    }
}

/// The names of the field `processed-by`. What cannot be read names nobody: a custom section never makes a component invalid.
fn processed_by(fields: ProducersSectionReader<'_>) -> Vec<String> {
    let fields = fields.into_iter().flatten().filter(|field| field.name == "processed-by");
    fields.flat_map(|field| field.values.into_iter().flatten()).map(|value| value.name.to_owned()).collect()
}

/// Whether bytes are WebAssembly in binary form, and of which layer.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    match Parser::new(0).parse(bytes, true) {
        Ok(wasmparser::Chunk::Parsed { payload: Payload::Version { encoding, .. }, .. }) => Some(encoding),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outer_names_are_on_the_surface() {
        let component = wat::parse_str(
            r#"(component
                (import "a:b/c@1.2.3" (instance))
                (component (import "inner" (func)))
                (core module (import "x" "y" (func)))
                (instance $i)
                (export "wasi:cli/run@0.2.6" (instance $i)))"#,
        )
        .unwrap();
        let surface = Surface::of(&component).unwrap();
        assert_eq!(surface.imports, [Item { name: "a:b/c@1.2.3".into(), kind: "instance" }]);
        assert_eq!(surface.exported("wasi:cli/run", "0.2"), Some("wasi:cli/run@0.2.6"));
        assert_eq!(surface.exported("wasi:cli/run", "0.3"), None);
        assert_eq!(surface.exported("wasi:cli/ru", "0.2"), None);
    }

    /// Pooled instances of StarlingMonkey answered every second request with 500: "respondWith can't be called twice on the same event".
    #[test]
    fn the_tools_that_made_a_component_are_known() {
        let by = |field: &str, tool: &str| {
            let component = format!(
                r#"(component (@custom "producers" "\01\{:02x}{field}\01\{:02x}{tool}\011"))"#,
                field.len(),
                tool.len()
            );
            Surface::of(&wat::parse_str(&component).unwrap()).unwrap()
        };
        let surface = by("processed-by", "ComponentizeJS");
        assert_eq!(surface.processed_by, ["ComponentizeJS"]);
        assert!(surface.answers_once());
        assert!(!by("processed-by", "wit-component").answers_once());
        assert!(!by("language", "ComponentizeJS").answers_once());
        let broken = Surface::of(&wat::parse_str(r#"(component (@custom "producers" "\7f"))"#).unwrap()).unwrap();
        assert!(!broken.answers_once());
    }

    #[test]
    fn encodings_are_told_apart() {
        let of = |text: &str| encoding(&wat::parse_str(text).unwrap());
        assert_eq!(of("(module)"), Some(Encoding::Module));
        assert_eq!(of("(component)"), Some(Encoding::Component));
        assert_eq!(encoding(b"\x7fELF\x02\x01\x01\0"), None);
        assert_eq!(encoding(b""), None);
    }
}
