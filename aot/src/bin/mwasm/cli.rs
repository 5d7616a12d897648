//! What can be typed. The names, the forms and the meanings are a contract that tests outside of this repository hold us to.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use mwasm_aot::configure::Flags;
use mwasm_aot::manifest::{self, values};
use mwasm_aot::target::{Arch, Target};
use mwasm_plan::net::Listen;
use std::path::PathBuf;

/// One program, every scale: WebAssembly apps as desktop programs, Xen virtual machines and bare-metal ARM images.
#[derive(Debug, Parser)]
#[command(name = "mwasm", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a project that builds and runs as it is
    New(New),
    /// Run an app, or an image
    Run(Run),
    /// Compile an app and fuse it with a host: one file that runs
    Aot(Aot),
    /// Show what an app or an image needs, may do, and is made of
    Inspect(Inspect),
    /// Say what is missing on this machine, and the command that mends it
    Doctor(Doctor),
    /// Print completions for a shell
    Completions(Completions),
}

/// `mwasm new`.
#[derive(Debug, Args)]
pub struct New {
    /// The project's name, and its directory
    pub name: String,
    /// The language that it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub lang: Language,
}

/// Languages that there are projects for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust.
    Rust,
    /// C.
    C,
    /// Python.
    Python,
    /// JavaScript.
    Js,
    /// Go.
    Go,
}

/// `mwasm run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The app, or an image that mwasm made; without it, the manifest's app
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Where to run: desktop is this process, xen and arm are machines in QEMU [default: desktop, or what the image is for]
    #[arg(long, value_parser = targets())]
    pub target: Option<Target>,
    /// What the app may do, and is given
    #[command(flatten)]
    pub grants: Grants,
    /// Let the app see a directory of this machine (on xen and arm: as it is now, for reading)
    #[arg(long = "dir", value_name = "HOST::GUEST", value_parser = mapping)]
    pub dirs: Vec<(String, PathBuf)>,
    /// Where mwasm:storage keeps its data
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub store: Option<PathBuf>,
    /// Call this export instead of the app's entry, such as 'add(1, 2)'
    #[arg(long, value_name = "EXPORT(ARGS)")]
    pub invoke: Option<String>,
    /// The manifest
    #[arg(short, long, value_name = "mwasm.toml", value_hint = ValueHint::FilePath)]
    pub manifest: Option<PathBuf>,
    /// Arguments of the app
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

