//! Domains that serve, one after the other, behind the bridge of the control domain:
//!
//! ```text
//!   this machine's 127.0.0.1 <--> QEMU's network <--> dom0's card <--> xenbr0 <--> vif1.0 (netback) <--> the domain
//! ```
//!
//! Dom0 and the test take turns: dom0 reports a step and waits for a word, the test waits for the report and says the word.

use super::pvh::{self, Domain, Report, parse, write_archive};
use super::{arm, file};
use crate::process::{Ran, Running};
use crate::server::free_port;
use crate::target;
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tempfile::TempDir;

/// The first address that the card's network gives by DHCP. Each further domain gets the next.
const FIRST_GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Where a domain finds this machine's loopback.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

/// Which Xen is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// For x86_64.
    X86,
    /// For ARM.
    Arm,
}

/// Xen with a control domain that has a bridge, and the domain on it whose turn it is.
pub struct Serving {
    running: Running,
    /// What dom0 has reported so far.
    said: Vec<u8>,
    /// Names of the domains, and where this machine reaches them.
    domains: Vec<(String, SocketAddr)>,
    host: Host,
    /// Holds the archive.
    _directory: TempDir,
}

/// Boots Xen. The scripts of the domains begin with `serve` and end with `leave`; of each domain a port (TCP) is reached from this machine.
/// `options` are QEMU's.
pub fn serve(host: Host, domains: Vec<(Domain, u16)>, options: &[String]) -> Result<Serving> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("dom0.cpio");
    let (domains, ports): (Vec<Domain>, Vec<u16>) = domains.into_iter().unzip();
    ensure!(domains.is_sorted_by_key(|domain| &domain.name), "domains run in the order of their names");
    let dom0 = match host {
        Host::X86 => "x86/dom0",
        Host::Arm => "arm/dom0",
    };
    write_archive(&archive, &file(dom0)?, &domains)?;
    let mut card = format!("user,id=card,net=10.0.0.0/24,host={GATEWAY},dhcpstart={FIRST_GUEST}");
    let mut reached = Vec::new();
    for ((index, domain), port) in (0..).zip(domains).zip(ports) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let guest = Ipv4Addr::from_bits(FIRST_GUEST.to_bits() + index);
        card += &format!(",hostfwd=tcp:{address}-{guest}:{port}");
        reached.push((domain.name, address));
    }
    // Xen's control domain is no machine of its own: a device that does not ask for addresses of the bus finds others' memory.
    let (mut command, device) = match host {
        Host::X86 => (pvh::machine(&archive, &host.log())?, "virtio-net-pci,disable-legacy=on"),
        Host::Arm => (arm::machine(&archive, &host.log(), directory.path())?, "virtio-net-device"),
    };
    command.args(options).args(["-netdev", &card, "-device", &format!("{device},netdev=card,iommu_platform=on")]);
    let running = Running::open(&mut command)?;
    Ok(Serving { running, said: Vec::new(), domains: reached, host, _directory: directory })
}

impl Host {
    /// What Xen and dom0 say.
    fn log(self) -> PathBuf {
        target().join(match self {
            Self::X86 => "xen-network.log",
            Self::Arm => "xen-arm-network.log",
        })
    }

    /// What is to be read where a step fails.
    fn see_log(self) -> String {
        format!("see {}", self.log().display())
    }
}

impl Serving {
    /// Waits until a domain's turn has come; returns where it is reached.
    pub fn start(&mut self, name: &str) -> Result<SocketAddr> {
        self.wait_for(&format!("{name} started"))?;
        let found = self.domains.iter().find(|(domain, _)| domain == name);
        found.map(|(_, address)| *address).with_context(|| format!("no domain {name} is served"))
    }

    /// Waits until dom0 has reported something.
    pub fn wait_for(&mut self, report: &str) -> Result<()> {
        let said = self.running.wait_for(report.as_bytes()).with_context(|| self.host.see_log())?;
        self.said.extend(said);
        Ok(())
    }

    /// Tells dom0 to go on with the script.
    pub fn go_on(&mut self) -> Result<()> {
        self.running.type_in(b"go\n")
    }

    /// Waits until all domains have ended; returns their reports, and what QEMU said.
    pub fn finish(self) -> Result<(HashMap<String, Report>, Ran)> {
        let host = self.host;
        let ran = self.running.finish().with_context(|| host.see_log())?;
        Ok((parse(&ran, &self.said)?, ran))
    }
}
