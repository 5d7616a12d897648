//! The sections `[net]` and `[http]`: grants, addresses, and the numbers of the HTTP server.
//!
//! Each key is read for itself, because a target's layer may replace any of them; whether they fit together is seen when the layers
//! are one ([`NetLayer::addresses`]).

use super::merge;
use super::reader::{Entry, Reader, Value};
use super::sections::unknown;
use super::values::{self, Address, DHCP};
use crate::problem::Problem;
use anyhow::Result;
use mwasm_plan::net::{Buffers, Endpoint, Http, Instances, Ipv4, Ipv6, Listen, Net, Place};
use std::net::IpAddr;
use toml::de::DeValue;

const NET: &[&str] =
    &["listen", "connect", "address", "gateway", "dns", "hostname", "tap", "buffers", "endpoints", "link"];
const BUFFERS: &[&str] = &["receive", "send", "max-sockets"];
const HTTP: &[&str] = &[
    "port",
    "instances",
    "max-instances",
    "max-requests",
    "max-connections",
    "max-head",
    "max-body",
    "max-instructions",
    "receive-timeout",
    "send-timeout",
    "idle-timeout",
];

/// Least and largest buffer of a connection, in bytes: a few segments, and the largest window that TCP can tell (RFC 7323).
const BUFFER_BYTES: std::ops::RangeInclusive<u64> = 4 << 10..=1 << 30;
/// Most sockets at once.
const MAX_SOCKETS: u64 = 1 << 20;
/// Largest head of a request, in bytes: it is kept in memory as a whole.
const MAX_HEAD_BYTES: u64 = 1 << 20;
/// Least head of a request, in bytes: a request line and a `Host` field.
const MIN_HEAD_BYTES: u64 = 256;

/// What a layer says in `[net]`, but for its grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetLayer {
    /// How addresses are had.
    pub address: Option<Vec<Address>>,
    /// Routers, at most one of each family.
    pub gateway: Option<Vec<IpAddr>>,
    /// Name servers.
    pub dns: Option<Vec<IpAddr>>,
    /// What the machine calls itself.
    pub hostname: Option<String>,
    /// The TAP device of a desktop.
    pub tap: Option<String>,
    /// The largest window, in bytes.
    pub receive_bytes: Option<u32>,
    /// What is sent and not acknowledged, in bytes.
    pub send_bytes: Option<u32>,
    /// The most sockets at once.
    pub max_sockets: Option<u32>,
    /// Places that the app knows by name, each as `mwasm_plan::net::Place` reads it. To name one is to grant it.
    pub endpoints: Vec<(String, String)>,
    /// Ports whose frames the app may send and receive.
    pub link: Option<Vec<String>>,
}

/// What a layer says in `[http]`; see [`Http`] for the meanings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of plan::net::Http, each of which may be missing")]
pub struct HttpLayer {
    pub port: Option<u16>,
    pub instances: Option<Instances>,
    pub max_instances: Option<u32>,
    pub max_requests: Option<u32>,
    pub max_connections: Option<u32>,
    pub max_head_bytes: Option<u32>,
    pub max_body_bytes: Option<u64>,
    pub max_instructions: Option<u64>,
    pub receive_timeout_ms: Option<u32>,
    pub send_timeout_ms: Option<u32>,
    pub idle_timeout_ms: Option<u32>,
}

impl NetLayer {
    /// Lays `over` over `self`.
    pub(super) fn under(self, over: Self) -> Self {
        Self {
            address: over.address.or(self.address),
            gateway: over.gateway.or(self.gateway),
            dns: over.dns.or(self.dns),
            hostname: over.hostname.or(self.hostname),
            tap: over.tap.or(self.tap),
            receive_bytes: over.receive_bytes.or(self.receive_bytes),
            send_bytes: over.send_bytes.or(self.send_bytes),
            max_sockets: over.max_sockets.or(self.max_sockets),
            endpoints: merge(self.endpoints, over.endpoints),
            link: over.link.or(self.link),
        }
    }

