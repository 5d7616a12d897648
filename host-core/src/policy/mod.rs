//! The policy at run time: what of the network the app may reach.
//!
//! The plan names what is granted ([`mwasm_plan::net::Policy`]); every interface that touches the network asks here first, and what is
//! refused leaves no packet behind. Three questions have an answer that the plan alone does not give, so a little is remembered, and
//! all of it is bounded:
//!
//! * A grant that names a host is a grant of its addresses. They are known once the name was looked up ([`Policy::found`]).
//! * Whoever sends a datagram to a port that the app may listen on may be answered ([`Senders`]).
//! * A person is told once of each thing that was refused, and how to grant it.
//!
//! ```text
//!   wasi:sockets, wasi:http, mwasm:net --bind, listen, connect, lookup--> Policy --granted--> Network
//!                                                                           +------denied---> access-denied, a line on standard error
//! ```
//!
//! IPv4 addresses that are written as IPv6 addresses (`::ffff:10.0.0.1`) are the IPv4 addresses that they stand for.

mod senders;

pub use senders::Senders;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use mwasm_plan::net::{Connect, Host, Policy as Grants, Protocol};
use mwasm_ports::network::NetError;
use mwasm_ports::{Console, Output};
use spin::Mutex;

/// The most addresses of looked-up names that are remembered; the one that was found longest ago is forgotten first.
pub const MAX_FOUND: usize = 1024;
/// The most refusals that a person is told of.
pub const MAX_TOLD: usize = 64;

/// The policy of a running app. Shared by all that act for it, such as connections under way.
pub struct Policy {
    grants: Grants<'static>,
    /// Where refusals are told; `None`: nowhere.
    tell: Option<Arc<dyn Console>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Which grant an address was found for (its place in the plan's list); the newest at the front.
    found: VecDeque<(usize, IpAddr)>,
    /// What a person was told.
    told: Vec<String>,
}

impl Policy {
    /// What the plan grants. Refusals are told on the error output of `tell`.
    pub fn new(grants: Grants<'static>, tell: Option<Arc<dyn Console>>) -> Self {
        Self { grants, tell, memory: Mutex::default() }
    }

    /// Whether a socket may have a local address. Port 0, any that is free, is for those that may connect to something, or use the
    /// loopback address.
    pub fn bind(&self, protocol: Protocol, local: SocketAddr) -> Result<(), NetError> {
        if local.port() != 0 {
            return self.listen(protocol, local);
        }
        let connects = self.grants.connect.iter().any(|grant| grant.protocol == protocol);
        if connects || self.grants.loopback || self.grants.listen.iter().any(|grant| grant.protocol == protocol) {
            return Ok(());
        }
        self.refuse(&|| {
            format!("the app may not use {protocol}: grant it with --connect {protocol}:HOST:PORT or [net] connect")
        })
    }

    /// Whether connections or datagrams of anybody may be taken in at a local address.
    pub fn listen(&self, protocol: Protocol, local: SocketAddr) -> Result<(), NetError> {
        if self.may_listen(protocol, local) {
            return Ok(());
        }
        self.refuse(&|| match local.port() {
            0 => format!(
                "the app may not listen on a {protocol} port of the machine's choice: it must name one that is granted with --listen {protocol}:PORT or [net] listen"
            ),
            port => format!(
                "the app may not listen on {protocol}:{port}: grant it with --listen {protocol}:{port} or [net] listen"
            ),
        })
    }

    /// As [`Policy::listen`], without a word.
    pub fn may_listen(&self, protocol: Protocol, local: SocketAddr) -> bool {
        let granted = |grant: &mwasm_plan::net::Listen| grant.protocol == protocol && grant.port == local.port();
        (self.grants.loopback && local.ip().to_canonical().is_loopback()) || self.grants.listen.iter().any(granted)
    }

    /// Whether the app may connect or send to an address.
    pub fn connect(&self, protocol: Protocol, remote: SocketAddr) -> Result<(), NetError> {
        if self.may_connect(protocol, remote) {
            return Ok(());
        }
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        self.refuse(&|| {
            format!("the app may not connect to {protocol}:{remote}: grant it with --connect {protocol}:{remote} or [net] connect")
        })
    }

