//! The report as a screen of text.

use super::{ARROW, Fate, Import, Part, Report, Stage};
use anstyle::{AnsiColor, Style};
use std::fmt::{self, Display, Write};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const GONE: Style = AnsiColor::Red.on_default();
const BAR: Style = AnsiColor::Cyan.on_default();

/// The most parts of the image that are listed; smaller ones are summed up.
const MAX_PARTS: usize = 12;
/// Width of the largest bar, in characters.
const BAR_WIDTH: u64 = 24;
/// Wider names are not aligned.
const MAX_NAME_WIDTH: usize = 44;

/// Lines are not longer, if their words allow it, in characters: that of a wide terminal.
const SCREEN_WIDTH: usize = 100;

/// A text in a style.
pub struct Styled<T>(pub Style, pub T);

impl<T: Display> Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.0.render(), self.1, self.0.render_reset())
    }
}

/// Bytes as people read them: `812 B`, `84.2 KB`, `1.21 MB`. Units are powers of 1000, as for files.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {unit}")
}

/// A text in so many columns. A chain of calls loses links in its middle: where it starts, and the end of it, tell most.
pub fn fit(text: &str, columns: usize) -> String {
    let fits = |text: &str| text.chars().count() <= columns;
    if fits(text) {
        return text.to_owned();
    }
    let links: Vec<&str> = text.split(ARROW).collect();
    let mut short = text.to_owned();
    if let [first, _, rest @ ..] = links.as_slice()
        && !rest.is_empty()
    {
        for start in 0..rest.len() {
            let end = rest.get(start..).unwrap_or_default();
            short = [&[*first, "…"], end].concat().join(ARROW);
            if fits(&short) {
                return short;
            }
        }
    }
    let cut: String = short.chars().take(columns.saturating_sub(1)).collect();
    format!("{cut}…")
}

/// Draws the report.
pub fn draw(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = screen(report, &mut out);
    out
}

fn screen(report: &Report, out: &mut String) -> fmt::Result {
    let title = format!("{} for {} on {}", report.app.name, report.target, report.arch);
    writeln!(out, "{}", Styled(BOLD, title))?;
    writeln!(out, "\n{}", Styled(BOLD, "Stages"))?;
    for stage in &report.stages {
        draw_stage(stage, out)?;
    }
    draw_imports(&report.imports, out)?;
    if let Some(image) = &report.image {
        let line = format!("{}  {} bytes ({})", image.file, image.bytes, size(image.bytes as u64));
        writeln!(out, "\n{}  {line}", Styled(BOLD, "Image"))?;
        draw_parts(&image.parts, image.bytes as u64, out)?;
    }
    Ok(())
}

fn draw_stage(stage: &Stage, out: &mut String) -> fmt::Result {
    let [before, after] = [stage.bytes_before, stage.bytes_after].map(|bytes| size(bytes as u64));
    let change = match (stage.bytes_before, stage.bytes_after) {
        (0, 0) => String::new(),
        (0, _) => after,
        (before, after) if before == after => size(before as u64),
        _ => format!("{before} → {after}"),
    };
    let notes = stage.notes.join("; ");
    writeln!(out, "  {:<10} {change:<20} {}", stage.name, Styled(DIM, notes))
}

