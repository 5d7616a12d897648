//! Questions to name servers and their answers (RFC 1035, section 4). What comes is hostile.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use smoltcp::wire::{DnsFlags, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData, DnsRepr};

/// Longest name, as text without the final dot, and longest label, in bytes (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = mwasm_plan::net::MAX_HOST_BYTES;
const MAX_LABEL_BYTES: usize = 63;
/// Bytes of the head of a message.
const HEADER_BYTES: usize = 12;
/// The most records of an answer that are looked at.
const MAX_RECORDS: usize = 64;
/// How often a name may turn out to be another's alias.
const MAX_ALIASES: usize = 8;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn query_type(self) -> DnsQueryType {
        match self {
            Self::V4 => DnsQueryType::A,
            Self::V6 => DnsQueryType::Aaaa,
        }
    }
}

/// The name as it is looked up: in lower case, without the final dot. `None`: no name can be like that.
pub(super) fn canonical(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let fits = |label: &str| {
        !label.is_empty() && label.len() <= MAX_LABEL_BYTES && label.bytes().all(|b| b.is_ascii_graphic())
    };
    (name.len() <= MAX_NAME_BYTES && name.split('.').all(fits)).then_some(name)
}

/// The question for the addresses of `name`, which is canonical.
pub(super) fn question(id: u16, name: &str, family: Family) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    let repr = DnsRepr {
        transaction_id: id,
        opcode: smoltcp::wire::DnsOpcode::Query,
        flags: DnsFlags::RECURSION_DESIRED,
        question: DnsQuestion { name: &wire, type_: family.query_type() },
    };
    let mut message = alloc::vec![0; repr.buffer_len()];
    repr.emit(&mut DnsPacket::new_unchecked(&mut message[..]));
    message
}

/// What a name server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Addresses of the name, and for how many seconds they hold.
    Addresses(Vec<IpAddr>, u32),
    /// It is an alias of another name, whose addresses must be asked for.
    Alias(String),
    /// There is no such name.
    NoName,
    /// The name has no such address.
    NoAddress,
    /// The answer was cut off before there was any of this.
    Truncated,
    /// The server has failed.
    Failed,
    /// The server does not want to.
    Refused,
}

/// Reads a message as the answer to a question; `None` if it is not the answer to that one.
pub(super) fn answer(message: &[u8], id: u16, name: &str, family: Family) -> Option<Answer> {
    let packet = DnsPacket::new_checked(message).ok()?;
    let (question_rest, question) = DnsQuestion::parse(message.get(HEADER_BYTES..)?).ok()?;
    let is_ours = packet.transaction_id() == id
        && packet.flags().contains(DnsFlags::RESPONSE)
        && packet.question_count() == 1
        && question.type_ == family.query_type()
        && text(&packet, question.name).as_deref() == Some(name);
    if !is_ours {
        return None;
    }
    match packet.rcode() {
        DnsRcode::NoError => {}
        DnsRcode::NXDomain => return Some(Answer::NoName),
        DnsRcode::Refused | DnsRcode::NotImp => return Some(Answer::Refused),
        _ => return Some(Answer::Failed),
    }
    let records = records(&packet, question_rest);
    let mut wanted = String::from(name);
    for _ in 0..MAX_ALIASES {
        let of_wanted = || records.iter().filter(|record| record.name == wanted);
        let addresses: Vec<(IpAddr, u32)> =
            of_wanted().filter_map(|record| Some((record.address?, record.ttl))).collect();
        if let Some(ttl) = addresses.iter().map(|(_, ttl)| *ttl).min() {
            return Some(Answer::Addresses(addresses.into_iter().map(|(address, _)| address).collect(), ttl));
        }
        match of_wanted().find_map(|record| record.alias.clone()) {
            Some(alias) => wanted = alias,
            None => break,
        }
    }
    Some(match wanted == name {
        _ if packet.flags().contains(DnsFlags::TRUNCATED) => Answer::Truncated,
        false => Answer::Alias(wanted),
        true => Answer::NoAddress,
    })
}

/// What is looked at of a record.
struct Found {
    name: String,
    ttl: u32,
    address: Option<IpAddr>,
    alias: Option<String>,
}

