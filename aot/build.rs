//! Finds the host objects that `cargo xtask hosts` built, and has them become part of `mwasm`.
//!
//! They are looked for in the folder that MWASM_HOSTS names, else in target/hosts of this workspace. Without them the build works,
//! too, and the program says how to get a full one when an image is asked for: checks and most tests need no image.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=MWASM_HOSTS");
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    let directory = env::var_os("MWASM_HOSTS").map_or_else(|| workspace.join("target/hosts"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", directory.display());

    let mut objects: Vec<PathBuf> = match fs::read_dir(&directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?,
        Err(_) => Vec::new(),
    };
    objects.sort();
    let mut table = String::from("&[\n");
    for object in objects {
        let file = object.file_name().and_then(|name| name.to_str());
        if let Some(name) = file.and_then(|file| file.strip_suffix(".o.zst")) {
            println!("cargo::rerun-if-changed={}", object.display());
            let path = object.canonicalize()?;
            let _ = writeln!(table, "    ({name:?}, include_bytes!({path:?})),");
        }
    }
    table.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("hosts.rs"), table)
}

/// A variable that cargo sets when this program runs.
fn variable(name: &str) -> io::Result<OsString> {
    env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo did not set {name}")))
}
