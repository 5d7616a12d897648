//! Domain names, in the form that they have in a message, without compression and in lower case.

use std::fmt;

/// Longest name, in bytes (RFC 1035, section 2.3.4).
pub const MAX_NAME_BYTES: usize = 255;
/// Longest label, in bytes.
const MAX_LABEL_BYTES: usize = 63;

/// A name: length and bytes of each label, from the left, and a zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// Reads a name as it is written in text; one that does not end in a dot is relative to `origin`.
    pub fn parse(text: &str, origin: &Name) -> Option<Self> {
        if text == "@" {
            return Some(origin.clone());
        }
        let (labels, rest) = match text.strip_suffix('.') {
            Some("") => return Some(Self::root()),
            Some(labels) => (labels, &Self::root()),
            None => (text, origin),
        };
        let mut wire = Vec::new();
        for label in labels.split('.') {
            push_label(&mut wire, label.as_bytes())?;
        }
        wire.extend(&rest.0);
        (wire.len() <= MAX_NAME_BYTES).then_some(Self(wire))
    }

    /// Reads a name in a message, from `at` on; also says where it ends. Pointers lead backwards only, so that it ends.
    pub fn read(message: &[u8], mut at: usize) -> Option<(Self, usize)> {
        let mut wire = Vec::new();
        let mut end = None;
        let mut least = at;
        loop {
            match *message.get(at)? {
                0 => {
                    wire.push(0);
                    let name = (wire.len() <= MAX_NAME_BYTES).then_some(Self(wire))?;
                    return Some((name, end.unwrap_or(at + 1)));
                }
                length @ 1..=63 => {
                    let label = message.get(at + 1..at + 1 + usize::from(length))?;
                    push_label(&mut wire, label)?;
                    at += 1 + usize::from(length);
                }
                high @ 0xc0.. => {
                    let low = *message.get(at + 1)?;
                    end = end.or(Some(at + 2));
                    at = usize::from(high & 0x3f) << 8 | usize::from(low);
                    if at >= least {
                        return None;
                    }
                    least = at;
                }
                _ => return None,
            }
            if wire.len() > MAX_NAME_BYTES {
                return None;
            }
        }
    }

    /// The name without labels.
    pub fn root() -> Self {
        Self(vec![0])
    }

    /// The name as it is in a message.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let length = usize::from(*self.0.first()?);
        (length > 0).then(|| self.0.get(1 + length..).map(|rest| Self(rest.to_vec())))?
    }

    /// This name, and all above it, up to the root.
    pub fn and_above(&self) -> impl Iterator<Item = Name> {
        std::iter::successors(Some(self.clone()), Name::parent)
    }

    /// Whether it is `above` or a name below that.
    pub fn is_in(&self, above: &Name) -> bool {
        self.and_above().any(|name| name == *above)
    }
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Option<()> {
    if label.is_empty() || label.len() > MAX_LABEL_BYTES {
        return None;
    }
    wire.push(label.len() as u8);
    wire.extend(label.iter().map(u8::to_ascii_lowercase));
    Some(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        while let Some((&length @ 1.., labels)) = rest.split_first() {
            let (label, behind) = labels.split_at(usize::from(length).min(labels.len()));
            write!(f, "{}.", String::from_utf8_lossy(label))?;
            rest = behind;
        }
        if self.0.len() == 1 { f.write_str(".") } else { Ok(()) }
    }
}
