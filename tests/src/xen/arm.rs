//! Xen on ARM with a control domain: QEMU's virt, whose firmware is told of dom0's kernel and files by the device tree.
//!
//! ```text
//!   serial port:   what Xen and dom0 say, for people
//!   virtio-serial: dom0's reports, as on x86 (tests/src/xen/pvh.rs)
//! ```

use super::dom0less::compile_tree;
use super::file;
use crate::machine::Image;
use crate::process::succeed;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The processor: Linux signs its pointers on newer ones, which costs an emulation dearly.
const PROCESSOR: &str = "cortex-a57";
/// Memory of the machine, in MiB. Dom0 gets a third of it.
const MEMORY_MIB: u32 = 1536;
/// Where QEMU puts dom0's kernel and its files: away from where it puts Xen.
const KERNEL_ADDRESS: u64 = 0x4a00_0000;
const FILES_ADDRESS: u64 = 0x5000_0000;
const XEN_ARGUMENTS: &str = "console=dtuart dtuart=/pl011@9000000 dom0_mem=512M dom0_max_vcpus=1 loglvl=warning guest_loglvl=warning bootscrub=0";
const DOM0_ARGUMENTS: &str = "console=hvc0 quiet panic=1";

/// What `xl` is told of a domain. Its console is a serial port that Xen emulates.
const CONFIGURATION: &str = r#"name = "arm"
kernel = "image"
memory = 129
vcpus = 1
vuart = "sbsa_uart"
vif = [ "" ]
"#;

/// Writes the configuration for `xl` beside an image.
pub fn configure(image: &Image) -> Result<()> {
    Ok(fs::write(image.path.with_extension("cfg"), CONFIGURATION)?)
}

/// QEMU's virt with Xen. Device trees go to `directory`.
pub(super) fn machine(archive: &Path, log: &Path, directory: &Path) -> Result<Command> {
    let (base, source, tree) = (directory.join("base.dtb"), directory.join("tree.dts"), directory.join("tree.dtb"));
    let qemu = |more: &str| {
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(["-M", &format!("virt,virtualization=on,gic-version=3{more}"), "-cpu", PROCESSOR, "-smp", "1"]);
        qemu.args([
            "-m",
            &format!("{MEMORY_MIB}M"),
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-monitor",
            "none",
        ]);
        qemu
    };
    succeed(&mut qemu(&format!(",dumpdtb={}", base.display())))?;
    let mut text = succeed(Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dts"]).arg(&base))?.stdout;
    let kernel = file("arm/kernel")?;
    let bytes = |path: &Path| fs::metadata(path).with_context(|| path.display().to_string()).map(|found| found.len());
    text.extend(modules(bytes(&kernel)?, bytes(archive)?).bytes());
    fs::write(&source, text)?;
    compile_tree(&source, &tree)?;

    let mut command = qemu("");
    command.args(["-serial", &format!("file:{}", log.display()), "-global", "virtio-mmio.force-legacy=false"]);
    command.args(["-chardev", "stdio,id=reports,signal=off", "-device", "virtio-serial-device"]);
    command.args(["-device", "virtserialport,chardev=reports,name=reports"]);
    command.arg("-kernel").arg(file("arm/hypervisor")?).arg("-dtb").arg(tree);
    for (path, address) in [(kernel.as_path(), KERNEL_ADDRESS), (archive, FILES_ADDRESS)] {
        command.arg("-device").arg(format!("loader,file={},addr={address:#x},force-raw=on", path.display()));
    }
    Ok(command)
}

/// What Xen's device tree has more than QEMU's.
fn modules(kernel_bytes: u64, files_bytes: u64) -> String {
    format!(
        "/ {{
            chosen {{
                #address-cells = <2>;
                #size-cells = <2>;
                xen,xen-bootargs = \"{XEN_ARGUMENTS}\";
                module@{KERNEL_ADDRESS:x} {{
                    compatible = \"multiboot,kernel\", \"multiboot,module\";
                    reg = <0 {KERNEL_ADDRESS:#x} 0 {kernel_bytes:#x}>;
                    bootargs = \"{DOM0_ARGUMENTS}\";
                }};
                module@{FILES_ADDRESS:x} {{
                    compatible = \"multiboot,ramdisk\", \"multiboot,module\";
                    reg = <0 {FILES_ADDRESS:#x} 0 {files_bytes:#x}>;
                }};
            }};
        }};"
    )
}
