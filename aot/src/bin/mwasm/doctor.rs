//! `mwasm doctor`: what is missing on this machine, and the command that mends it.

use crate::boot;
use crate::cli::{Doctor, Format};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use mwasm_aot::fuse;
use mwasm_aot::report::text::Styled;
use mwasm_aot::target::{Arch, Target};
use serde::Serialize;
use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// The version of the JSON.
const FORMAT: u32 = 1;

/// All that was looked at.
#[derive(Serialize)]
struct Findings {
    format: u32,
    /// Whether nothing that is needed is missing.
    ok: bool,
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Check {
    name: String,
    /// What it is good for.
    purpose: &'static str,
    ok: bool,
    /// Whether something does not work without it, or works less well.
    needed: bool,
    found: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// Looks at this machine.
pub fn main(arguments: Doctor) -> Result<ExitCode> {
    let checks = vec![
        hosts(),
        program("qemu-system-x86_64", "qemu-system-x86", "boots Xen images: mwasm run --target xen", true),
        program("qemu-system-aarch64", "qemu-system-arm", "boots ARM images: mwasm run --target arm", true),
        kvm(),
        emulator(),
    ];
    let ok = checks.iter().all(|check| check.ok || !check.needed);
    let findings = Findings { format: FORMAT, ok, checks };
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&findings)?),
        Format::Text => findings.checks.iter().for_each(draw),
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn draw(check: &Check) {
    let sign = match (check.ok, check.needed) {
        (true, _) => Styled(GOOD, "ok     "),
        (false, true) => Styled(BAD, "missing"),
        (false, false) => Styled(DIM, "absent "),
    };
    anstream::println!("{sign} {:<20} {}", check.name, check.found);
    if let Some(mend) = &check.mend {
        anstream::println!("        {}", Styled(DIM, check.purpose));
        anstream::println!("        {mend}");
    }
}

/// The host objects that images are fused from.
fn hosts() -> Check {
    let wanted: Vec<String> = Target::ALL
        .iter()
        .flat_map(|target| target.arches().iter().map(|arch| (*target, *arch)))
        .flat_map(|(target, arch)| [false, true].map(|concurrency| fuse::host_name(target, arch, concurrency)))
        .collect();
    let missing: Vec<&str> = wanted.iter().map(String::as_str).filter(|name| !fuse::has_host(name)).collect();
    let ok = missing.is_empty();
    Check {
        name: "host objects".to_owned(),
        purpose: "mwasm aot: every image holds one",
        ok,
        needed: true,
        found: if ok { format!("all {}", wanted.len()) } else { format!("without {}", missing.join(", ")) },
        mend: (!ok).then(|| "cargo xtask build".to_owned()),
    }
}

/// A program on the path, and its first line about its version.
fn program(name: &str, package: &str, purpose: &'static str, needed: bool) -> Check {
    let version = find(name).and_then(|path| {
        let output = Command::new(path).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
    });
    Check {
        name: name.to_owned(),
        purpose,
        ok: version.is_some(),
        needed,
        mend: version.is_none().then(|| install(package)),
        found: version.unwrap_or_else(|| "not on the path".to_owned()),
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// How this machine installs a package, by Debian's name.
fn install(package: &str) -> String {
    if find("apt-get").is_some() {
        format!("sudo apt-get install {package}")
    } else if find("dnf").is_some() {
        format!("sudo dnf install {package}")
    } else if find("pacman").is_some() {
        "sudo pacman -S qemu-full".to_owned()
    } else if find("brew").is_some() {
        "brew install qemu".to_owned()
    } else {
        format!("install {package} by the means of this system")
    }
}

/// Hardware virtualisation, for Xen images on x86_64 machines.
fn kvm() -> Check {
    let usable = boot::kvm();
    let mend = match &usable {
        Ok(()) => None,
        Err(_) if !Path::new(boot::KVM).exists() => Some("sudo modprobe --all kvm kvm_intel kvm_amd"),
        Err(_) if File::options().read(true).write(true).open(boot::KVM).is_err() => {
            Some("sudo usermod --append --groups kvm $USER")
        }
        Err(_) => Some("run mwasm on a machine that is not virtual"),
    };
    Check {
        name: boot::KVM.to_owned(),
        purpose: "boots Xen images at full speed; without it QEMU emulates the processor",
        ok: usable.is_ok(),
        needed: false,
        found: usable.map_or_else(|why| format!("not used: {why}"), |()| "usable".to_owned()),
        mend: mend.map(str::to_owned),
    }
}

/// Runs desktop images of the other architecture.
fn emulator() -> Check {
    let other = Arch::ALL.into_iter().find(|arch| Some(*arch) != Arch::of_this_machine()).unwrap_or(Arch::Aarch64);
    program(&format!("qemu-{other}"), "qemu-user", "runs desktop images of the other architecture", false)
}
