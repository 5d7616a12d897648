//! Xen on ARM without a control domain: the device tree says which domain Xen starts, and where its image is in memory.
//!
//! Xen's console is the only way out. It shows what the domain prints, line by line, and every line as Xen's own:
//!
//! ```text
//!   (XEN) DOM1: hello, component
//! ```
//!
//! There is no xenstore, so there is nobody in Xen whom an image could tell its exit code, or who could ask it to end. QEMU takes the exit
//! code instead (semihosting, which the domain's `bootargs` allow), straight from the domain. Whether a domain ends as Xen wants it, with
//! PSCI, is seen in Xen's list of domains ([`wait_for_end`]).

use super::file;
use crate::machine::Image;
use crate::process::{HANG, Ran, Running, run, succeed};
use crate::root;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Memory of the machine in MiB, and of the domain in KiB.
const MEMORY_MIB: u32 = 512;
const DOMAIN_KIB: u32 = 160 << 10;
/// Where QEMU puts the image, and the device that the domain gets: far behind where it puts Xen.
const IMAGE_ADDRESS: u64 = 0x5000_0000;
const DEVICES_ADDRESS: u64 = 0x4f00_0000;
/// What Xen prints before each line of the domain.
const PREFIX: &[u8] = b"(XEN) DOM1: ";
/// Xen ends a line of the domain by itself after this many bytes.
const LINE_BYTES: usize = 126;
/// What goes to Xen's console to switch input to the next domain, or to Xen.
const SWITCH_INPUT: &[u8] = b"\x01\x01\x01";
/// What Xen prints when it lets the domain run.
const STARTED: &str = "Serial input to DOM0";
/// How often Xen is asked whether the domain has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Who gets what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Whoever is next: first the (missing) control domain.
    Domains,
    /// Xen.
    Xen,
}

/// A machine, before it is started.
struct Machine {
    command: Command,
    /// Holds the device trees.
    _directory: TempDir,
}

/// QEMU's virt with Xen and one domain that runs `image` with `arguments` on its (kernel's) command line.
fn machine(image: &Image, gic_version: &str, arguments: &str, input: Input) -> Result<Machine> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let (base, tree, devices) = (path("base.dtb"), path("tree.dtb"), path("devices.dtb"));
    let qemu = |more: &str| {
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(["-M", &format!("virt,virtualization=on,gic-version={gic_version}{more}"), "-cpu", "max"]);
        qemu.args(["-m", &format!("{MEMORY_MIB}M"), "-nodefaults", "-display", "none"]);
        qemu
    };
    // QEMU would hand its tree over by itself, but Xen wants to be told of the domain in it.
    succeed(&mut qemu(&format!(",dumpdtb={}", base.display())))?;
    let mut source = succeed(Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dts"]).arg(&base))?.stdout;
    let clock = root().join("tests/xen/passthrough.dts");
    compile_tree(&clock, &devices)?;
    let bytes = |file: &Path| Ok::<u64, anyhow::Error>(fs::metadata(file)?.len());
    source.extend(domain(arguments, input, bytes(&image.path)?, bytes(&devices)?).bytes());
    fs::write(path("tree.dts"), source)?;
    compile_tree(&path("tree.dts"), &tree)?;

    let mut command = qemu("");
    command.args(["-no-reboot", "-monitor", "none", "-serial", "stdio", "-semihosting"]);
    command.arg("-kernel").arg(file("arm/hypervisor")?).arg("-dtb").arg(tree);
    for (file, address) in [(image.path.as_path(), IMAGE_ADDRESS), (devices.as_path(), DEVICES_ADDRESS)] {
        command.arg("-device").arg(format!("loader,file={},addr={address:#x},force-raw=on", file.display()));
    }
    Ok(Machine { command, _directory: directory })
}