    /// The set-up that the plan holds, with everything that is not said as it is by default.
    pub fn net(&self, (ipv4, ipv6): (Ipv4, Ipv6), http: Http) -> Net<'_> {
        let default = Buffers::default();
        Net {
            endpoints: self.places().map(|(name, place)| Endpoint { name, place }).collect(),
            ipv4,
            ipv6,
            dns: self.dns.clone().unwrap_or_default(),
            hostname: self.hostname.as_deref().unwrap_or_default(),
            tap: self.tap.as_deref().unwrap_or_default(),
            buffers: Buffers {
                receive_bytes: self.receive_bytes.unwrap_or(default.receive_bytes),
                send_bytes: self.send_bytes.unwrap_or(default.send_bytes),
                max_sockets: self.max_sockets.unwrap_or(default.max_sockets),
            },
            http,
        }
    }

    /// The endpoints, with the places that they stand for.
    pub fn places(&self) -> impl Iterator<Item = (&str, Place<'_>)> {
        self.endpoints.iter().filter_map(|(name, place)| Some((name.as_str(), Place::parse(place)?)))
    }

    /// How each family gets its addresses. One without an address of its own is configured by the network where `dhcp` is said, else
    /// it is off. Fails if a gateway goes with no address.
    pub fn addresses(&self) -> Result<(Ipv4, Ipv6)> {
        let addresses = self.address.as_deref().unwrap_or(&[Address::Dhcp]);
        let (mut ipv4, mut ipv6) = match addresses.contains(&Address::Dhcp) {
            true => (Ipv4::Dhcp, Ipv6::Auto),
            false => (Ipv4::Off, Ipv6::Off),
        };
        for address in addresses {
            match *address {
                Address::Dhcp => {}
                Address::Static(IpAddr::V4(address), prefix_bits) => {
                    ipv4 = Ipv4::Static { address, prefix_bits, gateway: None };
                }
                Address::Static(IpAddr::V6(address), prefix_bits) => {
                    ipv6 = Ipv6::Static { address, prefix_bits, gateway: None };
                }
            }
        }
        for router in self.gateway.iter().flatten() {
            match (router, &mut ipv4, &mut ipv6) {
                (IpAddr::V4(router), Ipv4::Static { gateway, .. }, _) => *gateway = Some(*router),
                (IpAddr::V6(router), _, Ipv6::Static { gateway, .. }) => *gateway = Some(*router),
                _ => {
                    let message = format!("the gateway {router} is for an address that the manifest does not give");
                    return Err(Problem::new(message)
                        .help(
                            "add an address of its kind (net.address = \"10.0.0.2/24\"), or leave the gateway to DHCP",
                        )
                        .into());
                }
            }
        }
        Ok((ipv4, ipv6))
    }
}

impl HttpLayer {
    /// Lays `over` over `self`.
    pub(super) fn under(self, over: Self) -> Self {
        Self {
            port: over.port.or(self.port),
            instances: over.instances.or(self.instances),
            max_instances: over.max_instances.or(self.max_instances),
            max_requests: over.max_requests.or(self.max_requests),
            max_connections: over.max_connections.or(self.max_connections),
            max_head_bytes: over.max_head_bytes.or(self.max_head_bytes),
            max_body_bytes: over.max_body_bytes.or(self.max_body_bytes),
            max_instructions: over.max_instructions.or(self.max_instructions),
            receive_timeout_ms: over.receive_timeout_ms.or(self.receive_timeout_ms),
            send_timeout_ms: over.send_timeout_ms.or(self.send_timeout_ms),
            idle_timeout_ms: over.idle_timeout_ms.or(self.idle_timeout_ms),
        }
    }

