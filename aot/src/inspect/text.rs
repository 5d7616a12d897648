//! An inspection as a screen of text.

use super::network::SetUp;
use super::{Decided, Inspection};
use crate::fuse::map::Node;
use crate::report::Part;
use crate::report::text::{Styled, draw_imports, draw_parts, size};
use anstyle::Style;
use std::fmt::{self, Write};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Draws an inspection.
pub fn draw(inspection: &Inspection) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = screen(inspection, &mut out);
    out
}

fn screen(inspection: &Inspection, out: &mut String) -> fmt::Result {
    let bytes = size(inspection.bytes as u64);
    writeln!(out, "{}  {} {}, {bytes}", Styled(BOLD, &inspection.file), article(inspection.kind), inspection.kind)?;
    row(out, "app", &inspection.name)?;
    if let Some(image) = &inspection.image {
        draw_decided(image, out)?;
    }
    row(out, "sha256", &inspection.component_sha256)?;
    if !inspection.exports.is_empty() {
        row(out, "exports", &inspection.exports.join(", "))?;
    }
    writeln!(out, "\n{}", Styled(BOLD, "Capabilities"))?;
    for capability in &inspection.capabilities {
        writeln!(out, "  {capability}")?;
    }
    if inspection.capabilities.is_empty() {
        writeln!(out, "  {}", Styled(DIM, "none"))?;
    }
    draw_imports(&inspection.imports, out)?;
    if let Some(sizes) = &inspection.sizes {
        writeln!(out, "\n{}  {} bytes", Styled(BOLD, "Sizes"), inspection.bytes)?;
        draw_parts(&parts(sizes), inspection.bytes as u64, out)?;
    }
    Ok(())
}

fn draw_decided(image: &Decided, out: &mut String) -> fmt::Result {
    row(out, "target", &format!("{} on {}", image.target, image.arch))?;
    row(out, "calls", image.entry.as_deref().unwrap_or("nothing: the app is instantiated, and that is all"))?;
    let words = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(" ") };
    let pairs = |list: &[(String, String)]| {
        let list: Vec<String> = list.iter().map(|(key, value)| format!("{key}={value}")).collect();
        words(&list)
    };
    row(out, "arguments", &words(&image.args))?;
    row(out, "environment", &pairs(&image.env))?;
    row(out, "config", &pairs(&image.config))?;
    for dir in &image.embedded {
        row(out, "embedded", &format!("{}  {} files, {}", dir.guest, dir.files, size(dir.bytes as u64)))?;
    }
    let heap =
        image.heap_bytes.map_or_else(|| "all that the machine has".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    row(out, "memory", &format!("heap {heap}, stack {} KiB", image.stack_bytes >> 10))?;
    row(out, "listens on", &words(&image.policy.listen))?;
    row(out, "connects to", &words(&image.policy.connect))?;
    if image.policy.loopback {
        row(out, "loopback", "all that stays on the machine")?;
    }
    if !image.policy.link.is_empty() {
        row(out, "frames of", &words(&image.policy.link))?;
    }
    for (name, place) in &image.policy.endpoints {
        row(out, "endpoint", &format!("{name}: {place}"))?;
    }
    row(out, "network", &image.network.as_ref().map_or_else(|| "none".to_owned(), SetUp::words))?;
    if let Some(served) = &image.http {
        row(out, "serves HTTP", &served.words())?;
    }
    row(out, "built by", &format!("mwasm {}, Wasmtime {}", image.mwasm, image.wasmtime))
}

fn row(out: &mut String, name: &str, value: &str) -> fmt::Result {
    writeln!(out, "  {} {value}", Styled(DIM, format!("{name:<12}")))
}

/// The second level of the tree, largest first.
fn parts(sizes: &Node) -> Vec<Part> {
    let mut parts = Vec::new();
    for part in &sizes.children {
        if part.children.is_empty() {
            parts.push(Part { name: part.name.clone(), bytes: part.bytes });
        }
        for child in &part.children {
            parts.push(Part { name: format!("{}: {}", part.name, child.name), bytes: child.bytes });
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    parts
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
