//! The machine that an image is for, as a command line of QEMU.

use anyhow::{Context, Result, bail};
use mwasm_aot::fuse::pack;
use mwasm_aot::image::recognise;
use mwasm_aot::network::Network;
use mwasm_aot::problem::Problem;
use mwasm_aot::target::Target;
use mwasm_plan::net::{Listen, Protocol};
use mwasm_plan::{Entry, Plan};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Port of the debug device that takes the exit code, by agreement with the Xen host.
const CODE_PORT: &str = "0x501";
/// Port of the device that ends QEMU, by agreement with the Xen host.
const EXIT_PORT: &str = "0xf4";
/// Makes the ARM host tell its exit code by semihosting.
const SEMIHOSTING: &str = "mwasm.semihosting";

/// An image and the machine for it.
pub struct Guest<'a> {
    target: Target,
    image: &'a [u8],
    memory_mib: u64,
    /// The network card's other side, for an image that has the network.
    card: Option<String>,
    served_at: Option<String>,
}

/// What the network card of a machine is connected to.
#[derive(Debug, Default)]
pub struct Link {
    /// Ports of this machine that lead to ports of the app.
    pub publish: Vec<Listen>,
    /// A TAP device of this machine, instead of QEMU's own network.
    pub tap: Option<String>,
}

/// Our ends of the connections.
pub struct Wires {
    /// The machine's console.
    pub serial: UnixStream,
    /// Where the exit code arrives.
    pub code: UnixStream,
    /// QEMU's control protocol.
    pub qmp: UnixStream,
}

impl<'a> Guest<'a> {
    /// The machine for an image of a target that is no desktop.
    pub fn new(target: Target, image: &'a [u8], link: &Link) -> Result<Self> {
        let plan = recognise("the image", image)?.context("an image without a plan")?.plan;
        check(&plan, &link.publish)?;
        let card = Network::is_given(&plan).then(|| backend(link));
        let memory_mib = pack::memory_mib(&plan, image.len() as u64);
        Ok(Self { target, image, memory_mib, card, served_at: served_at(&plan, link) })
    }

    /// Where the app can be reached, if it is an HTTP handler.
    pub fn served_at(&self) -> Option<&str> {
        self.served_at.as_deref()
    }

    /// Starts QEMU. It dies with the calling thread.
    pub fn start(&self) -> Result<(Child, Wires)> {
        let image = in_memory(self.image).context("no memory for the image")?;
        let (serial, their_serial) = UnixStream::pair()?;
        let (code, their_code) = UnixStream::pair()?;
        let (qmp, their_qmp) = UnixStream::pair()?;
        let inherited = [their_serial.as_fd(), their_code.as_fd(), their_qmp.as_fd(), image.as_fd()];
        for file in inherited {
            fcntl_setfd(file, FdFlags::empty())?;
        }
        let mut qemu = self.command()?;
        qemu.arg("-kernel").arg(format!("/proc/self/fd/{}", image.as_raw_fd()));
        for (name, socket) in [("console", &their_serial), ("code", &their_code), ("control", &their_qmp)] {
            qemu.arg("-chardev").arg(format!("socket,id={name},fd={}", socket.as_raw_fd()));
        }
        qemu.args(["-serial", "chardev:console", "-mon", "chardev=control,mode=control"]);
        qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Signals of the terminal are for this process, which passes them on as it sees fit.
        qemu.process_group(0);
        // SAFETY: between fork and exec, and it is one system call.
        unsafe {
            qemu.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?))
        };
        let program = qemu.get_program().to_string_lossy().into_owned();
        let child = qemu.spawn().map_err(|error| {
            Problem::new(format!("cannot start {program}: {error}"))
                .help("'mwasm doctor' says how to install QEMU on this machine")
        })?;
        Ok((child, Wires { serial, code, qmp }))
    }

    fn command(&self) -> Result<Command> {
        let mut qemu = match self.target {
            Target::Desktop => bail!("a desktop image is run, not booted"),
            Target::Xen => {
                let mut qemu = Command::new("qemu-system-x86_64");
                qemu.args(["-M", "microvm,x-option-roms=off,rtc=on,acpi=on,isa-serial=on"]);
                if kvm().is_ok() {
                    qemu.args(["-accel", "kvm"]);
                }
                qemu.arg("-device").arg(format!("isa-debugcon,iobase={CODE_PORT},chardev=code"));
                qemu.arg("-device").arg(format!("isa-debug-exit,iobase={EXIT_PORT},iosize=4"));
                qemu
            }
            Target::Arm => {
                let mut qemu = Command::new("qemu-system-aarch64");
                qemu.args(["-M", "virt", "-semihosting", "-append", SEMIHOSTING]);
                qemu
            }
        };
        // Where an accelerator does not work after all, the next one is tried.
        qemu.args(["-accel", "tcg", "-cpu", "max", "-m"]).arg(format!("{}M", self.memory_mib));
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        if let Some(backend) = &self.card {
            // Both machines have virtio on a bus of their own, and no PCI: by version 1 of its specification, not the drafts before it.
            qemu.args(["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-net-device,netdev=net"]);
            qemu.arg("-netdev").arg(backend);
        }
        Ok(qemu)
    }

    /// The app's exit code, from what the machine left behind; `None` if it told none.
    pub fn exit_code(&self, mut code: UnixStream, status: ExitStatus, errors: &str) -> Option<u8> {
        match self.target {
            Target::Arm if errors.starts_with("qemu-system") => None,
            Target::Arm => status.code().and_then(|code| u8::try_from(code).ok()),
            _ => {
                let mut told = Vec::new();
                code.read_to_end(&mut told).ok()?;
                told.last().copied()
            }
        }
    }
}

