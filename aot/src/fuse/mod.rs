//! Stage 7, fuse: the app's machine code, its plan and a host become an image.
//!
//! ```text
//!   plan, app, interfaces --table--> object --link(host object)--> program --pack--> file, with the size map behind it
//! ```
//!
//! There is no compiler, no other program and no network in it, and nothing but the image is written anywhere. Equal inputs give equal
//! bytes: no time, no path and no name of a machine goes in.

mod hosts;
mod link;
pub mod map;
pub mod pack;
mod symbols;
mod table;

pub use hosts::{has as has_host, name as host_name};

use crate::compile::{Import, Kind, Native};
use crate::network::{self, Network};
use crate::problem::Problem;
use crate::report::{Part, Report, Stage};
use crate::target::{Arch, Target};
use anyhow::{Context, Result};
use map::Node;
use mwasm_plan::{Entry, Plan, interfaces, symbols as names};
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeSet;
use std::ops::Range;

/// A file that runs.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The host object in it.
    pub host: String,
    /// Memory that it takes when it is loaded, in bytes.
    pub memory_bytes: u64,
    /// Where its bytes went.
    pub map: Node,
}

/// The addresses that programs are linked for. Executables of Linux start where they always did; a Xen kernel at 1 MiB, above what PCs
/// keep below it. An ARM image is loaded anywhere and maps itself there: above all physical memory, which it maps as it is.
const fn base(target: Target) -> u64 {
    match target {
        Target::Desktop => 0x40_0000,
        Target::Xen => 0x10_0000,
        Target::Arm => 0x7f00_0000_0000,
    }
}

/// Fuses an app with the host of a target.
pub fn fuse(native: &Native, plan: &Plan<'_>, target: Target, arch: Arch, report: &mut Report) -> Result<Image> {
    let host = hosts::name(target, arch, native.concurrency);
    let object = hosts::find(&host)?;
    let mut image = fuse_with(object, native, plan, target, arch)?;
    image.host = host;
    let functions =
        native.imports.iter().flat_map(|import| &import.items).filter(|item| item.kind != Kind::Resource).count();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (count, host) = (native.imports.len(), &image.host);
    let note = format!("host {host}: {functions} function{} of {count} interface{}", plural(functions), plural(count));
    report.stage(Stage::new("fuse", native.cwasm.len(), image.bytes.len()).note(note));
    Ok(image)
}

fn fuse_with(host: Vec<u8>, native: &Native, plan: &Plan<'_>, target: Target, arch: Arch) -> Result<Image> {
    let encoded =
        mwasm_plan::encode(plan).ok().context("the plan, with all embedded files, is too large for an image")?;
    let network = Network::of(plan, native.imports.iter().map(|import| import.interface.as_str()));
    let items = items(&host, &native.imports, network)?;
    let ports = ports(&native.imports, plan, network);
    let start = match plan.entry {
        Entry::None | Entry::Run02(_) | Entry::Run03(_) if network == Network::Given => names::START_RUN_NETWORKED,
        Entry::None | Entry::Run02(_) | Entry::Run03(_) => names::START_RUN,
        Entry::Serve02(_) => names::START_SERVE_02,
        Entry::Serve03(_) => names::START_SERVE_03,
    };
    let contents = table::Contents { app: &native.cwasm, plan: &encoded, items: &items, ports: &ports, start };
    let app = table::write(arch, &contents)?;
    let linked = link::link(link::Job { arch, base: base(target), entry: names::ENTRY, host, app })?;
    let mut bytes = pack::pack(target, &linked)?;
    let tree = tree(&linked, bytes.len(), native, plan, encoded.len())?;
    map::append(&mut bytes, tree)?;
    let (map, _) = map::find(&bytes).context("a size map that cannot be read back")?;
    Ok(Image { bytes, host: String::new(), memory_bytes: pack::memory_bytes(&linked)?, map })
}

