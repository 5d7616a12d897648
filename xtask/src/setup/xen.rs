//! A real Xen for the tests, for x86_64 and for ARM: a hypervisor and a control domain ("dom0"), all from Debian's packages, unpacked but
//! never installed. 150 MB to download, 80 MB kept:
//!
//! ```text
//!   target/xen -> the cache:
//!     x86/hypervisor   Xen, a multiboot ELF
//!     x86/kernel       Linux for dom0, as Debian ships it: Xen unpacks it
//!     x86/dom0/        dom0's files: busybox, Xen's tools, their libraries, the modules that these need
//!     arm/hypervisor   Xen, a flat Image
//!     arm/kernel       Linux for dom0, a flat Image
//!     arm/dom0/        dom0's files
//!     versions         the packages
//! ```
//!
//! What runs in dom0, and how the machines are put together, is in tests/xen and tests/src/xen. Made once; to take newer packages, remove
//! the directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{apt, cache};
use crate::{paths, progress, run};

/// Raised when a change of this file makes something different from the same packages.
const RECIPE: u32 = 1;

/// What dom0 is made of, beside its kernel: Xen's tools, and the libraries that they load. The C library, too, so that nothing depends on the
/// machine's own.
const PACKAGES: &[&str] = &[
    "xen-utils-4.17",
    "xenstore-utils",
    "libxenmisc4.17",
    "libxencall1",
    "libxendevicemodel1",
    "libxenevtchn1",
    "libxenforeignmemory1",
    "libxengnttab1",
    "libxenhypfs1",
    "libxenstore4",
    "libxentoolcore1",
    "libxentoollog1",
    "libyajl2",
    "libuuid1",
    "liblzma5",
    "libzstd1",
    "zlib1g",
    "libgcc-s1",
    "libc6",
    "busybox-static",
];

/// The package that depends on the newest generic kernel. Debian's kernel for clouds cannot be dom0.
const KERNEL: (&str, &str) = ("linux-image-amd64", "linux-image-6.1.");

/// What differs between the architectures.
#[derive(Debug)]
struct Architecture {
    /// Debian's name of it.
    debian: &'static str,
    /// Packages that only it needs.
    packages: &'static [&'static str],
    /// Where Debian has its libraries, below `lib` and `usr/lib`.
    libraries: &'static str,
    /// The program that loads them.
    loader: &'static str,
    /// Modules of its kernel for the machine that QEMU is: cards for dom0, and the way to them.
    modules: &'static [&'static str],
}

const X86: Architecture = Architecture {
    debian: "amd64",
    packages: &["xen-hypervisor-4.17-amd64"],
    libraries: "x86_64-linux-gnu",
    loader: "lib64/ld-linux-x86-64.so.2",
    modules: &[
        "drivers/virtio/virtio.ko",
        "drivers/virtio/virtio_ring.ko",
        "drivers/virtio/virtio_pci_modern_dev.ko",
        "drivers/virtio/virtio_pci_legacy_dev.ko",
        "drivers/virtio/virtio_pci.ko",
    ],
};

const ARM: Architecture = Architecture {
    debian: "arm64",
    packages: &["xen-hypervisor-4.17-arm64", "libfdt1"],
    libraries: "aarch64-linux-gnu",
    loader: "lib/ld-linux-aarch64.so.1",
    modules: &["drivers/virtio/virtio_mmio.ko", "drivers/char/virtio_console.ko"],
};

/// Programs of dom0, at the same places as on Debian. `xl` starts xenconsole by its path.
const PROGRAMS: &[&str] = &[
    "bin/busybox",
    "usr/bin/xenstore",
    "usr/lib/xen-4.17/bin/xl",
    "usr/lib/xen-4.17/bin/xenconsole",
    "usr/lib/xen-4.17/bin/xenconsoled",
    "usr/lib/xen-4.17/bin/xen-init-dom0",
    "usr/lib/xen-4.17/bin/xenstored",
];

/// Modules of dom0's kernel, below its `kernel`: what Xen's tools need, the network that domains get, and a card for dom0 itself; and what a
/// domain with the same kernel needs for its network.
const MODULES: &[&str] = &[
    "drivers/xen/xen-privcmd.ko",
    "drivers/xen/xen-evtchn.ko",
    "drivers/xen/xen-gntdev.ko",
    "drivers/xen/xen-gntalloc.ko",
    "drivers/xen/xenfs/xenfs.ko",
    "drivers/net/xen-netback/xen-netback.ko",
    "net/llc/llc.ko",
    "net/802/stp.ko",
    "net/bridge/bridge.ko",
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
    "drivers/net/xen-netfront.ko",
];

