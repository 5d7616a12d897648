//! Where cases run.

use crate::cases::Case;
use crate::process::{Ran, run, succeed};
use crate::xen::dom0less;
use crate::{guest, mwasm, root};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A way to run an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// `mwasm run`, in its own process.
    InProcess,
    /// A desktop image on this machine.
    Desktop,
    /// A desktop image for aarch64, under QEMU's user emulation.
    DesktopAarch64,
    /// A Xen image on QEMU's microvm.
    Microvm,
    /// A Xen image on QEMU's q35.
    Q35,
    /// An ARM image on QEMU's virt, by `mwasm run`.
    Virt,
    /// An ARM image on QEMU's virt with the newer interrupt controller.
    VirtGicV3,
    /// A Xen image as a PVH domain of Xen 4.17.
    XenPvh,
    /// An ARM image as the domain of Xen 4.17 on ARM, without a control domain.
    XenArm,
    /// The same with the newer interrupt controller.
    XenArmGicV3,
}

impl Machine {
    /// The name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProcess => "run",
            Self::Desktop => "desktop",
            Self::DesktopAarch64 => "desktop aarch64",
            Self::Microvm => "xen: microvm",
            Self::Q35 => "xen: q35",
            Self::Virt => "arm: virt",
            Self::VirtGicV3 => "arm: virt GICv3",
            Self::XenPvh => "xen: Xen 4.17",
            Self::XenArm => "arm: Xen 4.17",
            Self::XenArmGicV3 => "arm: Xen 4.17 GICv3",
        }
    }

    /// Whether standard output and error are one line.
    pub fn has_one_line(self) -> bool {
        !matches!(self, Self::InProcess | Self::Desktop | Self::DesktopAarch64)
    }
}

/// A fused image, in a directory of its own that goes with it.
pub struct Image {
    /// Holds the files.
    pub(crate) directory: TempDir,
    /// The image's file.
    pub path: PathBuf,
}

/// `mwasm aot` for a case, with further arguments before the app's own.
pub fn aot(case: &Case, target: &[&str], more: &[&str]) -> Result<Image> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("image");
    let mut command = Command::new(mwasm()?);
    command.arg("aot").arg(guest(case.guest)?).args(target).arg("-o").arg(&path).args(more);
    for pair in case.env {
        command.args(["--env", pair]);
    }
    if case.site {
        command.arg("--embed").arg(format!("{}::/site", site().display()));
    }
    command.arg("--").args(case.args);
    succeed(&mut command)?;
    Ok(Image { directory, path })
}

fn site() -> PathBuf {
    root().join("examples/hello/site")
}

/// `mwasm run` of a component: the case's files through a manifest, as a user would.
fn run_in_process(case: &Case, input: &[u8]) -> Result<Ran> {
    let directory = tempfile::tempdir()?;
    let manifest = directory.path().join("mwasm.toml");
    let embed = if case.site { format!("[embed]\n\"/site\" = {:?}\n", site().canonicalize()?) } else { String::new() };
    fs::write(&manifest, embed)?;
    let mut command = Command::new(mwasm()?);
    command.arg("run").arg(guest(case.guest)?).arg("-m").arg(manifest);
    for pair in case.env {
        command.args(["--env", pair]);
    }
    run(command.arg("--").args(case.args), input)
}

impl Image {
    /// Runs the image.
    pub fn run(&self, machine: Machine, input: &[u8]) -> Result<Ran> {
        match machine {
            Machine::InProcess => anyhow::bail!("an image does not run in the process of mwasm"),
            Machine::Desktop => run(&mut Command::new(&self.path), input),
            Machine::DesktopAarch64 => run(Command::new("qemu-aarch64").arg(&self.path), input),
            Machine::Microvm | Machine::Virt => run(Command::new(mwasm()?).arg("run").arg(&self.path), input),
            Machine::Q35 => self.run_q35(input),
            Machine::XenPvh => anyhow::bail!("domains of Xen are run many at once, by mwasm_tests::xen::pvh"),
            Machine::XenArm => dom0less::run_to_end(self, "2"),
            Machine::XenArmGicV3 => dom0less::run_to_end(self, "3"),
            Machine::VirtGicV3 => run(virt("3").arg("-kernel").arg(&self.path), input),
        }
    }

