//! From a query to a reply: the algorithm of RFC 1034, section 4.3.2, for zones that do not change.

use crate::message::{Query, Read, Reply, code};
use crate::name::Name;
use crate::zone::{Data, Record, Zone, kind};

/// The most CNAMEs that are followed one after the other.
const MAX_CNAMES: usize = 8;
const CLASS_IN: u16 = 1;
/// Types that ask for more than records: from here on (RFC 6895), but for [`ANY`].
const META_KINDS: std::ops::RangeInclusive<u16> = 128..=255;
const ANY: u16 = 255;

/// The reply to a message, if it gets one.
pub fn answer(zones: &[Zone], message: &[u8]) -> Option<Vec<u8>> {
    match Query::read(message) {
        Read::Nothing => None,
        Read::Error(reply) => Some(reply),
        Read::Query(query) => Some(reply(zones, &query).write(&query)),
    }
}

fn reply<'z>(zones: &'z [Zone], query: &Query) -> Reply<'z> {
    let failed = |code| Reply { code, ..Reply::default() };
    if query.is_later_edns() {
        return failed(code::BAD_VERSION);
    }
    if query.kind != ANY && META_KINDS.contains(&query.kind) {
        return failed(code::NOT_IMPLEMENTED);
    }
    // The zone whose name is longest: the first one that is met on the way up.
    let zone = query.name.and_above().find_map(|name| zones.iter().find(|zone| zone.apex == name));
    match zone {
        Some(zone) if query.class == CLASS_IN => in_zone(zone, query.name.clone(), query.kind),
        _ => failed(code::REFUSED),
    }
}

fn in_zone(zone: &Zone, mut name: Name, wanted: u16) -> Reply<'_> {
    let mut reply = Reply { is_authoritative: true, ..Reply::default() };
    for _ in 0..=MAX_CNAMES {
        if let Some((cut, servers)) = delegation(zone, &name) {
            // What was found on the way here is ours all the same.
            reply.is_authoritative = !reply.answers.is_empty();
            reply.authorities.extend(servers.map(|record| (cut.clone(), record)));
            break;
        }
        let records = zone.records(&name);
        let cname = records.iter().find(|record| record.data.kind() == kind::CNAME);
        if let (Some(record @ Record { data: Data::Cname(target), .. }), true) = (cname, wanted != kind::CNAME) {
            reply.answers.push((name, record));
            if wanted == ANY || !target.is_in(&zone.apex) {
                break;
            }
            name = target.clone();
            continue;
        }
        // Who asks for anything gets something (RFC 8482).
        let wanted = if wanted == ANY { records.first().map_or(ANY, |record| record.data.kind()) } else { wanted };
        let found = records.iter().filter(|record| record.data.kind() == wanted);
        let before = reply.answers.len();
        reply.answers.extend(found.map(|record| (name.clone(), record)));
        if reply.answers.len() == before {
            reply.code = if zone.has(&name) { code::NO_ERROR } else { code::NAME_ERROR };
            reply.authorities.push((zone.apex.clone(), &zone.soa));
        }
        break;
    }
    add_addresses(zone, &mut reply);
    reply
}

/// The highest name at or above `name`, and below the zone's top, that was given to other servers.
fn delegation<'z>(zone: &'z Zone, name: &Name) -> Option<(Name, impl Iterator<Item = &'z Record> + use<'z>)> {
    let servers = |name: &Name| zone.records(name).iter().filter(|record| record.data.kind() == kind::NS);
    let below = name.and_above().take_while(|above| *above != zone.apex);
    let cut = below.filter(|above| servers(above).next().is_some()).last()?;
    let found = servers(&cut);
    Some((cut, found))
}

