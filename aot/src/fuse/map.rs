//! The size map: where the bytes of an image went, known by name at link time and kept in the image's file.
//!
//! It is a tree of names and sizes, compressed, behind all that is loaded: an ELF file has it after its segments, a flat image at its
//! end. `mwasm inspect` finds it from the end of the file:
//!
//! ```text
//!   ... the image ...  |  zstd of the tree's JSON  |  length of that, 4 bytes, little-endian  |  MAGIC, 8 bytes
//! ```

use crate::compile::Native;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The last bytes of a file that has a size map.
pub const MAGIC: [u8; 8] = *b"\x89mwmap\r\n";
/// Bytes behind the compressed tree: its length and the magic.
const TRAILER_BYTES: usize = 4 + MAGIC.len();
/// The largest tree, in bytes of JSON.
const MAX_TREE_BYTES: usize = 4 << 20;
/// The most children of a node; the smallest of more are summed up as one.
const MAX_CHILDREN: usize = 64;
/// The strongest level of zstd that is still quick for a few kilobytes.
const ZSTD_LEVEL: i32 = 19;

/// A part of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What it is.
    pub name: String,
    /// Size in bytes; that of an inner node is the sum of its children's.
    pub bytes: u64,
    /// What it is made of, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    /// A part that is not divided further.
    pub fn leaf(name: impl Into<String>, bytes: u64) -> Self {
        Self { name: name.into(), bytes, children: Vec::new() }
    }

    /// A part that is the sum of others; those that are empty are left out.
    pub fn sum(name: impl Into<String>, children: impl IntoIterator<Item = Self>) -> Self {
        let children: Vec<Self> = children.into_iter().filter(|child| child.bytes > 0).collect();
        Self { name: name.into(), bytes: children.iter().map(|child| child.bytes).sum(), children }
    }

    /// Adds `bytes` at the end of `path`, making nodes as needed.
    pub fn add(&mut self, path: &[&str], bytes: u64) {
        self.bytes += bytes;
        let Some((first, rest)) = path.split_first() else { return };
        let index = self.children.iter().position(|child| child.name == *first).unwrap_or_else(|| {
            self.children.push(Self::leaf(*first, 0));
            self.children.len() - 1
        });
        if let Some(child) = self.children.get_mut(index) {
            child.add(rest, bytes);
        }
    }

    /// Sorts by size, and sums up what is small.
    fn tidy(&mut self) {
        self.children.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        if self.children.len() > MAX_CHILDREN {
            let rest = self.children.split_off(MAX_CHILDREN - 1);
            let bytes = rest.iter().map(|child| child.bytes).sum();
            self.children.push(Self::leaf(format!("{} smaller ones", rest.len()), bytes));
        }
        self.children.iter_mut().for_each(Self::tidy);
    }
}

/// What the app's machine code and data are made of.
pub fn app(native: &Native) -> Node {
    let size = |wanted: &str| native.sections.iter().filter(|(name, _)| name == wanted).map(|(_, bytes)| bytes).sum();
    let mut code = Node::leaf("code", 0);
    for function in &native.functions {
        code.add(&[&function_name(&function.symbol)], function.bytes);
    }
    let text: u64 = size(".text");
    code.add(&["padding between functions"], text.saturating_sub(code.bytes));
    let data = Node::leaf("data", size(".rodata.wasm"));
    let names = Node::leaf("function names", size(".name.wasm"));
    let known = code.bytes + data.bytes + names.bytes;
    let tables = Node::leaf("tables for the runtime", (native.cwasm.len() as u64).saturating_sub(known));
    Node::sum("app", [code, data, names, tables])
}

/// `wasm[0]::function[7]::main` is `main`; trampolines and other helpers are one entry.
fn function_name(symbol: &str) -> String {
    let function = symbol.find("::function[").map(|at| symbol.split_at(at + 2));
    match function.and_then(|(module, function)| Some((module, function.split_once("]::")?.1))) {
        Some((_, name)) => format!("{:#}", rustc_demangle::demangle(name)),
        None if function.is_some() => symbol.to_owned(),
        None => "calls between the app and the host".to_owned(),
    }
}

/// Puts the tree behind the image.
pub fn append(image: &mut Vec<u8>, mut tree: Node) -> Result<()> {
    tree.tidy();
    let json = serde_json::to_vec(&tree)?;
    let compressed = zstd::bulk::compress(&json, ZSTD_LEVEL)?;
    let length = u32::try_from(compressed.len()).context("the size map is too large")?;
    image.extend_from_slice(&compressed);
    image.extend_from_slice(&length.to_le_bytes());
    image.extend_from_slice(&MAGIC);
    Ok(())
}

/// The tree at the end of an image's file, and the bytes that it takes there; `None` if there is none.
pub fn find(image: &[u8]) -> Option<(Node, usize)> {
    let (rest, magic) = image.split_last_chunk::<8>()?;
    let (rest, length) = rest.split_last_chunk::<4>()?;
    if *magic != MAGIC {
        return None;
    }
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let compressed = rest.get(rest.len().checked_sub(length)?..)?;
    let json = zstd::bulk::decompress(compressed, MAX_TREE_BYTES).ok()?;
    Some((serde_json::from_slice(&json).ok()?, length + TRAILER_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_comes_back_from_the_end_of_an_image() {
        let mut tree = Node::leaf("image", 0);
        tree.add(&["host", "wasmtime"], 30);
        tree.add(&["app", "code"], 40);
        tree.add(&["host", "core"], 50);
        let mut image = b"an image".to_vec();
        append(&mut image, tree).unwrap();
        let (found, bytes) = find(&image).unwrap();
        assert_eq!(bytes, image.len() - 8);
        assert_eq!((found.bytes, found.children[0].name.as_str(), found.children[0].bytes), (120, "host", 80));
        assert_eq!(found.children[0].children[0].name, "core");
    }

    #[test]
    fn damage_gives_no_tree() {
        let mut image = vec![0; 8];
        append(&mut image, Node::leaf("image", 1)).unwrap();
        for cut in 0..image.len() {
            assert!(find(&image[..cut]).is_none());
        }
        let length = image.len() - 12;
        image[length] = 0xff;
        image[length + 3] = 0xff;
        assert!(find(&image).is_none());
    }

    #[test]
    fn many_children_are_summed_up() {
        let mut tree = Node::leaf("image", 0);
        (0..1000).for_each(|i| tree.add(&[&format!("f{i}")], i));
        let total = tree.bytes;
        tree.tidy();
        assert_eq!(tree.children.len(), MAX_CHILDREN);
        assert_eq!(tree.children.iter().map(|child| child.bytes).sum::<u64>(), total);
    }

    #[test]
    fn functions_go_by_their_own_names() {
        assert_eq!(function_name("wasm[0]::function[7]::main"), "main");
        assert_eq!(function_name("wasm[0]::function[7]::_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
        assert_eq!(function_name("wasm[0]::function[7]"), "wasm[0]::function[7]");
        assert_eq!(function_name("array_to_wasm_trampoline[3]"), "calls between the app and the host");
    }
}
