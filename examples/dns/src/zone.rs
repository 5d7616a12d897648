//! Zones, and the master files that they are read from (RFC 1035, section 5), of which a part is understood.
//!
//! ```text
//!   text --tokens--> entries: what stands on a line, or between parentheses --entry--> records by owner
//! ```

use crate::name::Name;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Types of records, by their numbers.
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
}

/// A record, without its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How long it may be remembered, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ns(Name),
    Cname(Name),
    Mx(u16, Name),
    /// Texts of at most 255 bytes.
    Txt(Vec<Vec<u8>>),
    /// Main server, mailbox, and serial, refresh, retry, expire and minimum.
    Soa(Name, Name, [u32; 5]),
}

impl Data {
    /// The number of its type.
    pub fn kind(&self) -> u16 {
        match self {
            Self::A(_) => kind::A,
            Self::Aaaa(_) => kind::AAAA,
            Self::Ns(_) => kind::NS,
            Self::Cname(_) => kind::CNAME,
            Self::Mx(..) => kind::MX,
            Self::Txt(_) => kind::TXT,
            Self::Soa(..) => kind::SOA,
        }
    }
}

/// All that is known below a name.
#[derive(Debug)]
pub struct Zone {
    /// The name at its top.
    pub apex: Name,
    /// The SOA record.
    pub soa: Record,
    records: BTreeMap<Name, Vec<Record>>,
}

impl Zone {
    /// Reads a master file. The error is the line and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { origin: Name::root(), ttl: None, owner: None, records: BTreeMap::new() };
        for entry in entries(text)? {
            reader.entry(&entry.tokens, entry.is_continued).map_err(|why| format!("{}: {why}", entry.line))?;
        }
        let is_soa = |record: &&Record| record.data.kind() == kind::SOA;
        let mut tops = reader.records.iter().filter_map(|(name, records)| Some((name, records.iter().find(is_soa)?)));
        let (Some((apex, soa)), None) = (tops.next(), tops.next()) else {
            return Err("1: wanted exactly one SOA record".to_owned());
        };
        let (apex, soa) = (apex.clone(), soa.clone());
        match reader.records.keys().find(|name| !name.is_in(&apex)) {
            Some(outside) => Err(format!("1: '{outside}' is not below '{apex}'")),
            None => Ok(Self { apex, soa, records: reader.records }),
        }
    }

    /// The records of a name.
    pub fn records(&self, name: &Name) -> &[Record] {
        self.records.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a name is there: it has records, or a name below it has.
    pub fn has(&self, name: &Name) -> bool {
        self.records.contains_key(name) || self.records.keys().any(|below| below.is_in(name))
    }
}

/// What stands on a line, or between parentheses.
struct Entry {
    line: usize,
    /// It starts with a space: its owner is that of the entry before.
    is_continued: bool,
    tokens: Vec<Token>,
}

/// A word, or a text in quotes.
struct Token {
    text: String,
    is_quoted: bool,
}

/// Cuts a file into entries.
fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut is_open = false;
    for (line, content) in (1..).zip(text.lines()) {
        if !is_open {
            entries.push(Entry { line, is_continued: content.starts_with([' ', '\t']), tokens: Vec::new() });
        }
        let Some(Entry { tokens, .. }) = entries.last_mut() else { continue };
        let mut rest = content.trim_start();
        while let Some(first) = rest.chars().next() {
            rest = match first {
                ';' => "",
                '(' | ')' => {
                    is_open = first == '(';
                    &rest[1..]
                }
                '"' => {
                    let (text, behind) = rest[1..].split_once('"').ok_or(format!("{line}: a quote is not closed"))?;
                    tokens.push(Token { text: text.to_owned(), is_quoted: true });
                    behind
                }
                _ => {
                    let end = rest.find([' ', '\t', ';', '(', ')', '"']).unwrap_or(rest.len());
                    let (word, behind) = rest.split_at(end);
                    tokens.push(Token { text: word.to_owned(), is_quoted: false });
                    behind
                }
            }
            .trim_start();
        }
    }
    match is_open {
        true => Err(format!("{}: a parenthesis is not closed", entries.last().map_or(1, |entry| entry.line))),
        false => Ok(entries),
    }
}

