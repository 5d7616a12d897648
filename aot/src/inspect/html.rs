//! An inspection as a page for the browser: one file, no script, nothing loaded from anywhere.

use super::network::{Served, SetUp};
use super::treemap::{Tile, layout};
use super::{Decided, Inspection};
use crate::fuse::map::Node;
use crate::report::text::size;
use crate::report::{Fate, Import};
use std::fmt::{self, Write};

/// Units of the map's picture; the browser scales it.
const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 640.0;
/// Width of a letter of a label, in those units, and the least room that a label is drawn in.
const LETTER: f64 = 6.6;
const MIN_LABEL: (f64, f64) = (40.0, 15.0);
/// Number of colours; each child of the root has one.
const COLOURS: usize = 6;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(inspection: &Inspection) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(inspection, &mut out);
    out
}

fn write_page(inspection: &Inspection, out: &mut String) -> fmt::Result {
    let name = Text(&inspection.name);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{name}: {kind}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        kind = inspection.kind
    )?;
    let place =
        inspection.image.as_ref().map_or_else(String::new, |image| format!(" for {} on {}", image.target, image.arch));
    writeln!(
        out,
        "<header><h1>{name}</h1><p>{}{place}, {}</p></header>",
        inspection.kind,
        size(inspection.bytes as u64)
    )?;
    if let Some(sizes) = &inspection.sizes {
        write_map(sizes, out)?;
    }
    out.push_str("<div class=\"columns\">\n");
    write_facts(inspection, out)?;
    write_imports(&inspection.imports, out)?;
    out.push_str("</div>\n</main>\n</body>\n</html>\n");
    Ok(())
}

/// A text, safe inside of HTML.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

fn write_map(sizes: &Node, out: &mut String) -> fmt::Result {
    let mut parts: Vec<&Node> = sizes.children.iter().collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let colour = |name: &str| parts.iter().position(|part| part.name == name).unwrap_or(COLOURS).min(COLOURS - 1);
    out.push_str("<section>\n<h2>Where the bytes went</h2>\n<ul class=\"legend\">\n");
    for part in &parts {
        let (name, bytes) = (Text(&part.name), size(part.bytes));
        writeln!(out, "<li><i class=\"c{}\"></i>{name} <b>{bytes}</b></li>", colour(&part.name))?;
    }
    writeln!(out, "</ul>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"sizes of the parts\">")?;
    for tile in layout(sizes, WIDTH, HEIGHT) {
        let top = tile.path.first().copied().unwrap_or(&tile.node.name);
        write_tile(&tile, colour(top), out)?;
    }
    out.push_str("</svg>\n</section>\n");
    Ok(())
}

fn write_tile(tile: &Tile<'_>, colour: usize, out: &mut String) -> fmt::Result {
    let rect = tile.rect;
    let path: Vec<&str> = tile.path.iter().copied().chain([tile.node.name.as_str()]).collect();
    let (path, bytes) = (path.join(" › "), tile.node.bytes);
    write!(
        out,
        "<g><title>{} · {bytes} bytes ({})</title><rect class=\"c{colour} d{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        Text(&path),
        size(bytes),
        tile.path.len().min(2),
        rect.x,
        rect.y,
        rect.w,
        rect.h
    )?;
    if rect.w >= MIN_LABEL.0 && rect.h >= MIN_LABEL.1 {
        let room = ((rect.w - 8.0) / LETTER) as usize;
        let label = shorten(&tile.node.name, room);
        let class = if tile.open { "open" } else { "" };
        write!(
            out,
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            rect.x + 4.0,
            rect.y + 13.0,
            Text(&label)
        )?;
    }
    out.push_str("</g>\n");
    Ok(())
}

/// At most `room` letters; what is cut off is cut from the front, because the end of a path tells more.
fn shorten(name: &str, room: usize) -> String {
    let count = name.chars().count();
    if count <= room {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count - room.saturating_sub(1)).collect();
    format!("…{end}")
}

