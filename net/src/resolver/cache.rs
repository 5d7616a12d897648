//! What the resolver found out, for as long as it holds.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use mwasm_ports::NANOS_PER_SECOND;
use mwasm_ports::network::NetError;

/// The most names that are remembered; more than that, and the one goes that would be forgotten first.
const MAX_NAMES: usize = 256;
/// The most addresses that are remembered of a name.
const MAX_ADDRESSES: usize = 16;
/// How long an answer is remembered at least and at most, in seconds, whatever it says of itself.
const TTL_SECONDS: core::ops::RangeInclusive<u32> = 1..=3600;
/// How long it is remembered that a name does not exist, in seconds (RFC 2308 allows up to 3 h).
const NEGATIVE_SECONDS: u32 = 30;

/// What a name was resolved to.
pub(super) type Resolved = Result<Vec<IpAddr>, NetError>;

/// Names and what they were resolved to.
#[derive(Default)]
pub(super) struct Cache(BTreeMap<String, (Resolved, u64)>);

impl Cache {
    pub(super) fn get(&mut self, name: &str, now_ns: u64) -> Option<Resolved> {
        let (resolved, until_ns) = self.0.get(name)?;
        if *until_ns > now_ns {
            return Some(resolved.clone());
        }
        self.0.remove(name);
        None
    }

    /// Remembers `resolved` for `seconds`, or that there is no such name.
    pub(super) fn insert(&mut self, name: &str, resolved: &Resolved, seconds: u32, now_ns: u64) {
        let seconds = if resolved.is_err() { NEGATIVE_SECONDS } else { seconds };
        let until_ns = now_ns + u64::from(seconds.clamp(*TTL_SECONDS.start(), *TTL_SECONDS.end())) * NANOS_PER_SECOND;
        while self.0.len() >= MAX_NAMES && !self.0.contains_key(name) {
            let first = self.0.iter().min_by_key(|(_, (_, until_ns))| *until_ns).map(|(name, _)| name.clone());
            first.and_then(|name| self.0.remove(&name));
        }
        let mut resolved = resolved.clone();
        if let Ok(addresses) = &mut resolved {
            addresses.truncate(MAX_ADDRESSES);
        }
        self.0.insert(name.to_string(), (resolved, until_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn answers_hold_as_long_as_they_say_within_bounds() {
        let mut cache = Cache::default();
        let found = Ok(vec!["192.0.2.1".parse().unwrap()]);
        cache.insert("short", &found, 0, 0);
        cache.insert("long", &found, u32::MAX, 0);
        cache.insert("none", &Err(NetError::NameUnresolvable), 1000, 0);
        assert_eq!(cache.get("short", NANOS_PER_SECOND - 1), Some(found.clone()));
        assert_eq!(cache.get("short", NANOS_PER_SECOND), None);
        assert_eq!(cache.get("none", 29 * NANOS_PER_SECOND), Some(Err(NetError::NameUnresolvable)));
        assert_eq!(cache.get("none", 30 * NANOS_PER_SECOND), None);
        assert_eq!(cache.get("long", 3599 * NANOS_PER_SECOND), Some(found));
        assert_eq!(cache.get("long", 3600 * NANOS_PER_SECOND), None);
    }

    #[test]
    fn a_full_cache_forgets_what_ends_first() {
        let mut cache = Cache::default();
        let found = Ok(vec!["192.0.2.1".parse().unwrap()]);
        for number in 0..1000_u32 {
            cache.insert(&number.to_string(), &found, 2000 - number, 0);
        }
        assert_eq!(cache.0.len(), MAX_NAMES);
        assert!(cache.get("0", 1).is_some() && cache.get("998", 1).is_none() && cache.get("999", 1).is_some());
    }
}
