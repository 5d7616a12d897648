//! Stage 5, prune: drops what the app cannot reach, and with it the imports that nothing calls.
//!
//! The work is [`strip`](crate::strip)'s; this is its place in the pipeline, and its rows in words.

use crate::app::App;
use crate::report::{ARROW, Fate, Report, Stage};
use crate::strip::{self, ImportReport, InterfaceReport, ModuleReport};
use anyhow::Result;

/// Drops what the app cannot reach.
pub fn prune(mut app: App, report: &mut Report) -> Result<App> {
    let stripped = strip::strip(&app.component)?;
    let told = stripped.report;
    let functions = |counts: fn(&ModuleReport) -> u32| told.modules.iter().map(counts).sum::<u32>();
    let (before, after) = (functions(|row| row.before.functions), functions(|row| row.after.functions));
    let note = match &told.unchanged_because {
        Some(why) => format!("left as it was: {why}"),
        None => format!("{} of {before} functions removed", before.saturating_sub(after)),
    };
    report.stage(Stage::new("strip", app.component.len(), stripped.component.len()).note(note));
    for row in &told.interfaces {
        let (fate, why) = fate(row, &told.imports);
        report.import(&row.name, fate, why);
    }
    report.strip = Some(told);
    app.component = stripped.component;
    Ok(app)
}

/// What became of an interface, and why, from the rows of its functions.
fn fate(row: &InterfaceReport, functions: &[ImportReport]) -> (Fate, String) {
    let mut of_row = functions.iter().filter(|function| function.interface == row.name);
    match row.outcome {
        strip::Outcome::Dropped => {
            let why = of_row.find_map(|function| function.reason.as_deref());
            (Fate::Dropped, why.map_or_else(|| "nothing in the app calls it".to_owned(), reason))
        }
        strip::Outcome::TypesOnly => (Fate::Kept, "for its types only; no function is called".to_owned()),
        strip::Outcome::Kept => {
            let chain = of_row.find(|function| function.kept && !function.chain.is_empty());
            let chain = chain.map(|function| chain_in_words(&function.chain)).unwrap_or_default();
            let (after, before) = (row.functions_after, row.functions_before);
            let count = if after == before { String::new() } else { format!("{after} of {before} functions: ") };
            (Fate::Kept, format!("{count}{chain}"))
        }
    }
}

/// `run → __main_void → main → println → write`: who calls whom.
fn chain_in_words(chain: &[String]) -> String {
    let mut links: Vec<String> = chain.iter().map(|link| function(link)).collect();
    // The same function may stand in the component and in its module.
    links.dedup();
    links.join(ARROW)
}

/// A reason of the strip stage, with the names in it in words.
fn reason(text: &str) -> String {
    text.split(' ')
        .map(|word| if word.contains("::") { function(word) } else { word.to_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}

/// `app.wasm::_ZN3app4main17h0123456789abcdefE` is `app::main`; `export NAME` is `NAME`.
fn function(link: &str) -> String {
    let link = link.strip_prefix("export ").unwrap_or(link);
    let symbol = link.split_once("::").map_or(link, |(_, symbol)| symbol);
    short_path(&format!("{:#}", rustc_demangle::demangle(symbol)))
}

/// The last two names of a path, without generic arguments: `<std::io::BufWriter<W> as std::io::Write>::flush` is `Write::flush`.
fn short_path(path: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0u32;
    let mut inside = String::new();
    for letter in path.chars() {
        match letter {
            '<' => {
                if depth == 0 {
                    inside.clear();
                }
                depth += 1;
            }
            '>' if depth > 0 => {
                depth -= 1;
                // A path that starts with a type in angle brackets goes by the trait, or by the type.
                if depth == 0 && plain.is_empty() {
                    plain.push_str(inside.rsplit(" as ").next().unwrap_or_default());
                }
            }
            letter if depth == 0 => plain.push(letter),
            letter if depth == 1 => inside.push(letter),
            _ => {}
        }
    }
    let names: Vec<&str> = plain.split("::").filter(|name| !name.is_empty() && !name.starts_with('{')).collect();
    let last = names.get(names.len().saturating_sub(2)..).unwrap_or_default();
    if last.is_empty() { path.to_owned() } else { last.join("::") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Arch, Target};

    #[test]
    fn chains_are_readable() {
        let chain = [
            "export wasi:cli/run@0.2.0",
            "app.wasm::_start",
            "app.wasm::__main_void",
            "app.wasm::_ZN3app4main17h0123456789abcdefE",
            "app.wasm::_ZN3std2io5stdio6_print17h0123456789abcdefE",
            "app.wasm::write",
        ];
        let chain = chain.map(str::to_owned);
        assert_eq!(
            chain_in_words(&chain),
            "wasi:cli/run@0.2.0 → _start → __main_void → app::main → stdio::_print → write"
        );
        assert_eq!(chain_in_words(&chain[..2]), "wasi:cli/run@0.2.0 → _start");
        assert_eq!(reason("only called by app.wasm::_ZN3app4dead17h0123456789abcdefE"), "only called by app::dead");
    }

    #[test]
    fn paths_lose_their_generics() {
        for (path, short) in [
            ("main", "main"),
            ("std::io::Write::write_all", "Write::write_all"),
            ("<std::io::BufWriter<W> as std::io::Write>::flush", "Write::flush"),
            ("core::ptr::drop_in_place::<alloc::vec::Vec<u8>>", "ptr::drop_in_place"),
            ("<a::b::C<D>>::f", "C::f"),
            ("app::main::{closure#0}", "app::main"),
        ] {
            assert_eq!(short_path(path), short, "{path}");
        }
    }

    #[test]
    fn what_nothing_calls_is_dropped_with_its_import() {
        let text = r#"(component
            (import "a:b/used@1.0.0" (instance $used (export "f" (func))))
            (import "a:b/dead@1.0.0" (instance $dead (export "f" (func))))
            (core func $used (canon lower (func $used "f")))
            (core func $dead (canon lower (func $dead "f")))
            (core module $m
                (import "" "used" (func $used)) (import "" "dead" (func $dead))
                (func $never (call $dead))
                (func (export "run") (call $used)))
            (core instance $i (instantiate $m (with "" (instance
                (export "used" (func $used)) (export "dead" (func $dead))))))
            (func (export "run") (canon lift (core func $i "run"))))"#;
        let app = App { name: "app".into(), sha256: String::new(), component: wat::parse_str(text).unwrap() };
        let mut report = Report::new(Target::Xen, Arch::X86_64);
        report.surface(&crate::app::Surface::of(&app.component).unwrap());
        let app = prune(app, &mut report).unwrap();
        assert_eq!((report.count(Fate::Kept), report.count(Fate::Dropped)), (1, 1), "{:?}", report.imports);
        assert_eq!(report.kept_imports(), ["a:b/used@1.0.0#f"]);
        assert_eq!(crate::app::Surface::of(&app.component).unwrap().imports.len(), 1);
    }
}
