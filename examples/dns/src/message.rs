//! Messages (RFC 1035, section 4): a query is read, a reply is written. Nothing in a query is trusted.

use crate::name::Name;
use crate::zone::{Data, Record};
use std::collections::HashMap;

/// Codes of replies.
pub mod code {
    pub const NO_ERROR: u8 = 0;
    pub const FORMAT_ERROR: u8 = 1;
    pub const NAME_ERROR: u8 = 3;
    pub const NOT_IMPLEMENTED: u8 = 4;
    pub const REFUSED: u8 = 5;
    /// A version of EDNS that is not spoken here (RFC 6891); its upper bits are in the OPT record.
    pub const BAD_VERSION: u8 = 16;
}

const HEADER_BYTES: usize = 12;
const OPT: u16 = 41;
const CLASS_IN: u16 = 1;
/// The largest reply to who says nothing of sizes, and to who does: what passes every link unbroken.
const PLAIN_REPLY_BYTES: usize = 512;
const MAX_REPLY_BYTES: usize = 1232;

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    id: u16,
    /// The flags that a reply repeats: the kind of query, and whether recursion is desired.
    flags: u16,
    /// The question as it came: names are given back as they were written.
    question: Vec<u8>,
    /// The name that is asked for.
    pub name: Name,
    /// The type of record.
    pub kind: u16,
    /// The class.
    pub class: u16,
    /// EDNS: the largest reply, and the version.
    edns: Option<(usize, u8)>,
}

/// What came of reading a query.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// One that can be answered.
    Query(Query),
    /// One that is answered with an error: this message.
    Error(Vec<u8>),
    /// What is no query is not answered, lest two servers talk to each other for ever.
    Nothing,
}

impl Query {
    /// Reads a message.
    pub fn read(message: &[u8]) -> Read {
        let Some(header) = message.first_chunk::<HEADER_BYTES>() else { return Read::Nothing };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (id, flags) = (word(0), word(2));
        if flags & 0x8000 != 0 {
            return Read::Nothing;
        }
        let failed = |code: u8| {
            let mut reply = vec![0; HEADER_BYTES];
            reply[..2].copy_from_slice(&id.to_be_bytes());
            reply[2..4].copy_from_slice(&(0x8000 | flags & 0x7900 | u16::from(code)).to_be_bytes());
            Read::Error(reply)
        };
        if flags & 0x7800 != 0 {
            return failed(code::NOT_IMPLEMENTED);
        }
        match Self::body(message, id, flags & 0x0100, [word(4), word(6), word(8), word(10)]) {
            Some(query) => Read::Query(query),
            None => failed(code::FORMAT_ERROR),
        }
    }

    fn body(message: &[u8], id: u16, flags: u16, [questions, answers, authorities, others]: [u16; 4]) -> Option<Self> {
        if questions != 1 || answers != 0 || authorities != 0 {
            return None;
        }
        let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
        let (name, end) = Name::read(message, HEADER_BYTES)?;
        let (kind, class) = (word(end)?, word(end + 2)?);
        let question = message.get(HEADER_BYTES..end + 4)?.to_vec();
        // A question that points into itself or the header would point elsewhere in the reply.
        if end - HEADER_BYTES != name.wire().len() {
            return None;
        }
        let (mut at, mut edns) = (end + 4, None);
        for _ in 0..others {
            let (owner, end) = Name::read(message, at)?;
            if word(end)? == OPT {
                if edns.is_some() || owner != Name::root() {
                    return None;
                }
                let most = usize::from(word(end + 2)?).clamp(PLAIN_REPLY_BYTES, MAX_REPLY_BYTES);
                edns = Some((most, *message.get(end + 5)?));
            }
            at = end + 10 + usize::from(word(end + 8)?);
            message.get(..at)?;
        }
        Some(Self { id, flags, question, name, kind, class, edns })
    }

    /// Whether it speaks a later version of EDNS.
    pub fn is_later_edns(&self) -> bool {
        self.edns.is_some_and(|(_, version)| version > 0)
    }
}

