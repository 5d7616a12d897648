//! What the machine's files say of names: `/etc/hosts` (`hosts(5)`) and `/etc/resolv.conf` (`resolv.conf(5)`). They are read anew each
//! time, as they may change, and only so far as their size is bounded.

use crate::sys::{self, EINTR};
use alloc::vec::Vec;
use core::ffi::CStr;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

const HOSTS: &CStr = c"/etc/hosts";
const RESOLV_CONF: &CStr = c"/etc/resolv.conf";
/// So much of a file is read, in bytes.
const MAX_FILE_BYTES: usize = 1 << 20;
/// A file is read in pieces of this many bytes.
const PIECE_BYTES: usize = 4096;
/// The port of name servers.
const DNS_PORT: u16 = 53;
/// The most name servers that are asked, as in the C library (`MAXNS`).
const MAX_NAMESERVERS: usize = 3;

/// Addresses of a name in `/etc/hosts`.
pub fn hosts(name: &str) -> Vec<IpAddr> {
    find_name(&read(HOSTS), name)
}

/// Name servers in `/etc/resolv.conf`; if there are none, the machine itself.
pub fn nameservers() -> Vec<SocketAddr> {
    find_nameservers(&read(RESOLV_CONF))
}

/// The front of a file; nothing, if it cannot be read.
fn read(path: &CStr) -> Vec<u8> {
    let mut content = Vec::new();
    let Ok(fd) = sys::open(path, sys::O_RDONLY) else { return content };
    let mut piece = [0; PIECE_BYTES];
    while content.len() < MAX_FILE_BYTES {
        match sys::read(fd.raw(), &mut piece) {
            Err(EINTR) => {}
            Ok(0) | Err(_) => break,
            Ok(count) => content.extend(piece.iter().take(count)),
        }
    }
    content
}

/// The words of each line, without comments.
fn lines(content: &[u8]) -> impl Iterator<Item = core::str::SplitWhitespace<'_>> {
    let lines = content.split(|byte| *byte == b'\n').filter_map(|line| core::str::from_utf8(line).ok());
    lines.map(|line| line.split(['#', ';']).next().unwrap_or_default().split_whitespace())
}

/// Lines have an address and its names.
fn find_name(content: &[u8], name: &str) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut found = Vec::new();
    for mut words in lines(content) {
        let address = words.next().and_then(|word| word.parse().ok());
        if let Some(address) = address
            && words.any(|word| word.eq_ignore_ascii_case(name))
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Lines have a keyword and what belongs to it. A name server with a scope (`fe80::1%eth0`) is left out.
fn find_nameservers(content: &[u8]) -> Vec<SocketAddr> {
    let servers = lines(content).filter_map(|mut words| {
        let address: IpAddr = words.next().filter(|word| *word == "nameserver").and(words.next())?.parse().ok()?;
        Some(SocketAddr::new(address, DNS_PORT))
    });
    let mut servers: Vec<_> = servers.take(MAX_NAMESERVERS).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_of_the_hosts_file_are_found_in_any_case() {
        let content = b"127.0.0.1 localhost # of IPv4\n# 1.1.1.1 localhost\n::1\tlocalhost ip6-localhost\n\n\xff\n10.0.0.7 a.example A\n10.0.0.7 a";
        let found = |name| find_name(content, name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(found("LOCALHOST."), ["127.0.0.1", "::1"]);
        assert_eq!(found("a"), ["10.0.0.7"]);
        assert_eq!(found("IPv4"), [""; 0]);
        assert_eq!(found("1.1.1.1"), [""; 0]);
    }

    #[test]
    fn name_servers_are_read_and_the_machine_itself_is_the_last_resort() {
        let found = |content: &[u8]| find_nameservers(content).iter().map(ToString::to_string).collect::<Vec<_>>();
        let content = b"search example\nnameserver 9.9.9.9\n;nameserver 1.1.1.1\n nameserver ::1 #\nnameserver fe80::1%lo\nnameserver x\n";
        assert_eq!(found(content), ["9.9.9.9:53", "[::1]:53"]);
        assert_eq!(found(b""), ["127.0.0.1:53"]);
        assert_eq!(found(&b"nameserver 1.0.0.1\n".repeat(9)).len(), MAX_NAMESERVERS);
    }
}