/// What the entries so far have set.
struct Reader {
    origin: Name,
    ttl: Option<u32>,
    owner: Option<Name>,
    records: BTreeMap<Name, Vec<Record>>,
}

impl Reader {
    fn entry(&mut self, tokens: &[Token], is_continued: bool) -> Result<(), String> {
        let mut words = tokens.iter().map(|token| token.text.as_str());
        match tokens.first() {
            None => return Ok(()),
            Some(first) if first.text.starts_with('$') => {
                let value = words.nth(1).ok_or(format!("{} without a value", first.text))?;
                match first.text.as_str() {
                    "$ORIGIN" => self.origin = self.name(value)?,
                    "$TTL" => self.ttl = Some(seconds(value)?),
                    other => return Err(format!("'{other}' is not understood")),
                }
                return Ok(());
            }
            Some(first) if !is_continued => {
                self.owner = Some(self.name(&first.text)?);
                words.next();
            }
            Some(_) => {}
        }
        let owner = self.owner.clone().ok_or("a record without an owner")?;
        let mut ttl = self.ttl;
        let kind = loop {
            match words.next().ok_or("a record without a type")? {
                "IN" => {}
                word if word.starts_with(|c: char| c.is_ascii_digit()) => ttl = Some(seconds(word)?),
                word => break word,
            }
        };
        let ttl = ttl.ok_or("a record without a time to live, and no $TTL above it")?;
        let values = &tokens[tokens.len() - words.count()..];
        let data = self.data(kind, values)?;
        self.records.entry(owner).or_default().push(Record { ttl, data });
        Ok(())
    }

    fn data(&self, kind: &str, values: &[Token]) -> Result<Data, String> {
        let words: Vec<&str> = values.iter().map(|token| token.text.as_str()).collect();
        let wrong = |what: &str| format!("'{}' is no {what}", words.first().unwrap_or(&""));
        Ok(match (kind, words.as_slice()) {
            ("A", [address]) => Data::A(address.parse().map_err(|_| wrong("IPv4 address"))?),
            ("AAAA", [address]) => Data::Aaaa(address.parse().map_err(|_| wrong("IPv6 address"))?),
            ("NS", [name]) => Data::Ns(self.name(name)?),
            ("CNAME", [name]) => Data::Cname(self.name(name)?),
            ("MX", [preference, name]) => {
                Data::Mx(preference.parse().map_err(|_| wrong("preference"))?, self.name(name)?)
            }
            ("TXT", [_, ..]) if values.iter().all(|value| value.is_quoted && value.text.len() <= 255) => {
                Data::Txt(values.iter().map(|value| value.text.as_bytes().to_vec()).collect())
            }
            ("TXT", _) => return Err("TXT wants texts of at most 255 bytes, in quotes".to_owned()),
            ("SOA", [server, mailbox, serial, times @ ..]) if times.len() == 4 => {
                let mut numbers = [serial.parse().map_err(|_| format!("'{serial}' is no serial number"))?, 0, 0, 0, 0];
                for (number, time) in numbers.iter_mut().skip(1).zip(times) {
                    *number = seconds(time)?;
                }
                Data::Soa(self.name(server)?, self.name(mailbox)?, numbers)
            }
            ("A" | "AAAA" | "NS" | "CNAME" | "MX" | "SOA", _) => {
                return Err(format!("{kind} with {} values", words.len()));
            }
            _ => return Err(format!("the type '{kind}' is not understood")),
        })
    }

    fn name(&self, text: &str) -> Result<Name, String> {
        Name::parse(text, &self.origin).ok_or_else(|| format!("'{text}' is no domain name"))
    }
}

/// A time in seconds, or with a unit: `1h`, `2w`.
fn seconds(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u32 = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => 0,
    };
    let seconds = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).filter(|_| unit > 0);
    seconds.ok_or_else(|| format!("'{text}' is no time"))
}
