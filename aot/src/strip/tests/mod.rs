//! Whole components through the stage: what goes, what stays, what must not change.

mod components;
mod modules;

use super::component::{Def, Model, ROOT};
use super::{Counts, ImportReport, Stripped, strip};
use wasmparser::{Validator, WasmFeatures};

/// Strips a component in text form, and checks what must always hold.
fn stripped(text: &str) -> Stripped {
    let bytes = wat::parse_str(text).unwrap();
    let validate = |bytes: &[u8]| Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).map(drop);
    validate(&bytes).unwrap();
    let stripped = strip(&bytes).unwrap();
    assert_eq!(stripped.report.unchanged_because, None);
    validate(&stripped.component).unwrap();
    let again = strip(&stripped.component).unwrap();
    assert_eq!(again.component, stripped.component, "what is stripped has nothing left to strip");
    stripped
}

fn import<'s>(stripped: &'s Stripped, function: &str) -> &'s ImportReport {
    let named = |import: &&ImportReport| import.function.as_deref().unwrap_or(&import.interface) == function;
    stripped.report.imports.iter().find(named).unwrap()
}

/// The names of the root's imports.
fn imports(stripped: &Stripped) -> Vec<String> {
    let model = Model::parse(&stripped.component).unwrap();
    let imports = model.component(ROOT).defs.iter().filter_map(|def| match def {
        Def::Import(import) => Some(import.name.name.to_string()),
        _ => None,
    });
    imports.collect()
}

/// A component around one core module without imports, whose export `run` is lifted.
fn around(module: &str) -> String {
    format!(
        r#"(component
            (core module $m {module})
            (core instance $i (instantiate $m))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#
    )
}

fn only_module(stripped: &Stripped) -> (Counts, Counts) {
    let [module] = &stripped.report.modules[..] else { panic!("one module") };
    (module.before, module.after)
}
