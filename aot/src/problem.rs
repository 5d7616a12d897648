//! Problems: errors that a person can do something about.
//!
//! Whatever goes wrong in the pipeline travels as an [`anyhow::Error`]. Where the cause is the user's (an app that is no WebAssembly, a
//! typing error in the manifest), the error is a [`Problem`]: it says what was wanted, what was found and, as `help`, what to do.
//! With a [`Snippet`] it also points at the place in a file. The command line finds the problem in the chain and draws it.

use std::fmt;
use std::ops::Range;

/// An error with advice, and perhaps a place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    help: Option<String>,
    usage: bool,
    snippet: Option<Snippet>,
}

/// A place in a text file that a problem points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The file's name, as the user wrote it.
    pub file: String,
    /// All of its text.
    pub text: String,
    /// The place, as offsets in bytes.
    pub span: Range<usize>,
    /// What is the matter there, in a few words.
    pub label: String,
}

impl Snippet {
    /// The line that the place starts in, counted from 1.
    pub fn line(&self) -> usize {
        let start = self.span.start.min(self.text.len());
        self.text.as_bytes().get(..start).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

impl Problem {
    /// Something in the inputs of a build is wrong; the exit code is 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, usage: false, snippet: None }
    }

    /// The command line itself is wrong; the exit code is 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { usage: true, ..Self::new(message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, snippet: Snippet) -> Self {
        self.snippet = Some(snippet);
        self
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether the command line is to blame, and not what it names.
    pub fn is_usage(&self) -> bool {
        self.usage
    }

    /// The place.
    pub fn snippet(&self) -> Option<&Snippet> {
        self.snippet.as_ref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// The candidate that is nearest to what was written, if one is near enough to be what was meant.
pub fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = written.chars().count();
    let limit = (length / 3).clamp(TYPING_ERRORS.0, TYPING_ERRORS.1);
    let distances = candidates.into_iter().map(|candidate| (edit_distance(written, candidate), candidate));
    let near = distances.filter(|(distance, _)| *distance <= limit && *distance < length);
    near.min().map(|(_, candidate)| candidate)
}

/// The most single-letter changes between what was written and what is proposed instead: for short words, and for long ones. Two
/// letters that changed places count twice.
const TYPING_ERRORS: (usize, usize) = (2, 4);

/// Levenshtein's distance: the least number of letters inserted, removed or replaced.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for ((to, diagonal), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != *to)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, distance) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("é", "e", 1)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn only_near_words_are_proposed() {
        let words = ["listen", "connect", "address"];
        assert_eq!(did_you_mean("lisen", words), Some("listen"));
        assert_eq!(did_you_mean("conect", words), Some("connect"));
        assert_eq!(did_you_mean("xne", ["arm", "xen"]), Some("xen"));
        assert_eq!(did_you_mean("heap", words), None);
        assert_eq!(did_you_mean("ab", ["xy"]), None);
        assert_eq!(did_you_mean("", words), None);
    }

    #[test]
    fn lines_count_from_one() {
        let at = |span: Range<usize>| {
            Snippet { file: "f".into(), text: "a\nb\nc".into(), span, label: String::new() }.line()
        };
        assert_eq!((at(0..1), at(2..3), at(4..5), at(99..100)), (1, 2, 3, 3));
    }
}
