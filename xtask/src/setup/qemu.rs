//! Programs that come as Debian packages: QEMU, and what the tests run beside it. A program on `PATH` counts, wherever it came from.

use anyhow::{Result, bail};

use super::apt;
use crate::run;

/// A program and the Debian package that has it.
struct Program {
    command: &'static str,
    package: &'static str,
}

const QEMU: &[Program] = &[
    Program { command: "qemu-system-x86_64", package: "qemu-system-x86" },
    Program { command: "qemu-system-aarch64", package: "qemu-system-arm" },
    Program { command: "qemu-aarch64", package: "qemu-user" },
];

const TOOLS: &[Program] = &[
    // Counts instructions, for the promises of the specification.
    Program { command: "valgrind", package: "valgrind" },
    // Describes the machine in which Xen on ARM starts its domains.
    Program { command: "dtc", package: "device-tree-compiler" },
    // Clients of servers, and networks for tests.
    Program { command: "curl", package: "curl" },
    Program { command: "dig", package: "bind9-dnsutils" },
    Program { command: "ip", package: "iproute2" },
    Program { command: "nc", package: "netcat-openbsd" },
    Program { command: "ping", package: "iputils-ping" },
    Program { command: "wrk", package: "wrk" },
];

const SERVERS: &[Program] = &[
    Program { command: "nginx", package: "nginx-light" },
    Program { command: "wrk", package: "wrk" },
    Program { command: "taskset", package: "util-linux" },
];

/// QEMU's whole machines for x86_64 and ARM, and its runner of single ARM programs; returns the programs' names. Debian 12 has 7.2.
pub fn qemu() -> Result<String> {
    provide(QEMU, "QEMU")
}

/// What the tests run beside QEMU; returns the programs' names.
pub fn tools() -> Result<String> {
    provide(TOOLS, "what the tests run")
}

/// What the benchmark of HTTP servers compares with, and its client.
pub fn servers() -> Result<String> {
    provide(SERVERS, "HTTP servers to compare with")
}

fn provide(programs: &[Program], purpose: &str) -> Result<String> {
    let missing = |programs: &[Program]| -> Vec<&'static str> {
        programs.iter().filter(|program| run::find(program.command).is_none()).map(|program| program.package).collect()
    };
    let packages = missing(programs);
    if !packages.is_empty() {
        apt::install(&packages, purpose)?;
        let still = missing(programs);
        if !still.is_empty() {
            bail!("{purpose}: the packages {} are installed, but their programs are not on PATH", still.join(" "));
        }
    }
    Ok(programs.iter().map(|program| program.command).collect::<Vec<_>>().join(", "))
}