    /// As [`Policy::connect`], without a word.
    pub fn may_connect(&self, protocol: Protocol, remote: SocketAddr) -> bool {
        let ip = remote.ip().to_canonical();
        if self.grants.loopback && ip.is_loopback() {
            return true;
        }
        let memory = self.memory.lock();
        self.grants.connect.iter().enumerate().any(|(at, grant)| {
            covers(grant, protocol, remote.port())
                && match grant.host {
                    Host::Any => true,
                    Host::Address { address, prefix_bits } => in_prefix(ip, address, prefix_bits),
                    Host::Name(_) | Host::Below(_) => memory.found.contains(&(at, ip)),
                }
        })
    }

    /// Whether a name may be looked up. `name` is in lower case, without a dot at its end.
    pub fn lookup(&self, name: &str) -> Result<(), NetError> {
        if self.grants.connect.iter().any(|grant| matches!(grant.host, Host::Any) || is_called(grant, name)) {
            return Ok(());
        }
        self.refuse(&|| {
            format!("the app may not look up {name}: grant it with --connect tcp:{name}:PORT or [net] connect")
        })
    }

    /// Whether the app may send and receive frames of a port.
    pub fn link(&self, port: &str) -> bool {
        let granted: Result<(), NetError> = match self.may_link(port) {
            true => Ok(()),
            false => self.refuse(&|| format!("the app may not use the port {port}: grant it with [net] link")),
        };
        granted.is_ok()
    }

    /// As [`Policy::link`], without a word.
    pub fn may_link(&self, port: &str) -> bool {
        self.grants.links().any(|granted| granted == port)
    }

    /// Remembers the addresses that a name has: what is granted by that name, is granted at these.
    pub fn found(&self, name: &str, addresses: &[IpAddr]) {
        let memory = &mut *self.memory.lock();
        let named = self.grants.connect.iter().enumerate().filter(|(_, grant)| is_called(grant, name));
        for (at, _) in named {
            for address in addresses {
                let entry = (at, address.to_canonical());
                memory.found.retain(|known| *known != entry);
                memory.found.push_front(entry);
            }
        }
        memory.found.truncate(MAX_FOUND);
    }

    /// Refuses, and tells a person who has not been told yet.
    fn refuse<T>(&self, hint: &dyn Fn() -> String) -> Result<T, NetError> {
        if let Some(console) = &self.tell {
            let told = &mut self.memory.lock().told;
            let hint = hint();
            if told.len() < MAX_TOLD && !told.contains(&hint) {
                say(&**console, &format!("mwasm: {hint} in mwasm.toml\n"));
                told.push(hint);
            }
        }
        Err(NetError::AccessDenied)
    }
}

/// Writes what the console takes now. Nobody waits for the rest: it is a hint.
fn say(console: &dyn Console, text: &str) {
    let mut rest = text.as_bytes();
    while let Ok(taken @ 1..) = console.write(Output::Err, rest) {
        rest = rest.get(taken..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
    }
}

fn covers(grant: &Connect<'_>, protocol: Protocol, port: u16) -> bool {
    grant.protocol == protocol && grant.port.is_none_or(|granted| granted == port)
}

/// Whether a grant is one of a name, and of this one.
fn is_called(grant: &Connect<'_>, name: &str) -> bool {
    match grant.host {
        Host::Name(granted) => granted == name,
        Host::Below(above) => name.strip_suffix(above).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        Host::Any | Host::Address { .. } => false,
    }
}

/// Whether the first `bits` of both addresses are the same. `ip` is canonical; the prefix may be one of mapped addresses.
fn in_prefix(ip: IpAddr, prefix: IpAddr, bits: u8) -> bool {
    let (prefix, bits) = match (prefix, prefix.to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(mapped)) if bits >= 96 => (IpAddr::V4(mapped), bits - 96),
        _ => (prefix, bits),
    };
    match (ip, prefix) {
        (IpAddr::V4(ip), IpAddr::V4(prefix)) => {
            let differing = ip.to_bits() ^ prefix.to_bits();
            differing.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(ip), IpAddr::V6(prefix)) => (ip.to_bits() ^ prefix.to_bits()).leading_zeros() >= u32::from(bits),
        _ => false,
    }
}

/// A host's name as the policy and the resolver have it: in lower case, without a dot at its end. `None`: it cannot be one (RFC 1035,
/// section 2.3.1; underscores are let through, since names with them are in use).
pub fn canonical_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let is_name = name.len() <= mwasm_plan::net::MAX_HOST_BYTES && name.split('.').all(is_label);
    is_name.then(|| name.to_string().to_ascii_lowercase())
}

/// Longest part between two dots of a name, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

#[cfg(test)]
mod tests;
