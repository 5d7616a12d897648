//! Debian's packages: install them, or download them to be unpacked elsewhere. The lists of what is available are fetched once, and only
//! when something was not found without.

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
        let mut command = apt_get(&["install", "--yes", "--no-install-recommends"]);
        run::quiet(command.args(packages).env("DEBIAN_FRONTEND", "noninteractive"), &format!("installing {purpose}"))
    })?;
    step.done();
    Ok(())
}

/// Downloads `packages` as `.deb` files into `directory`. Installs nothing, and needs no root.
pub fn download(packages: &[&str], directory: &Path) -> Result<()> {
    let what = format!("downloading Debian packages ({RELEASE} with bookworm-security in apt's sources is needed)");
    with_update(&what, || run::quiet(apt_get(&["download"]).args(packages).current_dir(directory), &what))
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
