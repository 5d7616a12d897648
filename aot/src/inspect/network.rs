//! The network in an inspection: what the image may reach, how it is set up, and how it is served.

use crate::network::Network;
use crate::target::Target;
use mwasm_plan::net::{Http, Instances, Ipv4, Ipv6};
use mwasm_plan::{Entry, Plan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What an app may reach; all else is refused.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// Ports that it may listen on.
    pub listen: Vec<String>,
    /// Peers that it may connect to.
    pub connect: Vec<String>,
    /// Whether it may use all that stays on the machine.
    pub loopback: bool,
    /// Ports whose frames it may send and receive.
    pub link: Vec<String>,
    /// Places that it knows by name: name and place.
    pub endpoints: BTreeMap<String, String>,
}

impl Policy {
    /// What a plan grants.
    pub fn of(plan: &Plan<'_>) -> Self {
        Self {
            listen: plan.policy.listen.iter().map(ToString::to_string).collect(),
            connect: plan.policy.connect.iter().map(ToString::to_string).collect(),
            loopback: plan.policy.loopback,
            link: plan.policy.links().map(str::to_owned).collect(),
            endpoints: plan.net.endpoints.iter().map(|e| (e.name.to_owned(), e.place.to_string())).collect(),
        }
    }
}

/// How the network of an image is set up.
#[derive(Clone, Debug, Serialize)]
pub struct SetUp {
    /// `sockets` (those of the operating system), `tap` or `card`. The rest is only heeded by the last two.
    pub device: &'static str,
    /// `dhcp`, `off`, or an address with the length of its prefix.
    pub ipv4: String,
    /// `auto`, `off`, or an address with the length of its prefix.
    pub ipv6: String,
    /// Routers of addresses that were given.
    pub gateways: Vec<IpAddr>,
    /// Name servers; if there are none, those that the network names.
    pub dns: Vec<IpAddr>,
    /// What the machine calls itself.
    pub hostname: String,
    /// The TAP device.
    pub tap: String,
    /// The largest TCP window, in bytes.
    pub receive_bytes: u32,
    /// What a connection has sent and not seen acknowledged, at most, in bytes.
    pub send_bytes: u32,
    /// The most sockets at once.
    pub max_sockets: u32,
}

impl SetUp {
    /// The set-up that a plan holds; `None` for an image without the network.
    pub fn of(plan: &Plan<'_>, target: Target) -> Option<Self> {
        if !Network::is_given(plan) {
            return None;
        }
        let net = &plan.net;
        let device = match target {
            Target::Desktop if net.tap.is_empty() => "sockets",
            Target::Desktop => "tap",
            Target::Xen | Target::Arm => "card",
        };
        let mut gateways: Vec<IpAddr> = Vec::new();
        let ipv4 = match net.ipv4 {
            Ipv4::Dhcp => "dhcp".to_owned(),
            Ipv4::Off => "off".to_owned(),
            Ipv4::Static { address, prefix_bits, gateway } => {
                gateways.extend(gateway.map(IpAddr::V4));
                format!("{address}/{prefix_bits}")
            }
        };
        let ipv6 = match net.ipv6 {
            Ipv6::Auto => "auto".to_owned(),
            Ipv6::Off => "off".to_owned(),
            Ipv6::Static { address, prefix_bits, gateway } => {
                gateways.extend(gateway.map(IpAddr::V6));
                format!("{address}/{prefix_bits}")
            }
        };
        Some(Self {
            device,
            ipv4,
            ipv6,
            gateways,
            dns: net.dns.clone(),
            hostname: net.hostname.to_owned(),
            tap: net.tap.to_owned(),
            receive_bytes: net.buffers.receive_bytes,
            send_bytes: net.buffers.send_bytes,
            max_sockets: net.buffers.max_sockets,
        })
    }

