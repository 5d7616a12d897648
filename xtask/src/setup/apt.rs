//! Debian's packages: install them, or download them to be unpacked elsewhere. The lists of what is available are fetched once, and only
//! when something was not found without.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::{progress, run};

/// How long to wait for another process that is installing packages, in seconds.
const LOCK_TIMEOUT_SECONDS: u32 = 300;

/// Which Debian this set-up is made for, and tested on.
const RELEASE: &str = "Debian 12 (bookworm)";

/// Installs `packages`, as root. `purpose` reads as "QEMU".
pub fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let names = packages.join(" ");
    if run::find("apt-get").is_none() {
        bail!(
            "{purpose} is missing. Wanted: the packages {names} of {RELEASE}. Found: no apt-get on this machine. \
             Install what these packages hold by the means of your system; what counts is the programs on PATH"
        );
    }
    if !is_root()? {
        bail!(
            "{purpose} is missing, and installing packages takes root. Run: sudo apt-get update && sudo apt-get install {names}"
        );
    }
    let step = progress::step(format!("installing {purpose}: {names}"));
    with_update(purpose, || {
        let mut command = apt_get(&["install", "--yes", "--no-install-recommends", "--allow-downgrades"]);
        command.args(packages).args(tools_beside(packages)).env("DEBIAN_FRONTEND", "noninteractive");
        run::quiet(&mut command, &format!("installing {purpose}"))
    })?;
    step.done();
    Ok(())
}

/// Where QEMU is installed: its tools, if they are there already and newer (from the release's backports). Such tools refuse to stand
/// beside the release's QEMU, so they go back to its version.
fn tools_beside(packages: &[&str]) -> Option<String> {
    if !packages.iter().any(|package| package.starts_with("qemu-")) {
        return None;
    }
    let version = |package: &str, label: &str| {
        let policy =
            run::output(Command::new("apt-cache").args(["policy", package]), "asking for a package's versions");
        let line =
            policy.ok()?.lines().find_map(|line| line.trim().strip_prefix(label).map(str::trim).map(str::to_owned))?;
        (line != "(none)").then_some(line)
    };
    let tools = version("qemu-utils", "Installed:")?;
    let release = version("qemu-system-common", "Candidate:")?;
    (tools != release).then(|| format!("qemu-utils={release}"))
}

/// Downloads `packages` as `.deb` files into `directory`. Installs nothing, and needs no root.
pub fn download(packages: &[&str], directory: &Path) -> Result<()> {
    let what = format!("downloading Debian packages ({RELEASE} with bookworm-security in apt's sources is needed)");
    with_update(&what, || run::quiet(apt_get(&["download"]).args(packages).current_dir(directory), &what))
}

/// Like [`download`], of another architecture than this machine's. Its lists are fetched into `state`, a directory for apt alone, so that
/// the machine's own apt learns of no other architecture.
pub fn download_foreign(architecture: &str, packages: &[&str], directory: &Path, state: &Path) -> Result<()> {
    let (lists, archives, status) = (state.join("lists"), state.join("archives"), state.join("status"));
    for partial in [lists.join("partial"), archives.join("partial")] {
        fs::create_dir_all(&partial).with_context(|| format!("making {}", partial.display()))?;
    }
    fs::write(&status, "").with_context(|| format!("writing {}", status.display()))?;
    let option = |name: &str, value: &Path| format!("--option={name}={}", value.display());
    let apt_get = |command: &str| {
        let mut apt_get = apt_get(&[command]);
        apt_get.args(["APT::Architecture", "APT::Architectures"].map(|name| format!("--option={name}={architecture}")));
        apt_get.args([option("Dir::State::lists", &lists), option("Dir::State::status", &status)]);
        apt_get.args([option("Dir::Cache", state), option("Dir::Cache::archives", &archives)]);
        // The user to which apt goes down for downloads cannot enter root's cache.
        apt_get.args(["--option=Acquire::Languages=none", "--option=APT::Sandbox::User=root"]);
        apt_get.current_dir(directory);
        apt_get
    };
    // Sources of others may lack this architecture; what counts is whether the packages come.
    let update = run::quiet(&mut apt_get("update"), &format!("fetching apt's package lists for {architecture}"));
    let what = format!("downloading Debian packages for {architecture} ({RELEASE} in apt's sources is needed)");
    run::quiet(apt_get("download").args(packages), &what).map_err(|error| match update {
        Ok(()) => error,
        Err(update) => error.context(format!("{what}: {update:#}")),
    })
}

/// The package that `package` depends on and whose name starts with `prefix`: how a name that stays leads to one with a version in it.
pub fn dependency(package: &str, prefix: &str) -> Result<String> {
    let found = OnceLock::new();
    with_update(&format!("asking what {package} depends on"), || {
        let depends = run::output(
            Command::new("apt-cache").args(["depends", "--important", package]),
            "asking for a package's dependencies",
        )?;
        let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: ")?.split_whitespace().next());
        let name = name.filter(|name| name.starts_with(prefix));
        let name = name.with_context(|| {
            format!("wanted that the package {package} of {RELEASE} depends on {prefix}..., found {depends:?}")
        })?;
        found.get_or_init(|| name.to_owned());
        Ok(())
    })?;
    found.into_inner().with_context(|| format!("{package} depends on nothing"))
}

/// Unpacks every package in `directory` there, without installing any, and removes the packages. Returns their files' names, which hold
/// their versions.
pub fn unpack_all(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            run::quiet(
                Command::new("dpkg-deb").arg("--extract").arg(&file).arg(directory),
                &format!("unpacking {}", file.display()),
            )?;
            fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
            names.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Tries `attempt`; where it fails, fetches apt's lists (once per process) and tries again.
fn with_update(what: &str, attempt: impl Fn() -> Result<()>) -> Result<()> {
    static UPDATED: OnceLock<()> = OnceLock::new();
    let Err(first) = attempt() else { return Ok(()) };
    if UPDATED.set(()).is_err() {
        return Err(first);
    }
    if let Err(update) = run::quiet(&mut apt_get(&["update"]), "fetching apt's package lists") {
        return Err(first.context(format!("{what}; and fetching newer lists did not help: {update:#}")));
    }
    attempt()
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").arg(format!("--option=DPkg::Lock::Timeout={LOCK_TIMEOUT_SECONDS}")).args(arguments);
    command
}

fn is_root() -> Result<bool> {
    let user = run::output(Command::new("id").arg("-u"), "asking for the user's number")
        .context("who runs this is not known")?;
    Ok(user.trim() == "0")
}
