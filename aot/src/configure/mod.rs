//! Stage 3, configure: what the manifest and the command line say becomes constants of the image.
//!
//! The command line goes before the manifest's part for the target, which goes before the manifest's base. The result is an owned
//! [`Settings`]; the plan that goes into the image borrows from it.

pub mod embed;

use crate::app::Surface;
use crate::manifest::net::NetLayer;
use crate::manifest::{Layer, merge};
use crate::problem::Problem;
use crate::report::{Report, Stage};
use crate::target::Target;
use anyhow::Result;
use embed::Tree;
use mwasm_plan::net::{Connect, Http, Instances, Ipv4, Ipv6, Listen, Place, Policy, Protocol};
use mwasm_plan::{Dir, Entry, Memory, Plan, Provenance};
use std::path::PathBuf;

/// What the command line says about an image, already checked by the command line's own rules.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Arguments after the program's name; none leaves the manifest's.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Values of `wasi:config/store`.
    pub set: Vec<(String, String)>,
    /// Directories to embed: the guest's path, and the directory here.
    pub embed: Vec<(String, PathBuf)>,
    /// Ports to listen on, beside the manifest's.
    pub listen: Vec<Listen>,
    /// Ports to listen on, each with a port of this machine that leads to it.
    pub publish: Vec<Listen>,
    /// Peers to connect to, beside the manifest's.
    pub connect: Vec<String>,
    /// Whether everything is granted that stays on the machine.
    pub loopback: bool,
    /// Whether an app that is served is so to this machine only: its port is no grant.
    pub serve_here_only: bool,
    /// The TAP device of a desktop, in place of the manifest's.
    pub tap: Option<String>,
    /// Whether the host tells what it does.
    pub verbose: bool,
    /// A call that takes the place of the app's entry, in WAVE.
    pub invoke: Option<String>,
}

/// What an image calls; owned form of [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Run02(String),
    Run03(String),
    Serve02(String),
    Serve03(String),
    Nothing,
}

/// The TCP port of an app that is served, where nothing is said: HTTP's own, but one that anybody may open on a desktop.
const fn default_http_port(target: Target) -> u16 {
    match target {
        Target::Desktop => 8080,
        Target::Xen | Target::Arm => 80,
    }
}

/// All constants of an image.
#[derive(Clone, Debug)]
pub struct Settings {
    name: String,
    start: Start,
    args: Vec<String>,
    env: Vec<(String, String)>,
    config: Vec<(String, String)>,
    trees: Vec<Tree>,
    memory: Memory,
    listen: Vec<Listen>,
    connect: Vec<String>,
    loopback: bool,
    /// As the plan has it.
    link: String,
    net: NetLayer,
    addresses: (Ipv4, Ipv6),
    http: Http,
    verbose: bool,
}

