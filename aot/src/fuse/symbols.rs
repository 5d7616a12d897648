//! What a host is made of, by crate and module, from the symbols of a linked image.
//!
//! Rust's symbols name the crate and the modules that a function or constant comes from. Bytes that no symbol covers (constants
//! without a name, mostly text) are one entry of their own.

use super::map::Node;
use anyhow::Result;
use object::elf::SHF_ALLOC;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};
use std::ops::Range;

/// The host's part of a linked image: all that has bytes in the file and lies outside of `others`, sorted ranges of addresses.
pub fn host(linked: &[u8], others: &[Range<u64>]) -> Result<Node> {
    let file = object::File::parse(linked)?;
    let loaded = |section: &object::Section<'_, '_>| {
        let flags = match section.flags() {
            SectionFlags::Elf { sh_flags } => sh_flags,
            _ => 0,
        };
        flags & u64::from(SHF_ALLOC) != 0 && section.file_range().is_some()
    };
    let mut symbols: Vec<(u64, u64, String)> = file
        .symbols()
        .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data) && symbol.size() > 0)
        .map(|symbol| {
            let name = String::from_utf8_lossy(symbol.name_bytes().unwrap_or_default()).into_owned();
            (symbol.address(), symbol.size(), name)
        })
        .collect();
    symbols.sort();
    let mut host = Node::leaf("host", 0);
    for section in file.sections().filter(loaded) {
        let mut free: Vec<Range<u64>> = without(section.address()..section.address() + section.size(), others);
        let total: u64 = free.iter().map(|range| range.end - range.start).sum();
        let before = host.bytes;
        for (address, size, name) in &symbols {
            // A symbol may be an alias of another, or overlap it; every byte counts once, for the first.
            let taken = *address..address.saturating_add(*size);
            let counted: u64 = free.iter().map(|range| overlap(range, &taken)).sum();
            if counted > 0 {
                let path = path(name);
                host.add(&path.iter().map(String::as_str).collect::<Vec<_>>(), counted);
                free = free.into_iter().flat_map(|range| without(range, std::slice::from_ref(&taken))).collect();
            }
        }
        let rest = total.saturating_sub(host.bytes - before);
        let what = if section.kind() == SectionKind::Text { "code without a name" } else { "constants without a name" };
        if rest > 0 {
            host.add(&[what], rest);
        }
    }
    Ok(host)
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> u64 {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

/// The parts of `range` that are in none of `holes`.
fn without(range: Range<u64>, holes: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut parts = vec![range];
    for hole in holes {
        parts = parts
            .into_iter()
            .flat_map(|part| {
                let left = part.start..part.end.min(hole.start).max(part.start);
                let right = part.start.max(hole.end).min(part.end)..part.end;
                if overlap(&part, hole) == 0 { vec![part] } else { vec![left, right] }
            })
            .filter(|part| !part.is_empty())
            .collect();
    }
    parts
}

/// The crate and the module of a symbol: `wasmtime::runtime::vm::f` gives `wasmtime`, `runtime`.
fn path(symbol: &str) -> Vec<String> {
    if symbol.starts_with(mwasm_plan::symbols::ITEM_PREFIX) {
        return vec!["mwasm_host_core".to_owned(), "interfaces".to_owned()];
    }
    let Ok(demangled) = rustc_demangle::try_demangle(symbol) else {
        return vec!["assembly and C".to_owned()];
    };
    let name = format!("{demangled:#}");
    // `<&mut dyn a::b::C as d::E>::f` belongs to a::b; so does `<a::b::C>::f`.
    let name = name.trim_start_matches(['<', '&', '(', '[', '*']);
    let name = ["mut ", "dyn ", "const "].iter().fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
    let end = name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '{' | '}' | '#')));
    let segments: Vec<&str> =
        name.split_at(end.unwrap_or(name.len())).0.split("::").filter(|s| !s.is_empty()).collect();
    match segments.as_slice() {
        [] => vec!["core".to_owned()],
        [name, module, _, ..] => vec![(*name).to_owned(), (*module).to_owned()],
        [name, ..] => vec![(*name).to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_belong_to_crates_and_modules() {
        for (symbol, wanted) in [
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core/fmt"),
            ("_ZN8wasmtime7runtime2vm4trap17h0123456789abcdefE", "wasmtime/runtime"),
            (
                "_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
                "alloc/string",
            ),
            ("memcpy", "assembly and C"),
            ("mwasm:wasi:cli/exit/0.2#exit", "mwasm_host_core/interfaces"),
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate/foo"),
        ] {
            assert_eq!(path(symbol).join("/"), wanted, "{symbol}");
        }
    }

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "lists of ranges are what is tested")]
    fn holes_are_cut_out() {
        assert_eq!(without(0..10, &[2..4, 6..8]), [0..2, 4..6, 8..10]);
        assert_eq!(without(0..10, &[0..10]), [] as [Range<u64>; 0]);
        assert_eq!(without(0..10, &[20..30]), [0..10]);
        assert_eq!(without(5..10, &[0..7]), [7..10]);
    }
}