fn write_facts(inspection: &Inspection, out: &mut String) -> fmt::Result {
    out.push_str("<section>\n<h2>What it may do</h2>\n<ul>\n");
    for capability in &inspection.capabilities {
        writeln!(out, "<li>{capability}</li>")?;
    }
    if inspection.capabilities.is_empty() {
        out.push_str("<li>nothing but compute</li>\n");
    }
    out.push_str("</ul>\n<dl>\n");
    if let Some(image) = &inspection.image {
        write_decided(image, out)?;
    }
    fact(out, "exports", &inspection.exports.join("\n"))?;
    fact(out, "sha256", &inspection.component_sha256)?;
    out.push_str("</dl>\n</section>\n");
    Ok(())
}

fn write_decided(image: &Decided, out: &mut String) -> fmt::Result {
    let refused = |list: &[String]| if list.is_empty() { "nothing".to_owned() } else { list.join("\n") };
    let pairs = |list: &[(String, String)]| list.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("\n");
    let embedded: Vec<String> = image
        .embedded
        .iter()
        .map(|dir| format!("{} ({} files, {})", dir.guest, dir.files, size(dir.bytes as u64)))
        .collect();
    fact(out, "listens on", &refused(&image.policy.listen))?;
    fact(out, "connects to", &refused(&image.policy.connect))?;
    for (name, place) in &image.policy.endpoints {
        fact(out, "endpoint", &format!("{name}: {place}"))?;
    }
    fact(out, "frames of", &image.policy.link.join(" "))?;
    fact(out, "loopback", if image.policy.loopback { "all that stays on the machine" } else { "" })?;
    fact(out, "network", &image.network.as_ref().map_or_else(|| "none".to_owned(), SetUp::words))?;
    fact(out, "serves HTTP", &image.http.as_ref().map(Served::words).unwrap_or_default())?;
    fact(out, "calls", image.entry.as_deref().unwrap_or("nothing"))?;
    fact(out, "arguments", &image.args.join(" "))?;
    fact(out, "environment", &pairs(&image.env))?;
    fact(out, "config", &pairs(&image.config))?;
    fact(out, "embedded", &embedded.join("\n"))?;
    fact(out, "heap", &image.heap_bytes.map_or_else(|| "all that the machine has".to_owned(), size))?;
    fact(out, "stack", &size(image.stack_bytes))?;
    fact(out, "built by", &format!("mwasm {}, Wasmtime {}", image.mwasm, image.wasmtime))
}

fn fact(out: &mut String, name: &str, value: &str) -> fmt::Result {
    if value.is_empty() {
        return Ok(());
    }
    writeln!(out, "<dt>{name}</dt><dd>{}</dd>", Text(value))
}

fn write_imports(imports: &[Import], out: &mut String) -> fmt::Result {
    out.push_str("<section>\n<h2>Imports</h2>\n");
    if imports.is_empty() {
        out.push_str("<p>none</p>\n</section>\n");
        return Ok(());
    }
    out.push_str("<table>\n");
    for fate in [Fate::Kept, Fate::Plugged, Fate::Dropped] {
        let word = match fate {
            Fate::Kept => "kept",
            Fate::Plugged => "plugged in",
            Fate::Dropped => "dropped",
        };
        for import in imports.iter().filter(|import| import.fate == fate) {
            let (name, why) = (Text(&import.name), Text(&import.why));
            writeln!(out, "<tr class=\"{word}\"><td><code>{name}</code></td><td>{word}</td><td>{why}</td></tr>")?;
        }
    }
    out.push_str("</table>\n</section>\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::FORMAT;

    #[test]
    fn the_page_stands_alone_and_escapes() {
        let sizes = Node::sum("app", [Node::sum("code", [Node::leaf("<f>&\"", 900)]), Node::leaf("data", 100)]);
        let inspection = Inspection {
            format: FORMAT,
            kind: "app",
            file: "f".into(),
            bytes: 1000,
            name: "<script>".into(),
            component_sha256: String::new(),
            imports: vec![Import { name: "a:b/c".into(), fate: Fate::Dropped, why: "x < y".into() }],
            exports: vec![],
            capabilities: vec![],
            image: None,
            sizes: Some(sizes),
        };
        let page = page(&inspection);
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
        assert!(page.contains("&lt;f&gt;&amp;&quot;") && page.contains("x &lt; y"));
        assert!(!page.contains("http") && !page.contains("src=") && !page.contains("url("));
    }

    #[test]
    fn long_names_keep_their_ends() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdef", 4), "…def");
        assert_eq!(shorten("äöü", 2), "…ü");
    }
}