/// Puts together the manifest's part for the target, the flags, and what the app exports.
pub fn configure(name: &str, exports: &Surface, layer: Layer, flags: Flags, report: &mut Report) -> Result<Settings> {
    let args = if flags.args.is_empty() { layer.args.unwrap_or_default() } else { flags.args };
    let trees: Vec<Tree> = merge(layer.embed, flags.embed)
        .into_iter()
        .map(|(guest, directory)| embed::read(&guest, &directory))
        .collect::<Result<_>>()?;
    let default = Memory::default();
    let start = start(exports);
    let port = layer.http.port.unwrap_or_else(|| http_port(report.target, &flags.publish));
    let served = (start.is_served() && !flags.serve_here_only).then_some(Listen {
        protocol: Protocol::Tcp,
        port,
        host_port: port,
    });
    let granted = layer.listen.unwrap_or_default().into_iter().chain(flags.listen).chain(served).chain(flags.publish);
    let mut connect = union(layer.connect.unwrap_or_default(), flags.connect);
    let mut listening = Vec::new();
    for (_, place) in layer.net.places() {
        match place {
            Place::Listen(listen) => listening.push(listen),
            Place::Connect { .. } => connect = union(connect, vec![place.to_string()]),
        }
    }
    let mut http = layer.http.http(port);
    let answers_once = exports.answers_once() && http.instances == Instances::Usual;
    if answers_once {
        http.instances = Instances::Fresh;
    }
    if !start.is_served() {
        // Only a server counts instructions.
        http.max_instructions = 0;
    }
    let addresses = layer.net.addresses()?;
    // A TAP device stands for the network card of a machine; only the desktop has none of its own.
    let tap = flags.tap.or(layer.net.tap).filter(|_| report.target == Target::Desktop);
    let settings = Settings {
        name: name.to_owned(),
        start,
        args,
        env: merge(layer.env, flags.env),
        config: merge(layer.config, flags.set),
        trees,
        memory: Memory {
            heap_bytes: layer.heap_bytes.or(default.heap_bytes),
            stack_bytes: layer.stack_bytes.unwrap_or(default.stack_bytes),
            ..default
        },
        listen: ports(listening.into_iter().chain(granted)),
        connect,
        loopback: flags.loopback,
        link: layer.net.link.clone().unwrap_or_default().join(" "),
        addresses,
        net: NetLayer { tap, ..layer.net },
        http,
        verbose: flags.verbose || layer.verbose.unwrap_or_default(),
    };
    settings.check_link()?;
    let mut row = settings.row();
    if answers_once && settings.start.is_served() {
        row.notes.push("each request gets a new instance: those of this language's toolchain answer one".to_owned());
    }
    report.stage(row);
    Ok(settings)
}

/// A handler is served, whatever else the app exports.
fn start(exports: &Surface) -> Start {
    let exported = |name, minor| exports.exported(name, minor).map(str::to_owned);
    let serve = || {
        let later = exported("wasi:http/handler", "0.3").map(Start::Serve03);
        later.or_else(|| exported("wasi:http/incoming-handler", "0.2").map(Start::Serve02))
    };
    let run = || {
        let later = exported("wasi:cli/run", "0.3").map(Start::Run03);
        later.or_else(|| exported("wasi:cli/run", "0.2").map(Start::Run02))
    };
    serve().or_else(run).unwrap_or(Start::Nothing)
}

impl Start {
    fn is_served(&self) -> bool {
        matches!(self, Self::Serve02(_) | Self::Serve03(_))
    }
}

/// The port of an app that is served, where the manifest names none: the usual one, unless others are published and it is not.
fn http_port(target: Target, published: &[Listen]) -> u16 {
    let usual = default_http_port(target);
    let mut tcp = published.iter().filter(|listen| listen.protocol == Protocol::Tcp).map(|listen| listen.port);
    match tcp.clone().any(|port| port == usual) {
        true => usual,
        false => tcp.next().unwrap_or(usual),
    }
}

/// Each port once, in the order in which they came; what is said last of the machine's port for it counts.
fn ports(grants: impl Iterator<Item = Listen>) -> Vec<Listen> {
    let mut ports: Vec<Listen> = Vec::new();
    for grant in grants {
        match ports.iter_mut().find(|known| (known.protocol, known.port) == (grant.protocol, grant.port)) {
            Some(known) => known.host_port = grant.host_port,
            None => ports.push(grant),
        }
    }
    ports
}

