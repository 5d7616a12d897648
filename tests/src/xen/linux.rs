//! A Linux that runs as a PVH domain beside mwasm's images, to compare: the kernel that dom0 has, and an echo server as its only program.

use super::cpio::Archive;
use super::file;
use crate::machine::Image;
use crate::process::succeed;
use crate::root;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;

/// What `xl` is told of it. The kernel's own choices stand otherwise, as for anybody who boots Debian.
const CONFIGURATION: &str = r#"name = "linux"
type = "pvh"
kernel = "image"
ramdisk = "ramdisk"
extra = "console=hvc0 quiet panic=1"
memory = 129
vcpus = 1
vif = [ "" ]
"#;

/// The kernel, its configuration and its first files, made as `mwasm aot` makes an image.
pub fn echo_server() -> Result<Image> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("image");
    fs::copy(file("x86/kernel")?, &path).context("copying dom0's kernel")?;
    fs::write(path.with_extension("cfg"), CONFIGURATION)?;
    write_files(&directory.path().join("ramdisk"))?;
    Ok(Image { directory, path })
}

fn write_files(ramdisk: &Path) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let echo = directory.path().join("echo");
    let source = root().join("tests/xen/linux-echo.c");
    succeed(Command::new("cc").args(["-O2", "-static", "-o"]).arg(&echo).arg(source))?;
    let dom0 = file("x86/dom0")?;
    let mut archive = Archive::new(BufWriter::new(File::create(ramdisk)?));
    for name in ["bin", "sbin", "dev", "sys"] {
        archive.directory(name)?;
    }
    for (name, from) in [
        ("init", root().join("tests/xen/linux-init")),
        ("sbin/poweroff", root().join("tests/xen/linux-poweroff")),
        ("echo", echo),
        ("bin/busybox", dom0.join("bin/busybox")),
        ("xen-netfront.ko", dom0.join("modules/xen-netfront.ko")),
    ] {
        archive.file(name, &fs::read(&from).with_context(|| format!("reading {}", from.display()))?)?;
    }
    archive.finish()
}