    /// The server's settings for an app that is served at `port`, with everything that is not said as it is by default.
    pub fn http(&self, port: u16) -> Http {
        let default = Http::default();
        Http {
            port,
            instances: self.instances.unwrap_or(default.instances),
            max_instances: self.max_instances.unwrap_or(default.max_instances),
            max_requests: self.max_requests.unwrap_or(default.max_requests),
            max_connections: self.max_connections.unwrap_or(default.max_connections),
            max_head_bytes: self.max_head_bytes.unwrap_or(default.max_head_bytes),
            max_body_bytes: self.max_body_bytes.unwrap_or(default.max_body_bytes),
            max_instructions: self.max_instructions.unwrap_or(default.max_instructions),
            receive_timeout_ms: self.receive_timeout_ms.unwrap_or(default.receive_timeout_ms),
            send_timeout_ms: self.send_timeout_ms.unwrap_or(default.send_timeout_ms),
            idle_timeout_ms: self.idle_timeout_ms.unwrap_or(default.idle_timeout_ms),
        }
    }
}

/// Reads a key of `[net]`.
pub(super) fn net<'t>(reader: &Reader<'t>, entry: &Entry<'_, 't>, layer: &mut super::Layer) -> Result<()> {
    let (key, value) = (entry.key, entry.value);
    let text = |wanted: &str, check: fn(&str) -> bool| {
        let text = reader.text(value, key)?;
        if check(&text) { Ok(text) } else { Err(anyhow::Error::from(reader.wanted(value, key, wanted))) }
    };
    match key {
        "listen" => layer.listen = Some(list(reader, entry, Listen::WANTED, Listen::parse)?),
        "connect" => {
            let check = |text: &str| values::connect(text).is_ok().then(|| text.to_owned());
            layer.connect = Some(list(reader, entry, mwasm_plan::net::Connect::WANTED, check)?);
        }
        "address" => {
            let found: Vec<Address> = list(reader, entry, Address::WANTED, Address::parse)?;
            let families = [IpAddr::is_ipv4, IpAddr::is_ipv6].map(|is| found.iter().filter(|a| a.is(is)).count());
            if found.is_empty() || families.iter().any(|count| *count > 1) {
                let wanted = format!("at least one address, and at most one of each family, or {DHCP:?}");
                return Err(reader.problem(value.span(), format!("'address' must be {wanted}"), "these").into());
            }
            layer.net.address = Some(found);
        }
        "gateway" => layer.net.gateway = Some(list(reader, entry, values::IP, values::ip)?),
        "dns" => layer.net.dns = Some(list(reader, entry, values::IP, values::ip)?),
        "hostname" => layer.net.hostname = Some(text("a name of letters, digits and '-'", values::is_host_name)?),
        "tap" => layer.net.tap = Some(text(values::DEVICE, values::is_device_name)?),
        "link" => {
            let name = |text: &str| values::is_device_name(text).then(|| text.to_owned());
            layer.net.link = Some(list(reader, entry, "the name of a port of the machine, such as \"eth0\"", name)?);
        }
        "endpoints" => {
            for entry in reader.entries(value, key)? {
                let place = reader.text(entry.value, entry.key)?;
                if Place::parse(&place).is_none() {
                    return Err(reader.wanted(entry.value, entry.key, Place::WANTED).into());
                }
                layer.net.endpoints.push((entry.key.to_owned(), place));
            }
        }
        "buffers" => {
            for entry in reader.entries(value, key)? {
                buffers(reader, &entry, &mut layer.net)?;
            }
        }
        _ => return Err(unknown(reader, entry, "key", "net.", NET)),
    }
    Ok(())
}

fn buffers<'t>(reader: &Reader<'t>, entry: &Entry<'_, 't>, layer: &mut NetLayer) -> Result<()> {
    let size = || Ok::<_, anyhow::Error>(Some(u32::try_from(size(reader, entry, BUFFER_BYTES)?)?));
    match entry.key {
        "receive" => layer.receive_bytes = size()?,
        "send" => layer.send_bytes = size()?,
        "max-sockets" => layer.max_sockets = Some(count(reader, entry, MAX_SOCKETS)?),
        _ => return Err(unknown(reader, entry, "key", "net.buffers.", BUFFERS)),
    }
    Ok(())
}