/// The members of both, each once, in the order in which they came.
fn union(mut grants: Vec<String>, more: Vec<String>) -> Vec<String> {
    for grant in more {
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    grants
}

impl Settings {
    /// The plan that these settings make, for an image of this provenance.
    pub fn plan<'a>(&'a self, provenance: Provenance<'a>) -> Plan<'a> {
        Plan {
            name: &self.name,
            entry: match &self.start {
                Start::Run02(export) => Entry::Run02(export),
                Start::Run03(export) => Entry::Run03(export),
                Start::Serve02(export) => Entry::Serve02(export),
                Start::Serve03(export) => Entry::Serve03(export),
                Start::Nothing => Entry::None,
            },
            args: self.args.iter().map(String::as_str).collect(),
            env: borrow(&self.env),
            config: borrow(&self.config),
            dirs: self.trees.iter().map(Tree::dir).collect::<Vec<Dir<'a>>>(),
            memory: self.memory,
            policy: Policy {
                listen: self.listen.clone(),
                connect: self.connect.iter().filter_map(|grant| Connect::parse(grant)).collect(),
                loopback: self.loopback,
                link: &self.link,
            },
            net: self.net.net(self.addresses, self.http),
            network: &[],
            verbose: self.verbose,
            provenance,
        }
    }

    /// An app that is given frames has the card as a whole: no stack is there for anything else.
    fn check_link(&self) -> Result<()> {
        let has_sockets = !self.listen.is_empty() || !self.connect.is_empty() || self.start.is_served();
        if has_sockets && !self.link.is_empty() {
            let message = format!("the app is granted the frames of {}, and sockets beside them", self.link);
            let help = "frames take the network card as a whole: grant [net] link, or [net] listen and connect";
            return Err(Problem::new(message).help(help).into());
        }
        Ok(())
    }

    /// Whether the app's instructions are counted.
    pub fn is_metered(&self) -> bool {
        self.http.max_instructions > 0
    }

    fn row(&self) -> Stage {
        let files: usize = self.trees.iter().map(Tree::files).sum();
        let bytes: usize = self.trees.iter().map(Tree::bytes).sum();
        let mut stage = Stage::new("configure", 0, bytes);
        let mut count = |count: usize, one: &str, many: &str| {
            if count > 0 {
                stage.notes.push(format!("{count} {}", if count == 1 { one } else { many }));
            }
        };
        count(self.args.len(), "argument", "arguments");
        count(self.env.len(), "environment variable", "environment variables");
        count(self.config.len(), "configuration value", "configuration values");
        count(files, "embedded file", "embedded files");
        if self.start.is_served() {
            stage.notes.push(format!("the app is served at tcp:{}", self.http.port));
        }
        if self.start == Start::Nothing {
            stage.notes.push(
                "the app exports neither wasi:cli/run nor an HTTP handler: it is instantiated, and that is all"
                    .to_owned(),
            );
        }
        stage
    }
}

fn borrow(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Item;
    use crate::target::Arch;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn configured(layer: Layer, flags: Flags) -> Settings {
        configured_for(Target::Xen, &["wasi:cli/run@0.2.6"], layer, flags)
    }

    fn configured_for(target: Target, exports: &[&str], layer: Layer, flags: Flags) -> Settings {
        let item = |name: &&str| Item { name: (*name).to_owned(), kind: "instance" };
        let exports = Surface { imports: vec![], exports: exports.iter().map(item).collect(), processed_by: vec![] };
        configure("app", &exports, layer, flags, &mut Report::new(target, Arch::X86_64)).unwrap()
    }

    fn port(grant: &str) -> Listen {
        Listen::parse(grant).unwrap()
    }

    #[test]
    fn a_handler_is_served() {
        let serves = ["wasi:cli/run@0.2.6", "wasi:http/incoming-handler@0.2.3", "wasi:http/handler@0.3.0"];
        for (target, usual) in [(Target::Desktop, 8080), (Target::Xen, 80), (Target::Arm, 80)] {
            let settings = configured_for(target, &serves, Layer::default(), Flags::default());
            let plan = settings.plan(Provenance::default());
            assert_eq!(plan.entry, Entry::Serve03("wasi:http/handler@0.3.0"));
            assert_eq!((plan.net.http.port, plan.policy.listen), (usual, vec![port(&format!("tcp:{usual}"))]));
        }
        let settings = configured_for(Target::Xen, &serves[..2], Layer::default(), Flags::default());
        assert_eq!(settings.plan(Provenance::default()).entry, Entry::Serve02("wasi:http/incoming-handler@0.2.3"));
    }

    #[test]
    fn who_serves_this_machine_only_is_granted_no_port() {
        let flags = Flags { serve_here_only: true, ..Flags::default() };
        let settings = configured_for(Target::Desktop, &["wasi:http/handler@0.3.0"], Layer::default(), flags);
        let plan = settings.plan(Provenance::default());
        assert_eq!((plan.net.http.port, plan.policy.listen), (8080, vec![]));
    }

    #[test]
    fn the_port_of_a_handler_is_the_manifests_or_one_that_is_published() {
        let serves = ["wasi:http/handler@0.3.0"];
        let published = |host_port, grant| Listen { host_port, ..port(grant) };
        let http = |manifest: Option<u16>, publish: &[Listen]| {
            let mut layer = Layer::default();
            layer.http.port = manifest;
            let flags = Flags { publish: publish.to_vec(), ..Flags::default() };
            let settings = configured_for(Target::Desktop, &serves, layer, flags);
            let plan = settings.plan(Provenance::default());
            (plan.net.http.port, plan.policy.listen)
        };
        let one = published(9000, "tcp:80");
        assert_eq!(http(None, &[one]), (80, vec![one]));
        assert_eq!(http(Some(80), &[one]), (80, vec![one]));
        assert_eq!(http(Some(8000), &[one]), (8000, vec![port("tcp:8000"), one]));
        let udp = published(5353, "udp:53");
        assert_eq!(http(None, &[udp]), (8080, vec![port("tcp:8080"), udp]));
        let usual = published(9000, "tcp:8080");
        assert_eq!(http(None, &[one, usual]).0, 8080);
    }

    #[test]
    fn only_a_desktop_needs_a_tap_device() {
        for (target, tap) in [(Target::Desktop, "tap1"), (Target::Xen, "")] {
            let mut layer = Layer::default();
            layer.net.tap = Some("tap0".into());
            let flags = Flags { tap: Some("tap1".into()), ..Flags::default() };
            let settings = configured_for(target, &[], layer, flags);
            assert_eq!(settings.plan(Provenance::default()).net.tap, tap);
        }
    }

    /// There is one card, and it has one user.
    #[test]
    fn frames_are_granted_alone() {
        let link = |listen: &[&str], exports: &[&str]| {
            let mut layer = Layer { listen: Some(listen.iter().map(|l| port(l)).collect()), ..Layer::default() };
            layer.net.link = Some(vec!["eth0".into()]);
            let item = |name: &&str| Item { name: (*name).to_owned(), kind: "instance" };
            let exports = Surface { exports: exports.iter().map(item).collect(), ..Surface::default() };
            let report = &mut Report::new(Target::Xen, Arch::X86_64);
            let configured = configure("app", &exports, layer, Flags::default(), report);
            configured.map(|settings| settings.plan(Provenance::default()).policy.link.to_owned())
        };
        assert_eq!(link(&[], &[]).unwrap(), "eth0");
        for (listen, exports) in [(&["tcp:80"][..], &[][..]), (&[], &["wasi:http/handler@0.3.0"])] {
            let error = link(listen, exports).unwrap_err().to_string();
            assert!(error.contains("eth0"), "{error}");
        }
    }

    #[test]
    fn flags_go_before_the_manifest() {
        let layer = Layer {
            args: Some(vec!["manifest".into()]),
            env: vec![pair("A", "1"), pair("B", "2")],
            config: vec![pair("k", "v")],
            listen: Some(vec![port("tcp:80")]),
            ..Layer::default()
        };
        let flags = Flags {
            args: vec!["flag".into()],
            env: vec![pair("B", "3"), pair("C", "4")],
            set: vec![pair("k", "w")],
            listen: vec![port("tcp:80"), port("tcp:81")],
            ..Flags::default()
        };
        let settings = configured(layer.clone(), flags);
        let plan = settings.plan(Provenance::default());
        assert_eq!(plan.args, ["flag"]);
        assert_eq!(plan.env, [("A", "1"), ("B", "3"), ("C", "4")]);
        assert_eq!(plan.config, [("k", "w")]);
        let listen: Vec<_> = plan.policy.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["tcp:80", "tcp:81"]);
        assert_eq!(plan.entry, Entry::Run02("wasi:cli/run@0.2.6"));
        assert_eq!(configured(layer, Flags::default()).plan(Provenance::default()).args, ["manifest"]);
    }

    #[test]
    fn nothing_said_gives_the_defaults() {
        let settings = configured(Layer::default(), Flags::default());
        let plan = settings.plan(Provenance::default());
        assert_eq!(plan.memory, Memory::default());
        assert!(plan.policy.is_empty() && plan.dirs.is_empty());
    }
}