impl Run {
    /// A flag that was given and that an image cannot heed.
    pub fn set_at_build_time(&self, target: Target) -> Option<&'static str> {
        // Ports and network cards of a machine are the machine's, not the image's.
        let is_program = target == Target::Desktop;
        let given = [
            ("--publish", is_program && !self.grants.publish.is_empty()),
            ("--net", is_program && self.grants.net.is_some()),
            ("--listen", !self.grants.listen.is_empty()),
            ("--connect", !self.grants.connect.is_empty()),
            ("--env", !self.grants.env.is_empty()),
            ("--dir", !self.dirs.is_empty()),
            ("--invoke", self.invoke.is_some()),
            ("--manifest", self.manifest.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// As flags of a build; directories are left to the caller.
    pub fn into_flags(self) -> Flags {
        let mut flags = self.grants.into_flags();
        flags.args = self.args;
        flags.invoke = self.invoke;
        flags
    }
}

/// `mwasm inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The app or the image
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Also write a page for the browser, with a map of where the bytes went
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// `mwasm doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `mwasm completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `mwasm aot`.
#[derive(Debug, Args)]
pub struct Aot {
    /// The app: a component, a WASI preview 1 module, or the text form of either; without it, the manifest's
    #[arg(value_name = "APP.wasm", value_hint = ValueHint::FilePath)]
    pub app: Option<PathBuf>,
    /// What the image is for
    #[arg(long, value_parser = targets())]
    pub target: Target,
    /// The instruction set [default: this machine's on the desktop, x86_64 on xen, aarch64 on arm]
    #[arg(long, value_parser = arches())]
    pub arch: Option<Arch>,
    /// Where the image goes [default: the app's name in this folder, with .xen or .arm for these targets]
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// The manifest
    #[arg(short, long, value_name = "mwasm.toml", value_hint = ValueHint::FilePath)]
    pub manifest: Option<PathBuf>,
    /// Set a configuration value
    #[arg(long, value_name = "K=V", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// Make a directory part of the image
    #[arg(long, value_name = "HOST::GUEST", value_parser = mapping)]
    pub embed: Vec<(String, PathBuf)>,
    /// What the app may do, and is given
    #[command(flatten)]
    pub grants: Grants,
    /// Let the host tell what it does, on the image's standard error
    #[arg(long)]
    pub verbose: bool,
    /// Call this export instead of the app's entry, such as 'add(1, 2)'
    #[arg(long, value_name = "EXPORT(ARGS)")]
    pub invoke: Option<String>,
    /// How to report the build; JSON goes to standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub report: Format,
    /// Arguments of the app, compiled in; a desktop image prefers those of its command line
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// What an app is given, in `run` and `aot` alike.
#[derive(Debug, Args)]
pub struct Grants {
    /// Reach a port of the app at a port of the machine that it runs on; also lets the app listen on it
    #[arg(short, long = "publish", value_name = "[udp:]HOST:GUEST", value_parser = publish)]
    pub publish: Vec<Listen>,
    /// Set an environment variable
    #[arg(long, value_name = "K=V", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// Let the app listen on a port
    #[arg(long, value_name = "tcp:PORT", value_parser = listen)]
    pub listen: Vec<Listen>,
    /// Let the app connect to a peer
    #[arg(long, value_name = "tcp:HOST:PORT", value_parser = connect)]
    pub connect: Vec<String>,
    /// Use mwasm's own network stack on a TAP device of this machine, instead of its sockets
    #[arg(long, value_name = "tap=NAME", value_parser = tap)]
    pub net: Option<String>,
}

impl Grants {
    /// As flags of a build.
    pub fn into_flags(self) -> Flags {
        Flags {
            env: self.env,
            publish: self.publish,
            listen: self.listen,
            connect: self.connect,
            tap: self.net,
            ..Flags::default()
        }
    }
}

/// Text for people, or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A screen of text.
    Text,
    /// One JSON object.
    Json,
}

fn targets() -> impl TypedValueParser<Value = Target> {
    PossibleValuesParser::new(Target::ALL.map(Target::name)).try_map(|name| name.parse().map_err(|()| "no target"))
}

fn arches() -> impl TypedValueParser<Value = Arch> {
    PossibleValuesParser::new(Arch::ALL.map(Arch::name)).try_map(|name| name.parse().map_err(|()| "no architecture"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("wanted NAME=VALUE".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = pair(text)?;
    match values::variable_name(&name) && !value.contains('\0') {
        true => Ok((name, value)),
        false => Err("wanted NAME=VALUE, without zero bytes".to_owned()),
    }
}

/// A directory here and the path that the guest sees it at.
fn mapping(text: &str) -> Result<(String, PathBuf), String> {
    let (host, guest) = text.split_once("::").ok_or("wanted HOST::GUEST, such as public::/site")?;
    if host.is_empty() {
        return Err("wanted HOST::GUEST, with a directory of this machine before the colons".to_owned());
    }
    values::guest_directory(guest).map_err(|wanted| format!("the guest's path must be {wanted}"))?;
    Ok((guest.to_owned(), PathBuf::from(host)))
}

/// A port of this machine and one of the app, with their protocol.
fn publish(text: &str) -> Result<Listen, String> {
    let wanted = || "wanted HOST:GUEST, two ports from 1 to 65535, such as 8080:80, or udp:HOST:GUEST".to_owned();
    let (protocol, ports) = match text.split_once(':') {
        Some((protocol @ ("tcp" | "udp"), ports)) => (protocol, ports),
        _ => ("tcp", text),
    };
    let port = |text: &str| Listen::parse(&format!("{protocol}:{text}"));
    let ports = ports.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
    ports.map(|(host, guest)| Listen { host_port: host.port, ..guest }).ok_or_else(wanted)
}

/// `tap=NAME`.
fn tap(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("tap=").filter(|name| values::is_device_name(name));
    name.map(str::to_owned).ok_or_else(|| format!("wanted tap=NAME, with {}", values::DEVICE))
}

fn listen(text: &str) -> Result<Listen, String> {
    values::listen(text).map_err(|wanted| format!("wanted {wanted}"))
}

fn connect(text: &str) -> Result<String, String> {
    values::connect(text).map(|()| text.to_owned()).map_err(|wanted| format!("wanted {wanted}"))
}

/// The manifest to read: the one that was named, else the one in this folder if no app was named.
pub fn manifest_file(named: Option<PathBuf>, app: Option<&PathBuf>) -> Option<PathBuf> {
    let here = || Some(PathBuf::from(manifest::FILE_NAME)).filter(|file| app.is_none() && file.exists());
    named.or_else(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(mapping("a/b::/site").unwrap(), ("/site".to_owned(), PathBuf::from("a/b")));
        assert!(mapping("::/site").is_err() && mapping("a:/site").is_err() && mapping("a::site").is_err());
        assert_eq!(pair("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(pair("=b").is_err() && pair("a").is_err());
        assert!(variable("A=\0").is_err());
        let published = |text| publish(text).map(|listen| (listen.to_string(), listen.host_port)).ok();
        assert_eq!(published("8080:80"), Some(("tcp:80".to_owned(), 8080)));
        assert_eq!(published("tcp:8080:80"), published("8080:80"));
        assert_eq!(published("udp:5353:53"), Some(("udp:53".to_owned(), 5353)));
        for wrong in ["80", "0:80", "a:b", "udp:53", "sctp:1:2", "1:2:3", "tcp:", ":"] {
            assert_eq!(published(wrong), None, "{wrong}");
        }
        assert_eq!(tap("tap=tap0").unwrap(), "tap0");
        assert!(tap("tap0").is_err() && tap("tap=").is_err() && tap("tap=a/b").is_err());
    }
}
