//! The flattened device tree, as a stream of nodes and properties (Devicetree Specification 0.4, chapter 5).
//!
//! The blob comes from outside and is only ever read through checked slices: damaged ones end the stream early, or are
//! refused.

use core::fmt;

const MAGIC: u32 = 0xd00d_feed;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 40;
/// The largest blob, in bytes: what the arm64 boot protocol allows.
pub const MAX_TREE_BYTES: usize = 2 << 20;
/// The oldest version whose structure is the one read here.
const LAST_COMPATIBLE_VERSION: u32 = 17;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;

/// Why a blob is no device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeError {
    /// The magic is missing.
    Magic,
    /// The version cannot be read.
    Version(u32),
    /// Parts lie outside of the blob.
    Layout,
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("wanted a device tree, found something else"),
            Self::Version(found) => write!(f, "wanted a device tree that version 17 can read, found version {found}"),
            Self::Layout => f.write_str("the device tree is damaged: parts of it lie outside"),
        }
    }
}

impl core::error::Error for TreeError {}

/// A device tree.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    reservations: &'a [u8],
}

/// What the stream says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A node begins; its name, such as `memory@40000000`.
    Begin(&'a [u8]),
    /// A property of the node that began last.
    Property(&'a [u8], &'a [u8]),
    /// The node ends.
    End,
}

/// Bytes of the blob that starts with `header`, if it looks like one.
pub fn total_bytes(header: &[u8]) -> Result<usize, TreeError> {
    if word(header, 0) != Some(MAGIC) {
        return Err(TreeError::Magic);
    }
    let total = word(header, 4).map_or(0, |total| total as usize);
    if (HEADER_BYTES..=MAX_TREE_BYTES).contains(&total) { Ok(total) } else { Err(TreeError::Layout) }
}

/// Reads the header of a blob.
pub fn parse(bytes: &[u8]) -> Result<Tree<'_>, TreeError> {
    let bytes = bytes.get(..total_bytes(bytes)?).ok_or(TreeError::Layout)?;
    let field = |at| word(bytes, at).ok_or(TreeError::Layout);
    let version = field(24)?;
    if version > LAST_COMPATIBLE_VERSION || field(20)? < 16 {
        return Err(TreeError::Version(field(20)?));
    }
    let part = |at: u32, size: u32| {
        let start = at as usize;
        bytes.get(start..start.checked_add(size as usize)?)
    };
    Ok(Tree {
        structure: part(field(8)?, field(36)?).ok_or(TreeError::Layout)?,
        strings: part(field(12)?, field(32)?).ok_or(TreeError::Layout)?,
        reservations: bytes.get(field(16)? as usize..).ok_or(TreeError::Layout)?,
    })
}

impl<'a> Tree<'a> {
    /// Everything in order. A damaged part ends it.
    pub fn tokens(&self) -> Tokens<'a> {
        Tokens { tree: *self, at: 0 }
    }

    /// Memory that must be left alone: start and size in bytes.
    pub fn reservations(&self) -> impl Iterator<Item = (u64, u64)> + 'a {
        let entries = self.reservations.chunks_exact(16).map(|entry| (cells(entry, 0, 2), cells(entry, 2, 2)));
        entries.map_while(|(start, size)| Some((start?, size?)).filter(|entry| *entry != (0, 0)))
    }
}

/// The stream of a [`Tree`].
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    tree: Tree<'a>,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let token = word(self.tree.structure, self.at)?;
            let rest = self.tree.structure.get(self.at + 4..)?;
            match token {
                NOP => self.at += 4,
                BEGIN_NODE => {
                    let name = text(rest)?;
                    self.at += 4 + (name.len() + 1).next_multiple_of(4);
                    return Some(Token::Begin(name));
                }
                END_NODE => {
                    self.at += 4;
                    return Some(Token::End);
                }
                PROPERTY => {
                    let (size, name) = (word(rest, 0)? as usize, word(rest, 4)? as usize);
                    let value = rest.get(8..)?.get(..size)?;
                    self.at += 12 + size.next_multiple_of(4);
                    return Some(Token::Property(text(self.tree.strings.get(name..)?)?, value));
                }
                _ => return None,
            }
        }
    }
}

