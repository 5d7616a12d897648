//! Finds the host objects that `cargo xtask hosts` built, and has them become part of `mwasm`.
//!
//! They are looked for in the folder that MWASM_HOSTS names, else in target/hosts of this workspace. Without them the build works,
//! too, and the program says how to get a full one when an image is asked for: checks and most tests need no image.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=MWASM_HOSTS");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
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
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("hosts.rs"), table)
}
