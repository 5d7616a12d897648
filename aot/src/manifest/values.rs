//! Checks of single values, shared by the manifest and the command line. Each says what it wanted.

use mwasm_plan::net::{Connect, Listen};
use std::net::IpAddr;

/// Bytes in a mebibyte.
pub const MEBIBYTE: u64 = 1 << 20;

/// A port to listen on.
pub fn listen(grant: &str) -> Result<Listen, &'static str> {
    Listen::parse(grant).ok_or(Listen::WANTED)
}

/// A peer to connect to.
pub fn connect(grant: &str) -> Result<(), &'static str> {
    Connect::parse(grant).map(drop).ok_or(Connect::WANTED)
}

/// The guest's path of an embedded directory.
pub fn guest_directory(path: &str) -> Result<(), &'static str> {
    let tree = mwasm_plan::Dir { guest: path, files: Vec::new() };
    mwasm_plan::check_tree(&tree).map_err(|_| "an absolute path in normal form, such as /site")
}

/// Whether a name can be that of an environment variable.
pub fn variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// A size such as `64MiB`, `1 GiB` or `65536`, in bytes. Units are powers of 1024, with and without the `i`.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => MEBIBYTE,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// How a machine gets an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// From the network: DHCP, router advertisements.
    Dhcp,
    /// This one, with the length of its network's prefix in bits.
    Static(IpAddr, u8),
}

/// How [`Address::Dhcp`] is written.
pub const DHCP: &str = "dhcp";

impl Address {
    /// What [`Address::parse`] wants.
    pub const WANTED: &str = "\"dhcp\" or an address with the length of its prefix, such as \"10.0.0.2/24\"";

    /// Reads `dhcp` or `10.0.0.2/24`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == DHCP {
            return Some(Self::Dhcp);
        }
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (IpAddr, u8) = (ip(address)?, bits.parse().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most && !address.is_unspecified() && !address.is_multicast()).then_some(Self::Static(address, bits))
    }

    /// Whether it is an address for which `is` holds.
    pub fn is(&self, is: fn(&IpAddr) -> bool) -> bool {
        matches!(self, Self::Static(address, _) if is(address))
    }
}

/// What [`ip`] wants.
pub const IP: &str = "an IP address";

/// An IP address.
pub fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Longest name of a machine, in bytes (RFC 1035, a label).
const MAX_LABEL_BYTES: usize = 63;

/// Whether a machine can call itself so.
pub fn is_host_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain && (1..=MAX_LABEL_BYTES).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

/// Longest name of a network device of Linux, in bytes (IFNAMSIZ without its final zero).
const MAX_DEVICE_BYTES: usize = 15;

/// What [`is_device_name`] wants.
pub const DEVICE: &str = "the name of a TAP device, such as \"tap0\"";

/// Whether Linux can call a network device so.
pub fn is_device_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b',' | b'%'));
    plain && (1..=MAX_DEVICE_BYTES).contains(&name.len()) && name != "." && name != ".."
}

/// A time such as `30s`, `500ms` or `2min`, in milliseconds; at least one.
pub fn duration_ms(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor: u32 = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(factor).filter(|ms| *ms > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("dhcp"), Some(Address::Dhcp));
        assert_eq!(Address::parse("10.0.0.2/24"), Some(Address::Static([10, 0, 0, 2].into(), 24)));
        assert!(Address::parse("fd00::2/64").is_some_and(|address| address.is(IpAddr::is_ipv6)));
        for wrong in ["", "DHCP", "10.0.0.2", "10.0.0.2/33", "fd00::2/129", "0.0.0.0/0", "224.0.0.1/8", "a/8"] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names() {
        assert!(is_host_name("web-1") && !is_host_name("") && !is_host_name("-a") && !is_host_name("a.b"));
        assert!(is_device_name("tap0") && !is_device_name("") && !is_device_name("a,b") && !is_device_name(".."));
        assert!(is_device_name(&"t".repeat(15)) && !is_device_name(&"t".repeat(16)));
    }

    #[test]
    fn durations() {
        for (text, ms) in [("30s", 30_000), ("500ms", 500), ("2 min", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for wrong in ["", "30", "s", "0s", "1.5s", "-1s", "2 days", "99999999h"] {
            assert_eq!(duration_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size(" 1 G "), Some(1 << 30));
        assert_eq!(size("4096"), Some(4096));
        for wrong in ["", "MiB", "-1", "1.5G", "1TiB", "99999999999G"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn guest_paths() {
        assert!(guest_directory("/").is_ok() && guest_directory("/a/b").is_ok());
        for wrong in ["", "a", "/a/", "/../a", "//"] {
            assert!(guest_directory(wrong).is_err(), "{wrong}");
        }
    }
}