/// The 32-bit big-endian word at byte `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// The number in `count` cells from cell `first` on; only its lower 64 bits count.
pub fn cells(value: &[u8], first: usize, count: usize) -> Option<u64> {
    let bytes = value.get(first.checked_mul(4)?..)?.get(..count.checked_mul(4)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// The bytes before the first zero.
pub fn text(value: &[u8]) -> Option<&[u8]> {
    value.get(..value.iter().position(|byte| *byte == 0)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes device trees.
    #[derive(Default)]
    pub struct Builder {
        pub structure: Vec<u8>,
        pub strings: Vec<u8>,
        pub reservations: Vec<(u64, u64)>,
    }

    impl Builder {
        fn words(&mut self, words: &[u32]) {
            self.structure.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
        fn pad(&mut self) {
            self.structure.resize(self.structure.len().next_multiple_of(4), 0);
        }
        pub fn node(&mut self, name: &str, content: impl FnOnce(&mut Self)) -> &mut Self {
            self.words(&[BEGIN_NODE]);
            self.structure.extend(name.bytes().chain([0]));
            self.pad();
            content(self);
            self.words(&[END_NODE]);
            self
        }
        pub fn bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
            let at = self.strings.len() as u32;
            self.strings.extend(name.bytes().chain([0]));
            self.words(&[PROPERTY, value.len() as u32, at]);
            self.structure.extend(value);
            self.pad();
            self
        }
        pub fn cells(&mut self, name: &str, cells: &[u32]) -> &mut Self {
            let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
            self.bytes(name, &bytes)
        }
        pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
            let bytes: Vec<u8> = text.bytes().chain([0]).collect();
            self.bytes(name, &bytes)
        }
        pub fn finish(&mut self) -> Vec<u8> {
            self.words(&[9]);
            let reservations: Vec<u8> = self
                .reservations
                .iter()
                .chain([&(0, 0)])
                .flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()].concat())
                .collect();
            let structure_at = (HEADER_BYTES + reservations.len()) as u32;
            let strings_at = structure_at + self.structure.len() as u32;
            let total = strings_at + self.strings.len() as u32;
            let sizes = (self.strings.len() as u32, self.structure.len() as u32);
            let header = [MAGIC, total, structure_at, strings_at, HEADER_BYTES as u32, 17, 16, 0, sizes.0, sizes.1];
            let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
            bytes.extend(reservations);
            bytes.extend(&self.structure);
            bytes.extend(&self.strings);
            bytes
        }
    }

    fn sample() -> Vec<u8> {
        let mut builder = Builder { reservations: vec![(0x4000_0000, 0x1000)], ..Builder::default() };
        builder.node("", |root| {
            root.cells("#address-cells", &[2]).node("memory@40000000", |node| {
                node.text("device_type", "memory").cells("reg", &[0, 0x4000_0000, 1, 0]);
            });
        });
        builder.finish()
    }

    #[test]
    fn the_stream_is_in_order() {
        let bytes = sample();
        let tree = parse(&bytes).unwrap();
        let reg = [0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let expected = [
            Token::Begin(b""),
            Token::Property(b"#address-cells", &[0, 0, 0, 2]),
            Token::Begin(b"memory@40000000"),
            Token::Property(b"device_type", b"memory\0"),
            Token::Property(b"reg", &reg),
            Token::End,
            Token::End,
        ];
        assert_eq!(tree.tokens().collect::<Vec<_>>(), expected);
        assert_eq!(tree.reservations().collect::<Vec<_>>(), [(0x4000_0000, 0x1000)]);
        assert_eq!((cells(&reg, 0, 2), cells(&reg, 2, 2), cells(&reg, 3, 2)), (Some(0x4000_0000), Some(1 << 32), None));
        assert_eq!((text(b"a\0b\0"), text(b"\0"), text(b"no end")), (Some(&b"a"[..]), Some(&b""[..]), None));
    }

    #[test]
    fn other_blobs_are_refused() {
        assert_eq!(parse(b"\x7fELF").unwrap_err(), TreeError::Magic);
        let mut future = sample();
        future[27] = 18;
        assert_eq!(parse(&future).unwrap_err(), TreeError::Version(17));
        let mut outside = sample();
        outside[8] = 0x7f;
        assert_eq!(parse(&outside).unwrap_err(), TreeError::Layout);
        assert_eq!(parse(&sample()[..100]).unwrap_err(), TreeError::Layout);
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..300, value: u8) {
            let mut bytes = sample();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(tree) = parse(&bytes) {
                prop_assert!(tree.tokens().count() <= bytes.len());
                prop_assert!(tree.reservations().count() <= bytes.len());
            }
        }
    }
}
