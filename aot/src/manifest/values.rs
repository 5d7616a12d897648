//! Checks of single values, shared by the manifest and the command line. Each says what it wanted.

/// Bytes in a mebibyte.
pub const MEBIBYTE: u64 = 1 << 20;

/// A port to listen on: `tcp:PORT` or `udp:PORT`.
pub fn listen(grant: &str) -> Result<(), &'static str> {
    let wanted = "tcp:PORT or udp:PORT, with a port from 1 to 65535";
    let (protocol, port) = grant.split_once(':').ok_or(wanted)?;
    if is_protocol(protocol) && is_port(port) { Ok(()) } else { Err(wanted) }
}

/// A peer to connect to: `tcp:HOST:PORT` or `udp:HOST:PORT`; an IPv6 address stands in brackets.
pub fn connect(grant: &str) -> Result<(), &'static str> {
    let wanted = "tcp:HOST:PORT or udp:HOST:PORT, with a port from 1 to 65535 (an IPv6 address in brackets)";
    let (protocol, peer) = grant.split_once(':').ok_or(wanted)?;
    let (host, port) = peer.rsplit_once(':').ok_or(wanted)?;
    let host_is_fine = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*'))
        }
    };
    if is_protocol(protocol) && host_is_fine && is_port(port) { Ok(()) } else { Err(wanted) }
}

fn is_protocol(name: &str) -> bool {
    matches!(name, "tcp" | "udp")
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn grants() {
        assert!(listen("tcp:80").is_ok() && listen("udp:65535").is_ok());
        for wrong in ["80", "tcp:", "tcp:0", "tcp:65536", "sctp:80", "tcp:+80", "tcp:80:80"] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
        for fine in ["tcp:imap.example.org:993", "udp:10.0.0.1:53", "tcp:[::1]:80"] {
            assert!(connect(fine).is_ok(), "{fine}");
        }
        for wrong in ["tcp:993", "tcp::993", "tcp:a b:1", "tcp:::1:80", "tcp:[x]:80", "tcp:host:0"] {
            assert!(connect(wrong).is_err(), "{wrong}");
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