/// Draws what became of each import.
pub fn draw_imports(imports: &[Import], out: &mut String) -> fmt::Result {
    if imports.is_empty() {
        return writeln!(out, "\n{}  none", Styled(BOLD, "Imports"));
    }
    let of = |fate| imports.iter().filter(move |import| import.fate == fate);
    let count = |fate, word| Some(of(fate).count()).filter(|count| *count > 0).map(|count| format!("{count} {word}"));
    let counts = [count(Fate::Kept, "kept"), count(Fate::Plugged, "plugged in"), count(Fate::Dropped, "dropped")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    writeln!(out, "\n{}  {}", Styled(BOLD, "Imports"), counts.join(", "))?;
    let width = imports.iter().map(|import| import.name.len()).max().unwrap_or(0).min(MAX_NAME_WIDTH);
    let rest = SCREEN_WIDTH.saturating_sub("  +   ".len() + width);
    for (fate, style, sign) in [(Fate::Kept, GOOD, '+'), (Fate::Plugged, GOOD, '='), (Fate::Dropped, GONE, '-')] {
        for import in of(fate) {
            let why = fit(&import.why, rest);
            writeln!(out, "  {} {:<width$}  {}", Styled(style, sign), import.name, Styled(DIM, why))?;
        }
    }
    Ok(())
}

/// Draws where the bytes of an image of `total` bytes went.
pub fn draw_parts(parts: &[Part], total: u64, out: &mut String) -> fmt::Result {
    let mut shown: Vec<Part> = parts.iter().take(MAX_PARTS).cloned().collect();
    let rest = parts.get(MAX_PARTS..).unwrap_or_default();
    if !rest.is_empty() {
        let bytes = rest.iter().map(|part| part.bytes).sum();
        shown.push(Part { name: format!("{} smaller parts", rest.len()), bytes });
    }
    let largest = shown.iter().map(|part| part.bytes).max().unwrap_or(1).max(1);
    let width = shown.iter().map(|part| part.name.len()).max().unwrap_or(0).min(MAX_NAME_WIDTH);
    for part in &shown {
        let bar = "█".repeat((part.bytes * BAR_WIDTH).div_ceil(largest) as usize);
        let percent = part.bytes as f64 * 100.0 / total.max(1) as f64;
        let (name, bytes) = (&part.name, size(part.bytes));
        writeln!(out, "  {name:<width$}  {bytes:>8}  {percent:>4.1} %  {}", Styled(BAR, bar))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ImageRow;
    use crate::target::{Arch, Target};

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 KB"),
            (84_234, "84.2 KB"),
            (812_345, "812 KB"),
            (999_600, "1.00 MB"),
            (1_210_000, "1.21 MB"),
            (5_000_000_000, "5.00 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn long_chains_lose_their_middle() {
        let chain = "3 of 5 functions: run → _start → __main_void → app::main → stdio::_print → write";
        assert_eq!(fit(chain, 200), chain);
        assert_eq!(fit(chain, 70), "3 of 5 functions: run → … → app::main → stdio::_print → write");
        assert_eq!(fit(chain, 40), "3 of 5 functions: run → … → write");
        assert_eq!(fit(chain, 30), "3 of 5 functions: run → … → w…");
        assert_eq!(fit("nothing in the app calls it", 10), "nothing i…");
        assert_eq!(fit("a → b", 4), "a →…");
        for columns in 0..100 {
            assert!(fit(chain, columns).chars().count() <= columns.max(1));
        }
    }

    #[test]
    fn the_screen_has_every_row() {
        let mut report = Report::new(Target::Xen, Arch::X86_64);
        report.app.name = "hello".into();
        report.stage(Stage::new("strip", 2000, 1000).note("5 functions removed"));
        report.import("wasi:cli/exit@0.2.6", Fate::Kept, "run -> exit".into());
        report.import("wasi:io/poll@0.2.6", Fate::Dropped, "nothing calls it".into());
        let parts = (1..=20).map(|i| Part { name: format!("part {i}"), bytes: i }).rev().collect();
        report.image = Some(ImageRow { file: "hello.xen".into(), bytes: 210, host: "xen-x86_64".into(), parts });
        let text = anstream::adapter::strip_str(&draw(&report)).to_string();
        for wanted in [
            "hello for xen on x86_64",
            "2.00 KB → 1.00 KB",
            "1 kept, 1 dropped",
            "- wasi:io/poll@0.2.6",
            "nothing calls it",
            "hello.xen  210 bytes",
            "8 smaller parts",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }
}