    /// Boots q35 by hand, with the two devices that carry an exit code out.
    fn run_q35(&self, input: &[u8]) -> Result<Ran> {
        let code = self.directory.path().join("code");
        let mut ran = run(
            q35().args(["-chardev", &format!("file,id=code,path={}", code.display())]).arg("-kernel").arg(&self.path),
            input,
        )?;
        ran.code = Some(exit_code(&code, ran.code)?);
        Ok(ran)
    }
}

/// The exit code that an image wrote to the debug console, or 0 if it powered off without a word.
fn exit_code(file: &Path, status: Option<i32>) -> Result<i32> {
    match fs::read(file).with_context(|| format!("reading {}", file.display()))?.as_slice() {
        [] => {
            ensure!(status == Some(0), "QEMU ended with {status:?} and the image said no exit code");
            Ok(0)
        }
        [code] => Ok(i32::from(*code)),
        more => anyhow::bail!("wanted one byte of exit code, found {more:?}"),
    }
}

/// Memory of the machines that tests boot by hand.
const MEMORY: &str = "512M";

/// QEMU's q35, as bare as it gets, with what carries an exit code out.
pub fn q35() -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-M", "q35", "-cpu", "max", "-m", MEMORY, "-nodefaults", "-no-reboot", "-display", "none"]);
    command.args(["-serial", "stdio", "-monitor", "none"]);
    command.args([
        "-device",
        "isa-debugcon,iobase=0x501,chardev=code",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4",
    ]);
    command
}

/// [`q35`] with an image, and a port of this machine that leads to a port of the app, through a virtio network card on PCI.
pub fn networked_q35(image: &Path, protocol: &str, host_port: u16, port: u16) -> Command {
    let mut command = q35();
    command.args(["-chardev", "null,id=code", "-device", "virtio-net-pci,disable-legacy=on,netdev=net", "-netdev"]);
    command.arg(format!("user,id=net,hostfwd={protocol}:127.0.0.1:{host_port}-:{port}")).arg("-kernel").arg(image);
    command
}

/// QEMU's microvm with an image, its network card at the other end of `backend` (as `-netdev` wants it, with the id `net`).
pub fn networked_microvm(image: &Path, backend: &str) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-M", "microvm,x-option-roms=off,rtc=on,acpi=on,isa-serial=on", "-accel", "tcg", "-cpu", "max"]);
    command.args([
        "-m",
        "128M",
        "-nodefaults",
        "-no-reboot",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-monitor",
        "none",
    ]);
    command.args(["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-net-device,netdev=net", "-netdev"]);
    command.arg(backend).arg("-kernel").arg(image);
    command
}

/// QEMU's virt with a version of the interrupt controller.
pub fn virt(gic_version: &str) -> Command {
    let mut command = Command::new("qemu-system-aarch64");
    command.args([
        "-M",
        &format!("virt,gic-version={gic_version}"),
        "-cpu",
        "max",
        "-m",
        MEMORY,
        "-nodefaults",
        "-no-reboot",
    ]);
    command.args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-semihosting"]);
    command.args(["-append", "mwasm.semihosting"]);
    command
}

/// Runs a case on a machine, from its component.
pub fn run_case(case: &Case, machine: Machine, image: Option<&Image>) -> Result<Ran> {
    match (machine, image) {
        (Machine::InProcess, _) => run_in_process(case, &[]),
        (_, Some(image)) => image.run(machine, &[]),
        (_, None) => anyhow::bail!("{} runs images", machine.name()),
    }
}

/// Compares a run with what the case wants.
pub fn check(case: &Case, machine: Machine, ran: &Ran) -> Result<()> {
    let mut stdout = case.stdout.clone();
    let mut stderr = case.stderr.to_vec();
    if machine.has_one_line() {
        stdout.append(&mut stderr);
    }
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let place = || format!("{} on {}", case.name, machine.name());
    ensure!(
        ran.stdout == stdout,
        "{}: wanted on standard output\n{}\nfound\n{}\nand on standard error\n{}",
        place(),
        show(&stdout),
        show(&ran.stdout),
        ran.errors()
    );
    ensure!(
        ran.stderr == stderr,
        "{}: wanted on standard error {:?}, found {:?}",
        place(),
        show(&stderr),
        ran.errors()
    );
    ensure!(ran.code == Some(case.code), "{}: wanted the exit code {}, found {:?}", place(), case.code, ran.code);
    Ok(())
}