/// Fails on a port that the image may not listen on.
fn check(plan: &Plan<'_>, publish: &[Listen]) -> Result<()> {
    let is_granted = |port: &&Listen| {
        plan.policy.listen.iter().any(|grant| (grant.protocol, grant.port) == (port.protocol, port.port))
    };
    let Some(port) = publish.iter().find(|port| !is_granted(port)) else { return Ok(()) };
    let granted: Vec<String> = plan.policy.listen.iter().map(ToString::to_string).collect();
    let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join(", ") };
    let message = format!("nothing can answer at {port}: the image may listen on {granted}");
    Err(Problem::usage(message).help(format!("build it with --listen {port}")).into())
}

/// Where an HTTP handler can be reached from this machine. On a TAP device it has an address of its own, which nobody knows here.
fn served_at(plan: &Plan<'_>, link: &Link) -> Option<String> {
    let is_served = matches!(plan.entry, Entry::Serve02(_) | Entry::Serve03(_));
    let port = plan.net.http.port;
    let is_its = |published: &&Listen| (published.protocol, published.port) == (Protocol::Tcp, port);
    let place = match link.publish.iter().find(is_its) {
        _ if link.tap.is_some() => format!("serving HTTP at port {port} of the machine"),
        Some(published) => format!("serving http://127.0.0.1:{}/", published.host_port),
        None => format!("the app is served inside of the machine only: -p 8080:{port} makes it http://127.0.0.1:8080/"),
    };
    is_served.then_some(place)
}

/// The network card's other side, as QEMU's `-netdev` wants it.
fn backend(link: &Link) -> String {
    use std::fmt::Write;
    if let Some(name) = &link.tap {
        return format!("tap,id=net,ifname={name},script=no,downscript=no");
    }
    link.publish.iter().fold("user,id=net".to_owned(), |mut text, Listen { protocol, port, host_port }| {
        let _ = write!(text, ",hostfwd={protocol}:127.0.0.1:{host_port}-:{port}");
        text
    })
}

/// Whether the hardware's virtualisation can be used; if not, why.
///
/// A machine that is itself virtual may offer it and then fail on instructions that its hypervisor does not know, which stops the guest
/// without a word. Emulation is slower and works.
pub fn kvm() -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("this machine has another architecture".to_owned());
    }
    File::options().read(true).write(true).open(KVM).map_err(|error| error.to_string())?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let is_virtual =
        cpu.lines().any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor"));
    if is_virtual { Err("this machine is itself virtual; QEMU emulates instead".to_owned()) } else { Ok(()) }
}

/// The device of the hardware's virtualisation.
pub const KVM: &str = "/dev/kvm";

/// A file that has no name and is gone when nobody has it open.
fn in_memory(bytes: &[u8]) -> Result<OwnedFd> {
    let mut file = File::from(memfd_create("mwasm-image", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_plan::net::Policy;

    fn port(grant: &str, host_port: u16) -> Listen {
        Listen { host_port, ..Listen::parse(grant).unwrap() }
    }

    #[test]
    fn ports_of_this_machine_lead_to_the_app() {
        let publish = vec![port("tcp:80", 8080), port("udp:53", 5353)];
        let text = backend(&Link { publish, tap: None });
        assert_eq!(text, "user,id=net,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:5353-:53");
        let text = backend(&Link { publish: vec![], tap: Some("tap0".into()) });
        assert_eq!(text, "tap,id=net,ifname=tap0,script=no,downscript=no");
    }

    #[test]
    fn a_handler_is_found_at_its_published_port() {
        let plan = Plan { entry: Entry::Serve03("wasi:http/handler@0.3.0"), ..Plan::default() };
        let link = |publish, tap: Option<&str>| Link { publish, tap: tap.map(str::to_owned) };
        let at = |plan: &Plan<'_>, link: Link| served_at(plan, &link).unwrap_or_default();
        assert_eq!(at(&plan, link(vec![port("tcp:80", 8080)], None)), "serving http://127.0.0.1:8080/");
        assert!(at(&plan, link(vec![port("udp:80", 8080)], None)).contains("-p 8080:80"));
        assert!(at(&plan, link(vec![], Some("tap0"))).contains("port 80 of the machine"));
        assert_eq!(at(&Plan::default(), Link::default()), "");
    }

    #[test]
    fn a_port_that_was_not_granted_leads_nowhere() {
        let policy = Policy { listen: vec![port("tcp:80", 80)], ..Policy::default() };
        let plan = Plan { policy, ..Plan::default() };
        assert!(check(&plan, &[port("tcp:80", 8080)]).is_ok());
        let error = check(&plan, &[port("udp:80", 80)]).unwrap_err().to_string();
        assert!(error.contains("udp:80") && error.contains("may listen on tcp:80"), "{error}");
    }
}
