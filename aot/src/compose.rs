//! Stage 2, compose: the components that the manifest names are plugged into the app's imports.
//!
//! A plugin provides what it exports: to the app, and to the other plugins. What no plugin provides stays an import of the whole. An
//! export fits an import of the same name, or of a version that semantic versioning calls compatible.

use crate::app::{App, Encoding, Surface, encoding};
use crate::problem::Problem;
use crate::report::{Fate, Report, Stage};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;
use wac_graph::types::{Package, are_semver_compatible};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId};

/// Plugs the components of `plugins` (a name for messages, and the file) into the app.
pub fn compose(mut app: App, plugins: &[(String, PathBuf)], report: &mut Report) -> Result<App> {
    if plugins.is_empty() {
        return Ok(app);
    }
    let before = app.component.len();
    let parts = parts(&app, plugins)?;
    let wires = wires(&parts)?;
    app.component = encode(&parts, &wires)?;
    let mut stage = Stage::new("compose", before, app.component.len());
    for wire in &wires {
        let [from, to] = [wire.from, wire.to].map(|part| parts.get(part).map_or("", |part| part.name.as_str()));
        if wire.to == APP {
            report.import(&wire.import, Fate::Plugged, format!("the plugin '{from}' provides it"));
        } else {
            stage = stage.note(format!("'{from}' provides {} to '{to}'", wire.import));
        }
    }
    report.stage(stage);
    for import in Surface::of(&app.component)?.imports {
        if !report.imports.iter().any(|row| row.name == import.name) {
            report.import(&import.name, Fate::Kept, "a plugin imports it".to_owned());
        }
    }
    Ok(app)
}

/// The app and the plugins; the app is the first.
struct Part {
    name: String,
    component: Vec<u8>,
    surface: Surface,
}

/// The index of the app among the parts.
const APP: usize = 0;

/// An export of one part that meets an import of another.
struct Wire {
    from: usize,
    export: String,
    to: usize,
    import: String,
}

fn parts(app: &App, plugins: &[(String, PathBuf)]) -> Result<Vec<Part>> {
    let surface = Surface::of(&app.component)?;
    let mut parts = vec![Part { name: app.name.clone(), component: app.component.clone(), surface }];
    for (name, file) in plugins {
        let component = std::fs::read(file).map_err(|error| {
            Problem::new(format!("cannot read the plugin '{name}': {}: {error}", file.display()))
                .help("[plugins] names component files, relative to the manifest")
        })?;
        if encoding(&component) != Some(Encoding::Component) {
            let message = format!("the plugin '{name}' is no WebAssembly component: {}", file.display());
            return Err(Problem::new(message)
                .help("build it as a component; core modules cannot be plugged in")
                .into());
        }
        let surface = Surface::of(&component).with_context(|| format!("in the plugin '{name}'"))?;
        parts.push(Part { name: name.clone(), component, surface });
    }
    Ok(parts)
}

/// Finds for each import of each part the export that provides it; a plugin that provides nothing is a mistake.
fn wires(parts: &[Part]) -> Result<Vec<Wire>> {
    let mut wires = Vec::new();
    for (to, part) in parts.iter().enumerate() {
        for import in &part.surface.imports {
            let fits = |from: &(usize, &Part)| from.0 != APP && from.0 != to;
            let mut providers = parts.iter().enumerate().filter(fits).filter_map(|(from, part)| {
                let exports = || part.surface.exports.iter().map(|export| export.name.as_str());
                let same = exports().find(|export| *export == import.name);
                let export = same.or_else(|| exports().find(|export| are_semver_compatible(export, &import.name)))?;
                Some((from, part, export.to_owned()))
            });
            let Some((from, first, export)) = providers.next() else { continue };
            if let Some((_, second, _)) = providers.next() {
                let message = format!("two plugins provide {}: '{}' and '{}'", import.name, first.name, second.name);
                return Err(Problem::new(message).help("remove one of them from [plugins]").into());
            }
            wires.push(Wire { from, export, to, import: import.name.clone() });
        }
    }
    for (index, part) in parts.iter().enumerate().skip(1) {
        if !wires.iter().any(|wire| wire.from == index) {
            return Err(provides_nothing(part, parts));
        }
    }
    Ok(wires)
}

fn provides_nothing(plugin: &Part, parts: &[Part]) -> anyhow::Error {
    let list = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let exports = plugin.surface.exports.iter().map(|item| item.name.as_str()).collect();
    let imports = parts.iter().flat_map(|part| &part.surface.imports).map(|item| item.name.as_str()).collect();
    Problem::new(format!(
        "the plugin '{}' provides nothing that is imported: it exports {}",
        plugin.name,
        list(exports)
    ))
    .help(format!("imported are {}", list(imports)))
    .into()
}

