//! `mwasm run` in this process: output and exit code are the app's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use common::{Folder, LIBRARY, TRAPS, errors, hello, text};

#[test]
fn output_and_exit_code_are_the_apps() {
    let folder = Folder::new();
    folder.write("hello.wat", hello(7));
    let output = folder.mwasm(&["run", "hello.wat"]);
    assert_eq!((output.status.code(), text(&output).as_str(), errors(&output).as_str()), (Some(7), "hello\n", ""));
}

#[test]
fn a_trap_is_told_and_has_its_code() {
    let folder = Folder::new();
    folder.write("traps.wat", TRAPS);
    let output = folder.mwasm(&["run", "traps.wat"]);
    assert_eq!(output.status.code(), Some(134));
    assert!(errors(&output).contains("divide by zero"), "{}", errors(&output));
}

#[test]
fn the_manifest_names_the_app() {
    let folder = Folder::new();
    folder.write("hello.wat", hello(3));
    folder.write("mwasm.toml", "[app]\ncomponent = \"hello.wat\"\n");
    assert_eq!(folder.mwasm(&["run"]).status.code(), Some(3));
    assert_eq!(folder.mwasm(&["run", "-m", "mwasm.toml"]).status.code(), Some(3));
}

#[test]
fn functions_are_called_in_wave() {
    let folder = Folder::new();
    folder.write("library.wat", LIBRARY);
    for (call, result) in [("add(1, 2)", "3\n"), ("greet(\"you\")", "\"you\"\n"), ("greet(\"\")", "\"\"\n")] {
        let output = folder.mwasm(&["run", "library.wat", "--invoke", call]);
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), result), "{call}: {}", errors(&output));
    }
}

#[test]
fn inspection_tells_what_an_app_can_reach() {
    let folder = Folder::new();
    folder.write("hello.wat", hello(0));
    let output = folder.mwasm(&["inspect", "hello.wat", "--format", "json", "--html", "page.html"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["kind"], &found["name"]), (&"app".into(), &"hello".into()));
    let fate = |name: &str| {
        let imports = found["imports"].as_array().unwrap();
        imports.iter().find(|import| import["name"] == name).unwrap()["fate"].clone()
    };
    assert_eq!(fate("wasi:cli/stdout@0.2.12"), "kept");
    assert_eq!(fate("wasi:cli/stderr@0.2.12"), "dropped");
    assert!(found["capabilities"].as_array().unwrap().contains(&"writes to standard output".into()));
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("wasi:cli/stdout@0.2.12"));
    assert!(text(&folder.mwasm(&["inspect", "hello.wat"])).contains("writes to standard output"));
}

#[test]
fn the_doctor_speaks_json() {
    let output = Folder::new().mwasm(&["doctor", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.success(), found["ok"].as_bool().unwrap());
    for check in found["checks"].as_array().unwrap() {
        assert_eq!(check["ok"].as_bool().unwrap(), check["mend"].is_null(), "what is missing can be mended: {check}");
    }
}

#[test]
fn new_makes_a_project_once() {
    for lang in ["rust", "c", "python", "js", "go"] {
        let folder = Folder::new();
        let output = folder.mwasm(&["new", "my-app", "--lang", lang]);
        assert!(output.status.success(), "{}", errors(&output));
        for file in ["mwasm.toml", "README.md", ".gitignore"] {
            assert!(folder.path().join("my-app").join(file).exists(), "{lang}: {file}");
        }
        assert_eq!(folder.mwasm(&["new", "my-app", "--lang", lang]).status.code(), Some(1));
    }
}

#[test]
fn shells_get_completions() {
    let output = Folder::new().mwasm(&["completions", "bash"]);
    assert!(output.status.success() && text(&output).contains("mwasm"));
}
