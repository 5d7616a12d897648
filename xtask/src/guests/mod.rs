//! `cargo xtask guests`: the example apps (`examples/`), built with the real toolchains of their languages into `target/guests/NAME.wasm`.
//!
//! [`table`] lists the apps. Building one ([`build`]) is: is what is there up to date ([`stamp`])? If not, run the recipe of its language
//! (one module each), validate the component, and put it in place. `--check` runs the built apps on the reference runtime ([`check`]).

mod assemblyscript;
mod bindings;
mod c;
mod check;
mod component;
mod copy;
mod crates;
mod go;
mod javascript;
mod python;
mod rust;
mod sqlite;
mod stamp;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{paths, progress};
use table::{GUESTS, Guest, Tier};

/// Arguments of `cargo xtask guests`.
#[derive(Args)]
pub struct Arguments {
    /// Only these apps (default: all)
    names: Vec<String>,
    /// Only apps of this tier
    #[arg(long, value_enum)]
    tier: Option<Tier>,
    /// Run each on the reference runtime and compare what it does with what its example says
    #[arg(long, conflicts_with = "list")]
    check: bool,
    /// Say what there is, and build nothing
    #[arg(long)]
    list: bool,
    /// How `--list` prints
    #[arg(long, value_enum, default_value_t = Format::Text, requires = "list")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What a recipe is given.
pub struct Job {
    /// The app's directory below `examples/`.
    source: PathBuf,
    /// A directory of the app's own below `target/`, kept between builds.
    work: PathBuf,
    /// A directory that all apps share below `target/`: caches of compilers.
    shared: PathBuf,
}

/// Builds, lists or checks the chosen apps.
pub fn main(arguments: &Arguments) -> Result<()> {
    let guests = chosen(arguments)?;
    if arguments.list {
        return list(&guests, arguments.format);
    }
    for guest in guests {
        let built = build(guest)?;
        if arguments.check {
            let step = progress::step(format!("checking {}", guest.name));
            check::check(guest, &built).with_context(|| format!("{} does not do what its example says", guest.name))?;
            step.done();
        }
    }
    Ok(())
}

/// Builds the apps with these names, or all when there are none, where they are not up to date.
pub fn ensure(names: &[&str]) -> Result<()> {
    let wanted = GUESTS.iter().filter(|guest| names.is_empty() || names.contains(&guest.name));
    wanted.map(build).try_for_each(|built| built.map(drop))
}

fn chosen(arguments: &Arguments) -> Result<Vec<&'static Guest>> {
    if let Some(unknown) = arguments.names.iter().find(|name| GUESTS.iter().all(|guest| guest.name != *name)) {
        let known: Vec<&str> = GUESTS.iter().map(|guest| guest.name).collect();
        bail!("wanted the name of an example app, found {unknown:?}; there are {}", known.join(", "));
    }
    let named = |guest: &&Guest| arguments.names.is_empty() || arguments.names.iter().any(|name| guest.name == name);
    let of_tier = |guest: &&Guest| arguments.tier.is_none_or(|tier| guest.tier == tier);
    Ok(GUESTS.iter().filter(named).filter(of_tier).collect())
}

fn list(guests: &[&Guest], format: Format) -> Result<()> {
    let directory = paths::guests()?;
    let path = |guest: &Guest| directory.join(format!("{}.wasm", guest.name));
    match format {
        Format::Text => {
            for guest in guests {
                println!(
                    "{:<20} {:<16} {:<6} {}",
                    guest.name,
                    guest.language,
                    guest.tier.name(),
                    path(guest).display()
                );
            }
        }
        Format::Json => {
            let guests: Vec<_> = guests
                .iter()
                .map(|guest| json!({"name": guest.name, "path": path(guest), "language": guest.language, "tier": guest.tier.name()}))
                .collect();
            println!("{}", json!({ "guests": guests }));
        }
    }
    Ok(())
}

/// Builds `guest` where it is not up to date, and returns the component's path.
fn build(guest: &Guest) -> Result<PathBuf> {
    let directory = paths::guests()?;
    let shared = directory.join("build");
    let work = shared.join(guest.name);
    fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let job = Job { source: paths::root()?.join("examples").join(guest.source), work, shared };
    let built = directory.join(format!("{}.wasm", guest.name));

    let wanted = stamp::stamp(&job.source, &[guest.recipe, component::RECIPE, &(guest.toolchain)()?])?;
    let stamp = job.work.join("stamp");
    if built.is_file() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(built);
    }
    let step = progress::step(format!("building {} ({})", guest.name, guest.language));
    let component = (guest.build)(&job).with_context(|| format!("building the example app {}", guest.name))?;
    component::validate(&component)?;
    fs::rename(&component, &built).with_context(|| format!("moving {} to {}", component.display(), built.display()))?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    step.done();
    Ok(built)
}