/// The composed component.
fn encode(parts: &[Part], wires: &[Wire]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut instances: BTreeMap<usize, NodeId> = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        let package =
            Package::from_bytes(&format!("part:part{index}"), None, part.component.clone(), graph.types_mut())
                .with_context(|| format!("cannot compose '{}'", part.name))?;
        let package = graph.register_package(package)?;
        instances.insert(index, graph.instantiate(package));
    }
    let instance = |part: usize| instances.get(&part).copied().context("a part without an instance");
    for wire in wires {
        let export = graph.alias_instance_export(instance(wire.from)?, &wire.export)?;
        graph.set_instantiation_argument(instance(wire.to)?, &wire.import, export).map_err(|error| {
            let names = [wire.from, wire.to].map(|part| parts.get(part).map_or("", |part| part.name.as_str()));
            let why = std::error::Error::source(&error).map_or(String::new(), |source| format!(": {source}"));
            Problem::new(format!("the plugin '{}' does not fit {} of '{}'{why}", names[0], wire.import, names[1]))
                .help("build both against the same version of the WIT package")
        })?;
    }
    for export in parts.first().map(|app| &app.surface.exports).into_iter().flatten() {
        let alias = graph.alias_instance_export(instance(APP)?, &export.name)?;
        graph.export(alias, &export.name)?;
    }
    graph.encode(EncodeOptions::default()).map_err(|error| match error {
        wac_graph::EncodeError::GraphContainsCycle { .. } => Problem::new("the plugins import each other in a circle")
            .help("a component can only import what is made before it")
            .into(),
        error => anyhow::Error::from(error).context("the plugins and the app do not fit together"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Arch, Target};

    const APP_TEXT: &str = r#"(component
        (import "a:b/c@1.0.0" (instance $c (export "f" (func (result u32)))))
        (import "x:y/z" (instance))
        (alias export $c "f" (func $f))
        (export "g" (func $f)))"#;

    fn provider(export: &str, import: &str) -> String {
        format!(
            r#"(component
                {import}
                (core module $m (func (export "f") (result i32) (i32.const 7)))
                (core instance $i (instantiate $m))
                (func $f (result u32) (canon lift (core func $i "f")))
                (instance $e (export "f" (func $f)))
                (export "{export}" (instance $e)))"#
        )
    }

    fn run(plugins: &[(&str, String)]) -> Result<(App, Report)> {
        let directory = tempfile::tempdir().unwrap();
        let write = |(name, text): &(&str, String)| {
            let file = directory.path().join(format!("{name}.wasm"));
            std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
            ((*name).to_owned(), file)
        };
        let plugins: Vec<_> = plugins.iter().map(write).collect();
        let app = App { name: "app".into(), sha256: String::new(), component: wat::parse_str(APP_TEXT).unwrap() };
        let mut report = Report::new(Target::Xen, Arch::X86_64);
        report.surface(&Surface::of(&app.component).unwrap());
        let app = compose(app, &plugins, &mut report)?;
        Ok((app, report))
    }

    #[test]
    fn a_compatible_export_is_plugged_in() {
        let (app, report) = run(&[("seven", provider("a:b/c@1.2.0", ""))]).unwrap();
        let surface = Surface::of(&app.component).unwrap();
        assert_eq!(surface.imports.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["x:y/z"]);
        assert_eq!(surface.exports.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["g"]);
        assert_eq!((report.count(Fate::Plugged), report.count(Fate::Kept)), (1, 1));
    }

    #[test]
    fn plugins_provide_to_plugins() {
        let import = r#"(import "p:q/r" (instance (export "f" (func (result u32)))))"#;
        let (app, _) = run(&[("one", provider("a:b/c@1.0.0", import)), ("two", provider("p:q/r", ""))]).unwrap();
        assert_eq!(Surface::of(&app.component).unwrap().imports.len(), 1);
    }

    #[test]
    fn mistakes_are_named() {
        let fails = |plugins: &[(&str, String)]| format!("{:#}", run(plugins).unwrap_err());
        assert!(
            fails(&[("p", provider("q:r/s", ""))]).contains("'p' provides nothing that is imported: it exports q:r/s")
        );
        let twice = [("p", provider("a:b/c@1.0.0", "")), ("q", provider("a:b/c@1.1.0", ""))];
        assert!(fails(&twice).contains("two plugins provide a:b/c@1.0.0: 'p' and 'q'"));
        assert!(fails(&[("p", "(module)".into())]).contains("no WebAssembly component"));
        let other = r#"(component (instance $e) (export "a:b/c@1.0.0" (instance $e)))"#;
        assert!(fails(&[("p", other.into())]).contains("does not fit a:b/c@1.0.0 of 'app'"));
        let circle = |export: &str, import: &str| {
            provider(export, &format!(r#"(import "{import}" (instance (export "f" (func (result u32)))))"#))
        };
        let circle = [("p", circle("a:b/c@1.0.0", "p:q/r")), ("q", circle("p:q/r", "a:b/c@1.0.0"))];
        assert!(fails(&circle).contains("in a circle"));
        let app = App { name: "app".into(), sha256: String::new(), component: wat::parse_str(APP_TEXT).unwrap() };
        let plugins = [("p".to_owned(), PathBuf::from("/nowhere.wasm"))];
        let error = compose(app, &plugins, &mut Report::new(Target::Xen, Arch::X86_64)).unwrap_err();
        assert!(error.to_string().contains("cannot read the plugin 'p': /nowhere.wasm"));
    }
}