/// Reads a key of `[http]`.
pub(super) fn http<'t>(reader: &Reader<'t>, entry: &Entry<'_, 't>, layer: &mut super::Layer) -> Result<()> {
    let http = &mut layer.http;
    let count = || count(reader, entry, u64::from(u32::MAX)).map(Some);
    match entry.key {
        "port" => http.port = Some(u16::try_from(number(reader, entry, "a port from 1 to 65535", 1..=65_535)?)?),
        "instances" => {
            http.instances = Some(match entry.value.get_ref().as_str() {
                Some("shared") => Instances::Shared,
                Some("pooled") => Instances::Pooled,
                Some("fresh") => Instances::Fresh,
                _ => return Err(reader.wanted(entry.value, entry.key, "\"shared\", \"pooled\" or \"fresh\"").into()),
            });
        }
        "max-instances" => http.max_instances = count()?,
        "max-requests" => http.max_requests = count()?,
        "max-connections" => http.max_connections = count()?,
        "max-head" => {
            http.max_head_bytes = Some(u32::try_from(size(reader, entry, MIN_HEAD_BYTES..=MAX_HEAD_BYTES)?)?);
        }
        "max-body" => http.max_body_bytes = Some(size(reader, entry, 0..=u64::MAX)?),
        "max-instructions" => {
            let most = i64::MAX.unsigned_abs();
            http.max_instructions = Some(number(reader, entry, &format!("a number from 1 to {most}"), 1..=most)?);
        }
        "receive-timeout" => http.receive_timeout_ms = Some(duration(reader, entry)?),
        "send-timeout" => http.send_timeout_ms = Some(duration(reader, entry)?),
        "idle-timeout" => http.idle_timeout_ms = Some(duration(reader, entry)?),
        _ => return Err(unknown(reader, entry, "key", "http.", HTTP)),
    }
    Ok(())
}

/// A text or a list of texts, each read by `parse`.
fn list<'t, V>(
    reader: &Reader<'t>,
    entry: &Entry<'_, 't>,
    wanted: &str,
    parse: impl Fn(&str) -> Option<V>,
) -> Result<Vec<V>> {
    let one = |text: String, item: &Value<'t>| {
        parse(&text).ok_or_else(|| anyhow::Error::from(reader.wanted(item, entry.key, wanted)))
    };
    match entry.value.get_ref() {
        DeValue::String(text) if !matches!(entry.key, "listen" | "connect") => {
            Ok(vec![one(text.clone().into_owned(), entry.value)?])
        }
        _ => reader.texts(entry.value, entry.key)?.into_iter().map(|(text, item)| one(text, item)).collect(),
    }
}

fn number(
    reader: &Reader<'_>,
    entry: &Entry<'_, '_>,
    wanted: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64> {
    let number = match entry.value.get_ref() {
        DeValue::Integer(number) => number.to_string().parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| range.contains(number));
    number.ok_or_else(|| reader.wanted(entry.value, entry.key, wanted).into())
}

fn count(reader: &Reader<'_>, entry: &Entry<'_, '_>, most: u64) -> Result<u32> {
    Ok(u32::try_from(number(reader, entry, &format!("a number from 1 to {most}"), 1..=most)?)?)
}

/// A number of bytes, or a text such as `64KiB`.
fn size(reader: &Reader<'_>, entry: &Entry<'_, '_>, range: std::ops::RangeInclusive<u64>) -> Result<u64> {
    let size = match entry.value.get_ref() {
        DeValue::String(text) => values::size(text),
        DeValue::Integer(number) => number.to_string().parse().ok(),
        _ => None,
    };
    let wanted = || match *range.end() {
        u64::MAX => "a size such as \"64KiB\"".to_owned(),
        most => format!("a size such as \"64KiB\", from {} to {most} bytes", range.start()),
    };
    size.filter(|size| range.contains(size)).ok_or_else(|| reader.wanted(entry.value, entry.key, &wanted()).into())
}

/// A time in milliseconds.
fn duration(reader: &Reader<'_>, entry: &Entry<'_, '_>) -> Result<u32> {
    let found = entry.value.get_ref().as_str().and_then(values::duration_ms);
    found.ok_or_else(|| reader.wanted(entry.value, entry.key, "a time such as \"30s\", \"500ms\" or \"2min\"").into())
}
