//! `mwasm aot`: images that run, the same bytes every time. Without host objects in the tested program, it must say how to get them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use common::{Folder, errors, has_hosts, hello, text};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const TARGETS: [&str; 3] = ["desktop", "xen", "arm"];

/// Builds an image of the app that ends with code 7, or finds out that this program cannot.
fn built(folder: &Folder, target: &str, more: &[&str]) -> bool {
    folder.write("hello.wat", hello(7));
    let arguments: Vec<&str> =
        ["aot", "hello.wat", "--target", target, "-o", "image"].iter().chain(more).copied().collect();
    let output = folder.mwasm(&arguments);
    if has_hosts() {
        assert!(output.status.success(), "{target}: {}", errors(&output));
    } else {
        assert_eq!(output.status.code(), Some(1));
        assert!(errors(&output).contains("cargo xtask build"), "{}", errors(&output));
    }
    output.status.success()
}

#[test]
fn images_run_as_the_app_does() {
    for target in TARGETS {
        let folder = Folder::new();
        if !built(&folder, target, &[]) {
            continue;
        }
        let output = folder.mwasm(&["run", "image"]);
        assert_eq!(
            (text(&output).as_str(), output.status.code()),
            ("hello\n", Some(7)),
            "{target}: {}",
            errors(&output)
        );
        assert_eq!(errors(&output), "", "{target}: the host is silent");
    }
}

#[test]
fn a_desktop_image_is_an_executable_by_itself() {
    let folder = Folder::new();
    if !built(&folder, "desktop", &[]) {
        return;
    }
    let path = folder.path().join("image");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    let output = Command::new(&path).output().unwrap();
    assert_eq!((text(&output).as_str(), output.status.code()), ("hello\n", Some(7)));
}

#[test]
fn equal_inputs_give_equal_images_in_any_folder() {
    for target in TARGETS {
        let images = [Folder::new(), Folder::new()].map(|folder| {
            folder.write("site/b.txt", "b");
            folder.write("site/a/c.txt", "c");
            built(&folder, target, &["--embed", "site::/site", "--env", "A=1"])
                .then(|| std::fs::read(folder.path().join("image")).unwrap())
        });
        assert_eq!(images[0], images[1], "{target}");
    }
}

#[test]
fn a_build_leaves_just_the_image() {
    for (target, names) in [
        ("desktop", &["hello.wat", "image"][..]),
        ("xen", &["hello.wat", "image", "image.cfg"]),
        ("arm", &["hello.wat", "image"]),
    ] {
        let folder = Folder::new();
        if built(&folder, target, &[]) {
            assert_eq!(folder.names(), names, "{target}");
        }
    }
}

#[test]
fn inspect_reads_the_decisions_back() {
    let folder = Folder::new();
    let manifest = "[net]\nlisten = [\"tcp:80\"]\n[memory]\nheap = \"16MiB\"\n[target.xen.env]\nWHERE = \"xen\"\n";
    folder.write("m.toml", manifest);
    if !built(&folder, "xen", &["-m", "m.toml", "--set", "k=v", "--connect", "tcp:example.org:25", "--", "one", "two"])
    {
        return;
    }
    let output = folder.mwasm(&["inspect", "image", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let image = &found["image"];
    assert_eq!((&found["kind"], &image["target"], &image["arch"]), (&"image".into(), &"xen".into(), &"x86_64".into()));
    assert_eq!(image["args"], serde_json::json!(["one", "two"]));
    assert_eq!(image["env"], serde_json::json!([["WHERE", "xen"]]));
    assert_eq!(image["config"], serde_json::json!([["k", "v"]]));
    assert_eq!(image["heap_bytes"], 16 << 20);
    assert_eq!(image["policy"]["listen"], serde_json::json!(["tcp:80"]));
    assert_eq!(image["policy"]["connect"], serde_json::json!(["tcp:example.org:25"]));
    assert_eq!(image["policy"]["loopback"], false);
    assert!(image["network"].is_null() && image["http"].is_null(), "what is granted and not used is not there");
    let imports = found["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| import["name"] == "wasi:cli/stdout@0.2.12#get-stdout"), "{imports:?}");
    assert!(!imports.iter().any(|import| import["name"].as_str().unwrap().contains("stderr")), "{imports:?}");
    assert!(found["sizes"]["bytes"].as_u64().unwrap() > 100_000);
    let cfg = std::fs::read_to_string(folder.path().join("image.cfg")).unwrap();
    assert!(cfg.contains("type = \"pvh\"") && cfg.contains("kernel = \"image\""), "{cfg}");
}

#[test]
fn the_report_is_json_on_request() {
    let folder = Folder::new();
    folder.write("hello.wat", hello(0));
    let output = folder.mwasm(&["aot", "hello.wat", "--target", "desktop", "-o", "image", "--report", "json"]);
    if !has_hosts() {
        assert_eq!(text(&output), "");
        return;
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> =
        report["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["load", "configure", "strip", "compile", "fuse"]);
    let parts = report["image"]["parts"].as_array().unwrap();
    let sum: u64 = parts.iter().map(|part| part["bytes"].as_u64().unwrap()).sum();
    assert_eq!(sum, report["image"]["bytes"].as_u64().unwrap());
}

#[test]
fn what_was_decided_cannot_be_changed() {
    let folder = Folder::new();
    if !built(&folder, "xen", &[]) {
        return;
    }
    for (arguments, message) in [
        (&["run", "image", "--env", "A=1"][..], "--env has no effect"),
        (&["run", "image", "--target", "arm"], "is an image for xen"),
        (&["run", "image", "--", "x"], "takes no arguments"),
        (&["run", "image", "-p", "8080:80"], "nothing can answer at tcp:80"),
        (&["aot", "hello.wat", "--target", "xen", "--net", "tap=tap0"], "--net has no effect"),
    ] {
        let output = folder.mwasm(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(errors(&output).contains(message), "{}", errors(&output));
    }
}

/// A virtual machine that waits for input is asked to end, and does; no QEMU is left.
#[test]
fn a_signal_presses_the_power_button() {
    for target in ["xen", "arm"] {
        let folder = Folder::new();
        if !has_hosts() {
            assert!(!built(&folder, target, &[]));
            continue;
        }
        folder.write("waits.wat", common::waits());
        let output = folder.mwasm(&["aot", "waits.wat", "--target", target, "-o", "image"]);
        assert!(output.status.success(), "{}", errors(&output));
        let mut child = folder.command(&["run", "image"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut word = [0; 6];
        out.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"ready\n");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(143), "{target}");
        // The pipe is at its end when nobody has it any more: neither mwasm nor a machine of it.
        let mut rest = Vec::new();
        out.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"", "{target}");
    }
}

/// What comes in goes out, whatever the bytes.
#[test]
fn every_byte_passes_a_virtual_machine() {
    let bytes: Vec<u8> = (0..=255).collect();
    for target in ["xen", "arm"] {
        let folder = Folder::new();
        if !has_hosts() {
            assert!(!built(&folder, target, &[]));
            continue;
        }
        folder.write("echoes.wat", common::echoes(bytes.len()));
        let output = folder.mwasm(&["aot", "echoes.wat", "--target", target, "-o", "image"]);
        assert!(output.status.success(), "{}", errors(&output));
        let mut child = folder.command(&["run", "image"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut word = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
        assert_eq!(&word, b"ready\n");
        child.stdin.as_mut().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(0), bytes.clone()), "{target}");
    }
}
