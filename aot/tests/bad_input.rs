//! Whatever is wrong is said in a message that names it and tells what to do; the exit code says whose fault it is; and no file is
//! left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use common::{Folder, LIBRARY, errors, hello, text};

struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    /// Parts of the message.
    message: &'static [&'static str],
}

const fn case(
    name: &'static str,
    code: i32,
    arguments: &'static [&'static str],
    message: &'static [&'static str],
) -> Case {
    Case { name, arguments, code, message }
}

const CASES: &[Case] = &[
    case("no command", 2, &[], &["Usage: mwasm"]),
    case("unknown command", 2, &["aott"], &["unrecognized subcommand 'aott'", "'aot'"]),
    case("no target", 2, &["aot", "hello.wat"], &["--target"]),
    case("unknown target", 2, &["aot", "hello.wat", "--target", "xne"], &["'xne'", "desktop, xen, arm"]),
    case(
        "wrong architecture",
        2,
        &["aot", "hello.wat", "--target", "xen", "--arch", "aarch64"],
        &["xen does not run on aarch64"],
    ),
    case("no app", 2, &["aot", "--target", "xen"], &["no app"]),
    case("bad pair", 2, &["aot", "hello.wat", "--target", "xen", "--set", "k"], &["wanted NAME=VALUE"]),
    case("bad port", 2, &["run", "hello.wat", "--listen", "80"], &["wanted tcp:PORT"]),
    case("bad peer", 2, &["run", "hello.wat", "--connect", "tcp:80"], &["wanted tcp:HOST:PORT"]),
    case("bad mapping", 2, &["aot", "hello.wat", "--target", "xen", "--embed", "x"], &["wanted HOST::GUEST"]),
    case(
        "over the app",
        2,
        &["aot", "hello.wat", "--target", "xen", "-o", "hello.wat"],
        &["would take the place of the app"],
    ),
    case(
        "missing app",
        1,
        &["aot", "none.wasm", "--target", "xen"],
        &["cannot read the app 'none.wasm'", "No such file"],
    ),
    case("a folder", 1, &["aot", "site", "--target", "xen"], &["cannot read the app 'site'"]),
    case("empty", 1, &["aot", "empty.wasm", "--target", "xen"], &["'empty.wasm' is not WebAssembly: it is empty"]),
    case("text", 1, &["run", "notes.txt"], &["'notes.txt' is not WebAssembly: it is text"]),
    case("bad text", 1, &["run", "bad.wat"], &["'bad.wat' is not valid WebAssembly text", "bad.wat:1:13"]),
    case("cut off", 1, &["aot", "cut.wasm", "--target", "xen"], &["'cut.wasm' is cut off"]),
    case("invalid", 1, &["aot", "invalid.wat", "--target", "xen"], &["'invalid.wat' is not valid", "at offset 0x"]),
    case("foreign module", 1, &["aot", "foreign.wat", "--target", "xen"], &["no WASI module", "env.js_alert"]),
    case(
        "unserved import",
        1,
        &["aot", "unserved.wat", "--target", "xen"],
        &["'acme:rocket/launch@1.0.0'", "[plugins]"],
    ),
    case("near import", 1, &["run", "near.wat"], &["'wasi:cli/exits@0.2.0'", "did you mean 'wasi:cli/exit'?"]),
    case("missing manifest", 1, &["run", "hello.wat", "-m", "none.toml"], &["cannot read the manifest 'none.toml'"]),
    case(
        "bad key",
        1,
        &["run", "hello.wat", "-m", "key.toml"],
        &["unknown key 'argz'", "line 2", "did you mean 'args'?"],
    ),
    case("missing plugin", 1, &["run", "hello.wat", "-m", "plugin.toml"], &["cannot read the plugin 'auth'"]),
    case(
        "missing folder",
        1,
        &["aot", "hello.wat", "--target", "xen", "--embed", "none::/x"],
        &["cannot embed 'none'"],
    ),
    case(
        "no such export",
        2,
        &["run", "library.wat", "--invoke", "sub(1, 2)"],
        &["no function 'sub'", "greet: func(name: string) -> string"],
    ),
    case(
        "wrong arguments",
        2,
        &["run", "library.wat", "--invoke", "add(1)"],
        &["wanted add: func(a: u32, b: u32) -> u32"],
    ),
    case("no call", 2, &["run", "library.wat", "--invoke", "add("], &["cannot understand the call"]),
    case("existing project", 1, &["new", "site"], &["cannot make the directory 'site'", "another name"]),
    case("bad project name", 2, &["new", "../x"], &["'../x' is no name for a project"]),
    case("inspect nothing", 1, &["inspect", "notes.txt"], &["not WebAssembly"]),
    case("store", 2, &["run", "hello.wat", "--store", "s"], &["no host of this version serves mwasm:storage"]),
];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("hello.wat", hello(0));
    folder.write("library.wat", LIBRARY);
    folder.write("empty.wasm", "");
    folder.write("notes.txt", "some notes\n");
    folder.write("bad.wat", "(component (bogus))");
    folder.write("invalid.wat", "(module (func (result i32)))");
    folder.write("foreign.wat", r#"(module (import "env" "js_alert" (func)))"#);
    folder.write("unserved.wat", used("acme:rocket/launch@1.0.0"));
    folder.write("near.wat", used("wasi:cli/exits@0.2.0"));
    let component = wat::parse_str(LIBRARY).unwrap();
    folder.write("cut.wasm", &component[..component.len() - 5]);
    folder.write("key.toml", "[app]\nargz = []\n");
    folder.write("plugin.toml", "[plugins]\nauth = \"auth.wasm\"\n");
    folder.write("site/index.html", "");
    folder
}

/// An app that calls a function of an interface.
fn used(interface: &str) -> String {
    format!(
        r#"(component
            (import "{interface}" (instance $i (export "f" (func))))
            (core func $f (canon lower (func $i "f")))
            (core module $m (import "" "f" (func $f)) (func (export "run") (call $f)))
            (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
            (func (export "run") (canon lift (core func $m "run"))))"#
    )
}

#[test]
fn every_mistake_is_named_and_leaves_nothing_behind() {
    let folder = folder();
    let before = folder.names();
    for case in CASES {
        let output = folder.mwasm(case.arguments);
        let message = errors(&output);
        assert_eq!(output.status.code(), Some(case.code), "{}: {message}", case.name);
        for part in case.message {
            assert!(message.contains(part), "{}: wanted '{part}' in:\n{message}", case.name);
        }
        assert_eq!(text(&output), "", "{}: standard output is the app's", case.name);
        assert_eq!(folder.names(), before, "{}", case.name);
    }
}

#[test]
fn a_manifest_error_shows_the_line() {
    let folder = folder();
    let message = errors(&folder.mwasm(&["run", "hello.wat", "-m", "key.toml"]));
    assert!(message.contains("key.toml:2:1") && message.contains("argz = []"), "{message}");
}

#[test]
fn a_target_folder_that_is_not_there_is_named() {
    let folder = folder();
    let output = folder.mwasm(&["aot", "hello.wat", "--target", "xen", "-o", "no/such/image"]);
    assert_eq!(output.status.code(), Some(1));
    let message = errors(&output);
    let wanted = if common::has_hosts() { "cannot write 'no/such/image'" } else { "cargo xtask build" };
    assert!(message.contains(wanted), "{message}");
}