/// The items of the table: all functions that the app calls, and the resources that are an interface's own.
fn items(host: &[u8], imports: &[Import], network: Network) -> Result<Vec<table::Item>> {
    let file = object::File::parse(host).context("a damaged host object")?;
    let defined = file.symbols().filter(|symbol| symbol.is_definition()).filter_map(|symbol| symbol.name().ok());
    let served: BTreeSet<&str> = defined.filter(|name| name.starts_with(names::ITEM_PREFIX)).collect();
    let mut items = Vec::new();
    for Import { interface, short, items: imported } in imports {
        let is_refused = network == Network::Refused && network::stands_on_it(interface);
        let row = interfaces::find(interface).with_context(|| format!("'{interface}' is no interface of a host"))?;
        for item in imported {
            let symbol = row.symbol(&item.name);
            if served.contains(symbol.as_str()) {
                let symbol = if is_refused { refusal(item.kind).to_owned() } else { symbol };
                items.push(table::Item { interface: short.clone(), name: item.short.clone(), symbol });
            } else if item.kind != Kind::Resource {
                let message = format!("the app calls '{}' of '{interface}', which this host does not serve", item.name);
                return Err(Problem::new(message)
                    .help("build the app against an older patch version of the interface")
                    .into());
            }
        }
    }
    Ok(items)
}

/// What answers in place of an item in an image that was granted nothing.
fn refusal(kind: Kind) -> &'static str {
    match kind {
        Kind::Resource => names::REFUSED_RESOURCE,
        Kind::Function => names::REFUSED_FUNCTION,
        Kind::AsyncFunction => names::REFUSED_ASYNC_FUNCTION,
    }
}

/// The openers of all ports that the app's interfaces stand on.
fn ports(imports: &[Import], plan: &Plan<'_>, network: Network) -> Vec<&'static str> {
    let opener = match (plan.policy.link.is_empty(), plan.net.tap.is_empty()) {
        (false, _) => names::PORT_LINK,
        (true, true) => names::PORT_NETWORK,
        (true, false) => names::PORT_NETWORK_TAP,
    };
    let rows = imports.iter().filter_map(|import| interfaces::find(&import.interface));
    let others = rows.flat_map(|row| row.ports).copied().filter(|port| *port != names::PORT_NETWORK);
    let mut ports: Vec<&str> = others.chain((network == Network::Given).then_some(opener)).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The size map of a packed image of `packed` bytes.
fn tree(linked: &[u8], packed: usize, native: &Native, plan: &Plan<'_>, plan_bytes: usize) -> Result<Node> {
    let [app, table] = ranges(linked, native.cwasm.len() as u64, plan_bytes as u64)?;
    let mut others = [app, table];
    others.sort_by_key(|range| range.start);
    let contents =
        |dir: &mwasm_plan::Dir<'_>| dir.files.iter().filter_map(|file| file.content).map(|c| c.len() as u64).sum();
    let files = Node::sum("embedded files", plan.dirs.iter().map(|dir| Node::leaf(dir.guest, contents(dir))));
    let plan = Node::leaf("plan", (plan_bytes as u64).saturating_sub(files.bytes));
    let parts = [symbols::host(linked, &others)?, map::app(native), files, plan];
    let known: u64 = parts.iter().map(|part| part.bytes).sum();
    let rest = Node::leaf("headers and padding", (packed as u64).saturating_sub(known));
    Ok(Node::sum("image", parts.into_iter().chain([rest])))
}

/// Where in memory the app and the table with the plan are.
fn ranges(linked: &[u8], app_bytes: u64, plan_bytes: u64) -> Result<[Range<u64>; 2]> {
    let file = object::File::parse(linked)?;
    let table = file.symbol_by_name(names::IMAGE).context("the linker dropped the image table")?.address();
    let word = |index: u64| {
        let at = table + index * 8;
        let data = file.sections().find_map(|section| section.data_range(at, 8).ok().flatten())?;
        Some(u64::from_le_bytes(data.try_into().ok()?))
    };
    let app = word(0).context("an image table without an app")?;
    let plan = word(2).context("an image table without a plan")?;
    Ok([app..app + app_bytes, table..plan + plan_bytes])
}

impl Image {
    /// The image's parts for the report, largest first, with the size map itself.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for part in &self.map.children {
            if part.children.is_empty() {
                parts.push(Part { name: part.name.clone(), bytes: part.bytes });
            }
            for child in &part.children {
                parts.push(Part { name: format!("{}: {}", part.name, child.name), bytes: child.bytes });
            }
        }
        let known: u64 = parts.iter().map(|part| part.bytes).sum();
        parts.push(Part { name: "size map".to_owned(), bytes: (self.bytes.len() as u64).saturating_sub(known) });
        parts.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        parts
    }
}

#[cfg(test)]
mod tests;