/// The records of an answer, up to the first that is broken.
fn records(packet: &DnsPacket<&[u8]>, mut rest: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    for _ in 0..usize::from(packet.answer_record_count()).min(MAX_RECORDS) {
        let Ok((after, record)) = DnsRecord::parse(rest) else { break };
        rest = after;
        let Some(name) = text(packet, record.name) else { break };
        let (address, alias) = match record.data {
            DnsRecordData::A(address) => (Some(IpAddr::V4(address)), None),
            DnsRecordData::Aaaa(address) => (Some(IpAddr::V6(address)), None),
            DnsRecordData::Cname(name) => (None, text(packet, name)),
            DnsRecordData::Other(..) => continue,
        };
        found.push(Found { name, ttl: record.ttl, address, alias });
    }
    found
}

/// A name in a message as text, in lower case.
fn text(packet: &DnsPacket<&[u8]>, name: &[u8]) -> Option<String> {
    let mut text = String::new();
    for label in packet.parse_name(name) {
        let label = core::str::from_utf8(label.ok()?).ok()?;
        // A dot inside a label would make it look like two.
        if label.contains('.') || text.len() + label.len() > MAX_NAME_BYTES {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.chars().map(|letter| letter.to_ascii_lowercase()));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    /// An answer to `question` with these flags and records.
    fn reply(question: &[u8], flags: u16, records: &[(&[u8], u16, u32, &[u8])]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (name, kind, ttl, data) in records {
            message.extend_from_slice(name);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1]);
            message.extend(ttl.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend_from_slice(data);
        }
        message
    }

    const ASKED: &[u8] = &[0xc0, 12];
    const ALIAS: &[u8] = b"\x05other\x07example\x00";
    const OK: u16 = 0x8180;

    #[test]
    fn addresses_of_a_name_and_of_its_alias() {
        let question = question(7, "www.example", Family::V4);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let direct = reply(&question, OK, &[(ASKED, 1, 60, &[192, 0, 2, 1])]);
        assert_eq!(answer(&direct, 7, "www.example", Family::V4), Some(Answer::Addresses(vec![one], 60)));
        let aliased = reply(&question, OK, &[(ASKED, 5, 30, ALIAS), (ALIAS, 1, 20, &[192, 0, 2, 1])]);
        assert_eq!(answer(&aliased, 7, "www.example", Family::V4), Some(Answer::Addresses(vec![one], 20)));
        let only_alias = reply(&question, OK, &[(ASKED, 5, 30, ALIAS)]);
        assert_eq!(answer(&only_alias, 7, "www.example", Family::V4), Some(Answer::Alias("other.example".to_string())));
        let unrelated = reply(&question, OK, &[(ALIAS, 1, 20, &[6, 6, 6, 6])]);
        assert_eq!(answer(&unrelated, 7, "www.example", Family::V4), Some(Answer::NoAddress));
    }

    #[test]
    fn answers_to_other_questions_are_none() {
        let question = question(7, "www.example", Family::V4);
        let right = reply(&question, OK, &[(ASKED, 1, 60, &[192, 0, 2, 1])]);
        assert_eq!(answer(&right, 8, "www.example", Family::V4), None);
        assert_eq!(answer(&right, 7, "www.example", Family::V6), None);
        assert_eq!(answer(&right, 7, "www.examples", Family::V4), None);
        assert_eq!(answer(&question, 7, "www.example", Family::V4), None, "a question is no answer");
    }

    #[test]
    fn loops_and_broken_records_end() {
        let question = question(7, "www.example", Family::V4);
        let endless = reply(&question, OK, &[(ASKED, 5, 30, ASKED)]);
        assert_eq!(answer(&endless, 7, "www.example", Family::V4), Some(Answer::NoAddress));
        let whole = reply(&question, OK, &[(ASKED, 5, 30, ALIAS), (ALIAS, 1, 20, &[192, 0, 2, 1])]);
        for cut in 0..whole.len() {
            answer(&whole[..cut], 7, "www.example", Family::V4);
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut broken = whole.clone();
                broken[at] ^= 1 << bit;
                answer(&broken, 7, "www.example", Family::V4);
            }
        }
        assert_eq!(answer(&reply(&question, 0x8183, &[]), 7, "www.example", Family::V4), Some(Answer::NoName));
        assert_eq!(answer(&reply(&question, 0x8380, &[]), 7, "www.example", Family::V4), Some(Answer::Truncated));
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(canonical("WWW.Example."), Some("www.example".to_string()));
        for wrong in ["", ".", "a..b", ".a", &"a".repeat(64), &"a.".repeat(128), "a b", "ü.example"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }
}