pub(super) fn compile_tree(source: &Path, to: &Path) -> Result<()> {
    succeed(Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-o"]).arg(to).arg(source)).map(drop)
}

/// What Xen's device tree has more than QEMU's: Xen's arguments, the domain, and that its clock is the domain's.
fn domain(arguments: &str, input: Input, image_bytes: u64, devices_bytes: u64) -> String {
    let switch = if input == Input::Xen { "conswitch=ax" } else { "" };
    format!(
        "/ {{
            pl031@9010000 {{ xen,passthrough; }};
            chosen {{
                #address-cells = <2>;
                #size-cells = <2>;
                xen,xen-bootargs = \"console=dtuart dtuart=/pl011@9000000 bootscrub=0 {switch}\";
                domU1 {{
                    compatible = \"xen,domain\";
                    #address-cells = <2>;
                    #size-cells = <2>;
                    memory = <0 {DOMAIN_KIB}>;
                    cpus = <1>;
                    vpl011;
                    module@{IMAGE_ADDRESS:x} {{
                        compatible = \"multiboot,kernel\", \"multiboot,module\";
                        reg = <0 {IMAGE_ADDRESS:#x} 0 {image_bytes:#x}>;
                        bootargs = \"{arguments}\";
                    }};
                    module@{DEVICES_ADDRESS:x} {{
                        compatible = \"multiboot,device-tree\", \"multiboot,module\";
                        reg = <0 {DEVICES_ADDRESS:#x} 0 {devices_bytes:#x}>;
                    }};
                }};
            }};
        }};"
    )
}

/// Runs an image that ends by itself: its output, and the exit code that QEMU was told.
pub fn run_to_end(image: &Image, gic_version: &str) -> Result<Ran> {
    let mut machine = machine(image, gic_version, "mwasm.semihosting", Input::Domains)?;
    let mut ran = run(&mut machine.command, &[])?;
    let said = String::from_utf8_lossy(&ran.stdout);
    ensure!(said.contains(STARTED), "Xen did not start the domain; it said\n{said}");
    ran.stdout = domain_output(&ran.stdout);
    Ok(ran)
}

/// Runs an image that ends by itself, and waits until Xen has it as ended; returns its output.
pub fn wait_for_end(image: &Image, gic_version: &str) -> Result<Vec<u8>> {
    let mut machine = machine(image, gic_version, "", Input::Xen)?;
    let mut running = Running::open(&mut machine.command)?;
    let mut said = running.wait_for(b"Serial input to Xen")?;
    let start = Instant::now();
    loop {
        // Xen's list of domains. A processor of a domain that has ended is paused for ever; one that waits is blocked.
        running.type_in(b"q")?;
        let list = running.wait_for(b"No periodic timer")?;
        said.extend(&list);
        if contains(&list, b"    pause_count=1 pause_flags=0") {
            return Ok(domain_output(&said));
        }
        if start.elapsed() > HANG {
            bail!("the domain has not ended; Xen said\n{}", String::from_utf8_lossy(&said));
        }
        thread::sleep(LOOK);
    }
}

/// Starts an image that reads its console, types a line and waits until the domain has printed it.
pub fn type_in(image: &Image, gic_version: &str, line: &str) -> Result<()> {
    let mut machine = machine(image, gic_version, "", Input::Domains)?;
    let mut running = Running::open(&mut machine.command)?;
    running.wait_for(STARTED.as_bytes())?;
    running.type_in(SWITCH_INPUT)?;
    running.wait_for(b"Serial input to DOM1")?;
    running.type_in(format!("{line}\n").as_bytes())?;
    // Xen names no domain before the lines of the one that gets what is typed.
    running.wait_for(format!("(XEN) {line}\r\n").as_bytes()).map(drop).context("nothing was echoed")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What the domain printed, byte for byte, from what Xen made of it.
fn domain_output(said: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for line in said.split(|byte| *byte == b'\n') {
        if let Some(line) = line.strip_prefix(PREFIX) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            output.extend(line);
            if line.len() != LINE_BYTES {
                output.push(b'\n');
            }
        }
    }
    output
}