/// The directory of all that the tests boot, made first where it is missing. The tests find it by the link `target/xen`.
pub fn xen() -> Result<PathBuf> {
    let recipe = format!("{RECIPE} {PACKAGES:?} {KERNEL:?} {X86:?} {ARM:?} {PROGRAMS:?} {MODULES:?}");
    let directory = cache::provide("xen-4.17", &recipe, make)?;
    link(&directory, &paths::target()?.join("xen"))?;
    Ok(directory)
}

/// Makes `link` lead to `directory`, whatever it led to before.
fn link(directory: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|to| to == directory) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link).with_context(|| format!("removing the link {}", link.display()))?;
    }
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    }
    symlink(directory, link).with_context(|| format!("linking {} to {}", link.display(), directory.display()))
}

fn make(directory: &Path) -> Result<()> {
    let step = progress::step("downloading Xen 4.17 and kernels for its control domains");
    let kernel = apt::dependency(KERNEL.0, KERNEL.1)?;
    let (x86, arm) = (directory.join("unpacked-x86"), directory.join("unpacked-arm"));
    fs::create_dir_all(&x86)?;
    fs::create_dir_all(&arm)?;
    // Both architectures' kernels have the same version.
    let arm_kernel = kernel.replace(X86.debian, ARM.debian);
    apt::download(&packages(&X86, &kernel), &x86)?;
    apt::download_foreign(ARM.debian, &packages(&ARM, &arm_kernel), &arm, &arm.join("apt"))?;
    step.done();

    let step = progress::step("unpacking Xen 4.17 and its control domains");
    let mut versions = apt::unpack_all(&x86)?;
    versions.extend(apt::unpack_all(&arm)?);
    // QEMU loads no packed multiboot kernel.
    let packed = directory.join("x86/hypervisor.gz");
    move_to(&x86.join("boot/xen-4.17-amd64.gz"), &packed)?;
    run::quiet(Command::new("gzip").arg("--decompress").arg(&packed), "unpacking the hypervisor")?;
    move_to(&arm.join("boot/xen-4.17-arm64"), &directory.join("arm/hypervisor"))?;
    arrange_dom0(&X86, &x86, &directory.join("x86"))?;
    arrange_dom0(&ARM, &arm, &directory.join("arm"))?;
    fs::write(directory.join("versions"), versions.join("\n") + "\n")?;
    for unpacked in [x86, arm] {
        fs::remove_dir_all(&unpacked).with_context(|| format!("removing {}", unpacked.display()))?;
    }
    step.done();
    Ok(())
}

fn packages<'a>(architecture: &Architecture, kernel: &'a str) -> Vec<&'a str> {
    PACKAGES.iter().chain(architecture.packages).copied().chain([kernel]).collect()
}

/// Moves what dom0 is made of from where the packages have it.
fn arrange_dom0(architecture: &Architecture, unpacked: &Path, to: &Path) -> Result<()> {
    move_to(&only(&unpacked.join("boot"), "vmlinuz-")?, &to.join("kernel"))?;
    let dom0 = to.join("dom0");
    for program in PROGRAMS.iter().chain([&architecture.loader]) {
        move_to(&unpacked.join(program), &dom0.join(program))?;
    }
    for directory in ["lib", "usr/lib"] {
        let library = Path::new(directory).join(architecture.libraries);
        let from = unpacked.join(&library);
        for entry in fs::read_dir(&from).with_context(|| format!("listing {}", from.display()))? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() && entry.file_name().to_string_lossy().contains(".so") {
                move_to(&entry.path(), &dom0.join(&library).join(entry.file_name()))?;
            }
        }
    }
    let kernel = only(&unpacked.join("lib/modules"), "6.1.")?.join("kernel");
    for module in MODULES.iter().chain(architecture.modules) {
        let name = Path::new(module).file_name().unwrap_or_default();
        move_to(&kernel.join(module), &dom0.join("modules").join(name))?;
    }
    Ok(())
}

/// The only entry of `directory` whose name starts with `prefix`.
fn only(directory: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => bail!(
            "wanted one {prefix}... among the unpacked packages in {}, found {found:?}; Debian's layout has changed",
            directory.display()
        ),
    }
}

fn move_to(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    }
    fs::rename(from, to).with_context(|| format!("moving {} to {}", from.display(), to.display()))
}