    /// In words.
    pub fn words(&self) -> String {
        let mut words = match self.device {
            "sockets" => return "sockets of the operating system".to_owned(),
            "tap" => format!("TAP device {}", self.tap),
            _ => "network card".to_owned(),
        };
        words += &format!(", IPv4 {}, IPv6 {}", self.ipv4, self.ipv6);
        let mut add = |name: &str, list: Vec<String>| {
            if !list.is_empty() {
                words += &format!(", {name} {}", list.join(" "));
            }
        };
        add("by way of", self.gateways.iter().map(ToString::to_string).collect());
        add("names from", self.dns.iter().map(ToString::to_string).collect());
        add("called", Some(self.hostname.clone()).filter(|name| !name.is_empty()).into_iter().collect());
        words
    }
}

/// How an app that is an HTTP handler is served.
#[derive(Clone, Debug, Serialize)]
pub struct Served {
    /// The TCP port.
    pub port: u16,
    /// Which instance a request runs in: `shared`, `pooled` or `fresh`.
    pub instances: &'static str,
    /// The most instances at once.
    pub max_instances: u32,
    /// The most requests at once.
    pub max_requests: u32,
    /// The most connections at once.
    pub max_connections: u32,
    /// The largest head of a request, in bytes.
    pub max_head_bytes: u32,
    /// The largest body of a request, in bytes.
    pub max_body_bytes: u64,
    /// The most WebAssembly instructions for a request; 0 for any number.
    pub max_instructions: u64,
    /// How long a request may take to come, in milliseconds.
    pub receive_timeout_ms: u32,
    /// How long an answer may not be taken, in milliseconds.
    pub send_timeout_ms: u32,
    /// How long an idle connection stays open, in milliseconds.
    pub idle_timeout_ms: u32,
}

impl Served {
    /// What a plan says of it; `None` for an app that is no handler.
    pub fn of(plan: &Plan<'_>) -> Option<Self> {
        let Http { port, instances, max_instances, max_requests, max_connections, .. } = plan.net.http;
        let Http {
            max_head_bytes,
            max_body_bytes,
            max_instructions,
            receive_timeout_ms,
            send_timeout_ms,
            idle_timeout_ms,
            ..
        } = plan.net.http;
        let instances = match (instances, plan.entry) {
            (Instances::Shared, _) | (Instances::Usual, Entry::Serve03(_)) => "shared",
            (Instances::Pooled, _) | (Instances::Usual, _) => "pooled",
            (Instances::Fresh, _) => "fresh",
        };
        matches!(plan.entry, Entry::Serve02(_) | Entry::Serve03(_)).then_some(Self {
            port,
            instances,
            max_instances,
            max_requests,
            max_connections,
            max_head_bytes,
            max_body_bytes,
            max_instructions,
            receive_timeout_ms,
            send_timeout_ms,
            idle_timeout_ms,
        })
    }

    /// In words.
    pub fn words(&self) -> String {
        let instances = match self.instances {
            "shared" => "one instance for all requests".to_owned(),
            "fresh" => format!("an instance for each request, at most {}", self.max_instances),
            _ => format!("a pool of at most {} instances", self.max_instances),
        };
        format!(
            "tcp:{}, {instances}, at most {} connections and {} requests",
            self.port, self.max_connections, self.max_requests
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_plan::net::Net;

    #[test]
    fn an_image_tells_its_network() {
        let ipv4 = Ipv4::Static { address: [10, 0, 0, 2].into(), prefix_bits: 24, gateway: Some([10, 0, 0, 1].into()) };
        let dns = vec![[10, 0, 0, 1].into()];
        let net = Net { ipv4, ipv6: Ipv6::Off, dns, hostname: "web", ..Net::default() };
        let plan = Plan { entry: Entry::Serve03("wasi:http/handler@0.3.0"), net, ..Plan::default() };
        let words = |target| SetUp::of(&plan, target).unwrap().words();
        let card = "network card, IPv4 10.0.0.2/24, IPv6 off, by way of 10.0.0.1, names from 10.0.0.1, called web";
        assert_eq!(words(Target::Xen), card);
        assert_eq!(words(Target::Desktop), "sockets of the operating system");
        let served = Served::of(&plan).unwrap();
        assert_eq!(served.instances, "shared");
        assert!(served.words().starts_with("tcp:80, one instance for all requests"), "{}", served.words());
        assert!(SetUp::of(&Plan::default(), Target::Xen).is_none() && Served::of(&Plan::default()).is_none());
    }
}
