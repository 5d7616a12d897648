//! `mwasm run`: an app or an image, at work.
//!
//! ```text
//!   app    --target desktop--> in this process
//!   app    --target xen, arm--> an image in memory -> boot
//!   image  for this machine--> exec; for another one -> boot
//! ```

use crate::aot::{Inputs, inputs};
use crate::boot::{self, Guest, Link};
use crate::cli::Run;
use crate::progress::Progress;
use anyhow::{Context, Result};
use mwasm_aot::configure::Flags;
use mwasm_aot::image::{Found, recognise};
use mwasm_aot::manifest::Layer;
use mwasm_aot::problem::Problem;
use mwasm_aot::target::{Arch, Target};
use mwasm_aot::{Prepared, Request, build, imports, prepare, prune};
use mwasm_host_desktop::linux::HostDir;
use mwasm_plan::Provenance;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Runs what the arguments say.
pub fn main(arguments: Run) -> Result<ExitCode> {
    if let Some(store) = &arguments.store {
        let message =
            format!("cannot use the store '{}': no host of this version serves mwasm:storage", store.display());
        return Err(Problem::usage(message).help("run without --store").into());
    }
    if let Some(file) = &arguments.file {
        let bytes = fs::read(file).map_err(|error| {
            Problem::new(format!("cannot read '{}': {error}", file.display())).help("name an app or an image")
        })?;
        if let Some(found) = recognise(&file.display().to_string(), &bytes)? {
            return run_image(&arguments, file, &bytes, &found);
        }
    }
    run_app(arguments)
}

fn run_app(mut arguments: Run) -> Result<ExitCode> {
    let target = arguments.target.unwrap_or(Target::Desktop);
    let Inputs { app, layer, has_manifest } = inputs(arguments.file.take(), arguments.manifest.take(), target)?;
    let dirs = std::mem::take(&mut arguments.dirs);
    let link = link(&arguments);
    let mut flags = arguments.into_flags();
    match target {
        Target::Desktop => {
            // Who says nothing about the network is trusted with this machine alone.
            let lets_nobody_in = flags.listen.is_empty() && flags.publish.is_empty();
            flags.loopback = lets_nobody_in && flags.connect.is_empty() && !has_manifest;
            flags.serve_here_only = lets_nobody_in && !has_manifest;
            // Somebody is there who wants to know where an app is served, and what it was refused.
            flags.verbose = true;
            run_here(prepared(&app, layer, flags)?, dirs)
        }
        Target::Xen | Target::Arm => {
            let flags = Flags { embed: dirs, ..flags };
            let request = Request { app: &app, target, arch: target.default_arch(), layer, flags };
            let built = build(request, Path::new("image"), &mut Progress::default())?;
            boot(target, &built.image.bytes, &link)
        }
    }
}

/// What the network card of a machine is connected to.
fn link(arguments: &Run) -> Link {
    Link { publish: arguments.grants.publish.clone(), tap: arguments.grants.net.clone() }
}

/// Boots an image.
fn boot(target: Target, image: &[u8], link: &Link) -> Result<ExitCode> {
    let guest = Guest::new(target, image, link)?;
    if let Some(place) = guest.served_at() {
        eprintln!("mwasm: {place}");
    }
    boot::boot(&guest)
}

/// The app with its settings. What nothing can call is only dropped if it is in the way: the whole app knows more of its source.
fn prepared(app: &Path, layer: Layer, flags: Flags) -> Result<Prepared> {
    let target = Target::Desktop;
    let request = Request { app, target, arch: target.default_arch(), layer, flags };
    let mut prepared = prepare(request, &mut Progress::default())?;
    if imports::check(&prepared.app, &prepared.report).is_err() {
        prepared.app = prune::prune(prepared.app, &mut prepared.report)?;
        imports::check(&prepared.app, &prepared.report)?;
    }
    Ok(prepared)
}

fn run_here(prepared: Prepared, dirs: Vec<(String, PathBuf)>) -> Result<ExitCode> {
    let dirs: Vec<HostDir> = dirs.into_iter().map(|(guest, host)| HostDir { host, guest }).collect();
    let plan = prepared.settings.plan(Provenance::default());
    let outcome = mwasm_host_desktop::linux::run(&prepared.app.component, &plan, &dirs);
    let outcome = outcome.map_err(mwasm_aot::engine::error).context("cannot run the app")?;
    Ok(ExitCode::from(outcome.code()))
}

fn run_image(arguments: &Run, file: &Path, bytes: &[u8], found: &Found<'_>) -> Result<ExitCode> {
    if arguments.target.is_some_and(|target| target != found.target) {
        let message =
            format!("'{}' is an image for {}, and cannot be run for another target", file.display(), found.target);
        return Err(Problem::usage(message).help("leave out --target, or build another image").into());
    }
    if let Some(flag) = arguments.set_at_build_time(found.target) {
        let message = format!(
            "{flag} has no effect on '{}': it is an image, and that was decided when it was built",
            file.display()
        );
        return Err(Problem::usage(message).help(format!("give {flag} to mwasm aot")).into());
    }
    if found.target != Target::Desktop {
        if !arguments.args.is_empty() {
            let message = format!("'{}' takes no arguments: they were compiled in", file.display());
            return Err(Problem::usage(message).help("give the arguments to mwasm aot").into());
        }
        return boot(found.target, bytes, &link(arguments));
    }
    let mut command = match Arch::of_this_machine() == Some(found.arch) {
        true => Command::new(file.canonicalize()?),
        false => {
            let mut emulator = Command::new(format!("qemu-{}", found.arch));
            emulator.arg(file);
            emulator
        }
    };
    // Only comes back if there is nothing to run.
    let error = command.args(&arguments.args).exec();
    let program = command.get_program().to_string_lossy().into_owned();
    Err(Problem::new(format!("cannot start '{program}': {error}"))
        .help(match error.kind() {
            std::io::ErrorKind::PermissionDenied => format!("make it executable: chmod +x {}", file.display()),
            _ => "'mwasm doctor' says what is missing on this machine".to_owned(),
        })
        .into())
}
