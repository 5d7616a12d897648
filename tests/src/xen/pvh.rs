//! Xen for x86_64 with a control domain, and images as PVH domains.
//!
//! ```text
//!   serial port 1: what Xen and dom0 say, for people
//!   serial port 2: dom0's reports, "NAME KEY VALUE" in lines, until it powers off; where it waits for the test, the test's word
//!   memory:        hypervisor, dom0's kernel, and one cpio archive: dom0's files, dom0-init, a folder for each domain
//! ```

use super::cpio::Archive;
use super::file;
use crate::machine::Image;
use crate::process::{Ran, run};
use crate::{root, target};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;

/// What emulation can do for Xen. Without `smap` off dom0 dies at its first return to user mode; with `monitor` Xen's idle loop panics;
/// with `rdtscp` domains meet faults on the time-stamp counter.
const PROCESSOR: &str = "EPYC,+svm,+npt,-smap,-monitor,-rdtscp";
/// Memory of the machine: dom0's, and the largest domain's.
const MEMORY: &str = "1024M";
/// Xen's arguments. dom0's files lie in its memory, twice while it starts. With lazy switching of the floating-point unit (the default),
/// this emulation mixes up its registers, and dom0's programs crash now and then.
const XEN_ARGUMENTS: &str = "console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=warning dom0_mem=512M,max:512M noreboot \
                             spec-ctrl=eager-fpu";
/// Arguments of dom0's kernel.
const DOM0_ARGUMENTS: &str = "console=hvc0 quiet panic=1";
/// How many of the last lines of the first serial port go into an error.
const LAST_LINES: usize = 40;

/// A domain to be run.
pub struct Domain {
    /// Its name: letters, digits and hyphens; domains run in the order of their names.
    pub name: String,
    /// Its image, with the configuration for `xl` beside it.
    pub image: Image,
    /// What dom0 does with it: a line for its shell, see tests/xen/dom0-init.
    pub script: String,
}

/// What dom0 reported of one domain.
#[derive(Clone, Debug, Default)]
pub struct Report {
    values: HashMap<String, String>,
}

impl Report {
    /// A value that dom0 must have reported.
    pub fn value(&self, key: &str) -> Result<&str> {
        let value = self.values.get(key).map(String::as_str);
        value.with_context(|| format!("wanted a report of {key:?} from dom0, found {:?}", self.values))
    }

    /// Why the domain ended, as Xen knows it: 0 for a power-off, 3 for a crash. None if it did not end.
    pub fn reason(&self) -> Result<Option<u8>> {
        number(self.value("reason")?)
    }

    /// The domain as a program that ran: what was on its console, and the exit code that it left in xenstore.
    pub fn ran(&self) -> Result<Ran> {
        let hex = self.value("console")?.as_bytes();
        let digits =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair)?, 16).context("wanted hexadecimal digits");
        let stdout = hex.chunks(2).map(digits).collect::<Result<_>>()?;
        Ok(Ran { stdout, stderr: Vec::new(), code: number(self.value("exit-code")?)? })
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<Option<N>> {
    match text {
        "" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| anyhow::anyhow!("wanted a number, found {text:?}")),
    }
}

/// Boots Xen and its control domain once, and runs the domains there; returns a report for each, by name.
///
/// What Xen and dom0 say is kept in `target/xen-pvh.log`.
pub fn run_all(domains: &[Domain]) -> Result<HashMap<String, Report>> {
    let directory = tempfile::tempdir()?;
    let (archive, log) = (directory.path().join("dom0.cpio"), target().join("xen-pvh.log"));
    write_archive(&archive, &file("x86/dom0")?, domains)?;
    let ran = run(&mut machine(&archive, &log)?, &[]);
    let said = || {
        let log = fs::read(&log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    };
    let reports =
        ran.and_then(|ran| parse(&ran, &[])).with_context(|| format!("Xen and dom0 said at last:\n{}", said()))?;
    for domain in domains {
        let ended = reports.get(&domain.name).is_some_and(|report| report.values.contains_key("end"));
        ensure!(ended, "dom0 was gone before the domain {} had ended; it said at last\n{}", domain.name, said());
    }
    Ok(reports)
}

/// QEMU's q35 with Xen.
pub(super) fn machine(archive: &Path, log: &Path) -> Result<Command> {
    let mut command = Command::new("qemu-system-x86_64");
    // Emulated, also where there is KVM: a nested hypervisor is not to depend on this machine's. One processor: two are slow and unsure.
    command.args([
        "-accel",
        "tcg",
        "-M",
        "q35",
        "-cpu",
        PROCESSOR,
        "-m",
        MEMORY,
        "-smp",
        "1",
        "-nodefaults",
        "-no-reboot",
    ]);
    command.args(["-display", "none", "-monitor", "none", "-serial", &format!("file:{}", log.display())]);
    command.args(["-serial", "stdio", "-append", XEN_ARGUMENTS]).arg("-kernel").arg(file("x86/hypervisor")?);
    let kernel = file("x86/kernel")?;
    command.arg("-initrd").arg(format!("{} {DOM0_ARGUMENTS},{}", kernel.display(), archive.display()));
    Ok(command)
}

pub(super) fn write_archive(path: &Path, dom0: &Path, domains: &[Domain]) -> Result<()> {
    let out = File::create(path).with_context(|| format!("making {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(out));
    archive.tree(dom0, "")?;
    archive.file("init", &fs::read(root().join("tests/xen/dom0-init")).context("reading tests/xen/dom0-init")?)?;
    for directory in ["etc", "etc/xen", "etc/xen/scripts"] {
        archive.directory(directory)?;
    }
    let bridge = fs::read(root().join("tests/xen/vif-bridge")).context("reading tests/xen/vif-bridge")?;
    archive.file("etc/xen/scripts/vif-bridge", &bridge)?;
    archive.directory("domains")?;
    for Domain { name, image, script } in domains {
        archive.directory(&format!("domains/{name}"))?;
        archive.tree(image.directory.path(), &format!("domains/{name}/"))?;
        archive.file(&format!("domains/{name}/script"), script.as_bytes())?;
    }
    archive.finish()
}

/// Reads dom0's reports, of which the first part may have been read `before`.
pub(super) fn parse(ran: &Ran, before: &[u8]) -> Result<HashMap<String, Report>> {
    let mut reports: HashMap<String, Report> = HashMap::new();
    for line in String::from_utf8_lossy(&[before, &ran.stdout].concat()).lines() {
        let mut words = line.trim_end().splitn(3, ' ');
        let (Some(name), Some(key)) = (words.next(), words.next()) else {
            bail!("wanted a domain's name, a key and a value from dom0, found {line:?}");
        };
        let value = words.next().unwrap_or_default().to_owned();
        reports.entry(name.to_owned()).or_default().values.insert(key.to_owned(), value);
    }
    ensure!(ran.code == Some(0), "QEMU ended with {:?}: {}", ran.code, ran.errors());
    Ok(reports)
}