/// A reply before it is written: records with their owners.
#[derive(Debug, Default)]
pub struct Reply<'z> {
    /// One of [`code`].
    pub code: u8,
    /// Whether the zone is ours, and not one that was given to others.
    pub is_authoritative: bool,
    /// What was asked for.
    pub answers: Vec<(Name, &'z Record)>,
    /// Who knows, or the zone's SOA for what is not there.
    pub authorities: Vec<(Name, &'z Record)>,
    /// Addresses of what the others name.
    pub others: Vec<(Name, &'z Record)>,
}

impl Reply<'_> {
    /// Writes the reply to a query. Where it is too large, the addresses that come along are left out; where that is not enough, all is,
    /// and the client is told to ask in another way.
    pub fn write(&self, query: &Query) -> Vec<u8> {
        let most = query.edns.map_or(PLAIN_REPLY_BYTES, |(most, _)| most);
        let sections = [&self.answers, &self.authorities, &self.others].map(Vec::as_slice);
        let [answers, authorities, others] = sections;
        for sections in [[answers, authorities, others], [answers, authorities, &[]]] {
            let message = self.write_sections(query, sections, false);
            if message.len() <= most {
                return message;
            }
        }
        self.write_sections(query, [&[], &[], &[]], true)
    }

    fn write_sections(&self, query: &Query, sections: [&[(Name, &Record)]; 3], is_cut: bool) -> Vec<u8> {
        let flags = 0x8000
            | query.flags
            | u16::from(self.is_authoritative) << 10
            | u16::from(is_cut) << 9
            | u16::from(self.code & 0xf);
        let mut writer = Writer { message: Vec::with_capacity(MAX_REPLY_BYTES), places: HashMap::new() };
        let [answers, authorities, others] = sections.map(|section| section.len() as u16);
        for word in [query.id, flags, 1, answers, authorities, others + u16::from(query.edns.is_some())] {
            writer.word(word);
        }
        writer.remember(&query.name, HEADER_BYTES);
        writer.message.extend(&query.question);
        for (owner, record) in sections.into_iter().flatten() {
            writer.record(owner, record);
        }
        if query.edns.is_some() {
            writer.message.push(0);
            writer.word(OPT);
            writer.word(MAX_REPLY_BYTES as u16);
            writer.message.extend([self.code >> 4, 0, 0, 0, 0, 0]);
        }
        writer.message
    }
}

/// A message as it grows, with the places of the names in it, to which later ones point.
struct Writer {
    message: Vec<u8>,
    places: HashMap<Name, u16>,
}

impl Writer {
    fn word(&mut self, word: u16) {
        self.message.extend(word.to_be_bytes());
    }

    /// Notes that a name stands at `at`, and with it all names above it.
    fn remember(&mut self, name: &Name, at: usize) {
        for above in name.and_above().filter(|above| *above != Name::root()) {
            let place = at + name.wire().len() - above.wire().len();
            // A pointer has 14 bits.
            if place < 1 << 14 {
                self.places.entry(above).or_insert(place as u16);
            }
        }
    }

    fn name(&mut self, name: &Name) {
        let at = self.message.len();
        let known = name.and_above().find_map(|above| Some((self.places.get(&above).copied()?, above)));
        match known {
            None => self.message.extend(name.wire()),
            Some((place, above)) => {
                let labels = name.wire().len() - above.wire().len();
                self.message.extend(&name.wire()[..labels]);
                self.word(0xc000 | place);
            }
        }
        self.remember(name, at);
    }

    fn record(&mut self, owner: &Name, record: &Record) {
        self.name(owner);
        self.word(record.data.kind());
        self.word(CLASS_IN);
        self.message.extend(record.ttl.to_be_bytes());
        let length_at = self.message.len();
        self.word(0);
        match &record.data {
            Data::A(address) => self.message.extend(address.octets()),
            Data::Aaaa(address) => self.message.extend(address.octets()),
            Data::Ns(name) | Data::Cname(name) => self.name(name),
            Data::Mx(preference, name) => {
                self.word(*preference);
                self.name(name);
            }
            Data::Txt(texts) => {
                for text in texts {
                    self.message.push(text.len() as u8);
                    self.message.extend(text);
                }
            }
            Data::Soa(server, mailbox, numbers) => {
                self.name(server);
                self.name(mailbox);
                self.message.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
            }
        }
        let length = (self.message.len() - length_at - 2) as u16;
        self.message[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }
}