/// Adds the addresses of servers that the reply names, as far as the zone has them.
fn add_addresses<'z>(zone: &'z Zone, reply: &mut Reply<'z>) {
    let named = reply.answers.iter().chain(&reply.authorities).filter_map(|(_, record)| match &record.data {
        Data::Ns(name) | Data::Mx(_, name) => Some(name),
        _ => None,
    });
    for name in named {
        let is_address = |record: &&Record| matches!(record.data, Data::A(_) | Data::Aaaa(_));
        reply.others.extend(zone.records(name).iter().filter(is_address).map(|record| (name.clone(), record)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> Vec<Zone> {
        vec![Zone::parse(include_str!("../zones/example.org.zone")).unwrap()]
    }

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let name = Name::parse(name, &Name::root()).unwrap();
        [&[1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name.wire(), &kind.to_be_bytes(), &[0, 1]].concat()
    }

    /// Code, authority, and the records of each section.
    fn asked(name: &str, kind: u16) -> (u8, bool, [Vec<String>; 3]) {
        let zones = zones();
        let Read::Query(query) = Query::read(&query(name, kind)) else { panic!("a query") };
        let reply = reply(&zones, &query);
        let text = |records: &[(Name, &Record)]| {
            records.iter().map(|(owner, record)| format!("{owner} {:?}", record.data)).collect()
        };
        (reply.code, reply.is_authoritative, [text(&reply.answers), text(&reply.authorities), text(&reply.others)])
    }

    #[test]
    fn what_is_there_is_found_and_aliases_are_followed() {
        let (code, is_ours, [answers, authorities, _]) = asked("ALIAS.example.org", kind::A);
        assert_eq!((code, is_ours, authorities.len()), (code::NO_ERROR, true, 0));
        assert_eq!(answers.len(), 3);
        assert_eq!(answers[2], "example.org. A(192.0.2.1)");
        let (.., [answers, _, others]) = asked("example.org", kind::MX);
        assert_eq!((answers.len(), others), (2, vec!["mail.example.org. A(192.0.2.25)".to_owned()]));
        assert_eq!(asked("outside.example.org", kind::A).2[0].len(), 1);
    }

    #[test]
    fn what_is_not_there_is_denied_by_the_soa() {
        for (name, kind, wanted) in [
            ("none.example.org", kind::A, code::NAME_ERROR),
            ("mail.example.org", kind::AAAA, code::NO_ERROR),
            ("deep.example.org", kind::A, code::NO_ERROR),
        ] {
            let (code, is_ours, [answers, authorities, _]) = asked(name, kind);
            assert_eq!((code, is_ours, answers.len()), (wanted, true, 0), "{name}");
            assert!(authorities[0].starts_with("example.org. Soa"), "{name}: {authorities:?}");
        }
        assert_eq!(asked("example.com", kind::A).0, code::REFUSED);
        assert_eq!(asked("example.org", 252).0, code::NOT_IMPLEMENTED);
    }

    #[test]
    fn a_part_that_was_given_away_is_named_with_its_server() {
        let (code, is_ours, [answers, authorities, others]) = asked("host.sub.example.org", kind::A);
        assert_eq!((code, is_ours, answers.len()), (code::NO_ERROR, false, 0));
        assert!(authorities[0].starts_with("sub.example.org. Ns"), "{authorities:?}");
        assert_eq!(others, ["ns.sub.example.org. A(192.0.2.153)"]);
    }

    #[test]
    fn edns_is_spoken_and_its_later_versions_are_refused() {
        let opt = |version| [&[0, 0, 41, 4, 208, 0, version], [0; 4].as_slice()].concat();
        let with = |version| {
            let mut message = [query("example.org", kind::TXT), opt(version)].concat();
            message[11] = 1;
            answer(&zones(), &message).unwrap()
        };
        let reply = with(0);
        assert_eq!((reply[3] & 0xf, reply[11]), (code::NO_ERROR, 1));
        let reply = with(1);
        assert_eq!((reply[3] & 0xf, reply[reply.len() - 6]), (0, 1), "BADVERS is 16");
    }

    /// Whatever comes, there is a reply within the limits or none, and no end of the server.
    #[test]
    fn bad_messages_do_no_harm() {
        let zones = zones();
        let good = query("www.example.org", kind::A);
        for cut in 0..good.len() {
            let _ = answer(&zones, &good[..cut]);
        }
        let mut seed = 1u32;
        for _ in 0..200_000 {
            let mut bad = good.clone();
            for _ in 0..4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % bad.len();
                bad[at] = (seed >> 24) as u8;
            }
            assert!(answer(&zones, &bad).is_none_or(|reply| (12..=1232).contains(&reply.len())));
        }
        let mut pointer = query("a", kind::A);
        pointer[12..14].copy_from_slice(&[0xc0, 12]);
        assert_eq!(answer(&zones, &pointer).unwrap()[3] & 0xf, code::FORMAT_ERROR, "a name that is its own end");
        let mut response = good;
        response[2] |= 0x80;
        assert_eq!(answer(&zones, &response), None);
    }

    #[test]
    fn mistakes_in_a_zone_have_a_line() {
        let soa = "$TTL 1h\n$ORIGIN a.\n@ SOA b c 1 2 3 4 5\n";
        for (text, wanted) in [
            ("x A 1.2.3", "4: '1.2.3' is no IPv4 address"),
            ("x A 1.2.3.4 5", "4: A with 2 values"),
            ("x SRV 1", "4: the type 'SRV' is not understood"),
            ("x TXT \"open", "4: a quote is not closed"),
            ("x MX (", "4: a parenthesis is not closed"),
            ("x. A 1.2.3.4", "1: 'x.' is not below 'a.'"),
            ("x SOA b c 1 2 3 4 5", "1: wanted exactly one SOA record"),
            ("x 1q A 1.2.3.4", "4: '1q' is no time"),
            ("$INCLUDE x", "4: '$INCLUDE' is not understood"),
        ] {
            let text = format!("{soa}{text}\n");
            assert_eq!(Zone::parse(&text).map(drop), Err(wanted.to_owned()), "{text}");
        }
    }
}
