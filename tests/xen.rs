//! Images on a real Xen 4.17: the conformance table, traps, input, ends of all kinds, and the network.

use anyhow::{Context, Result, ensure};
use mwasm_tests::cases::{Case, all};
use mwasm_tests::faults::{FAULTS, TRAP, app};
use mwasm_tests::machine::{Image, Machine, aot, check};
use mwasm_tests::root;
use mwasm_tests::table::Rows;
use mwasm_tests::xen::dom0less;
use mwasm_tests::xen::pvh::{Domain, Report, run_all, serve};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Reasons of a domain's end, as Xen numbers them.
const POWEROFF: u8 = 0;
const CRASH: u8 = 3;
/// Exit code of an app that was stopped.
const STOPPED: i32 = 143;
/// A line that is typed.
const LINE: &str = "a line from the console";

/// What a case's domain must have come to.
type Check = Box<dyn Fn(&Report) -> Result<()>>;

/// A row of the table, before it is run.
struct Planned {
    name: &'static str,
    language: &'static str,
    check: Check,
}

/// The cases of one boot.
#[derive(Default)]
struct Plan {
    domains: Vec<Domain>,
    rows: Vec<Planned>,
}

impl Plan {
    fn add(&mut self, name: &'static str, case: &Case, script: &str, check: Check) -> Result<()> {
        let image = aot(case, &["--target", "xen"], &[])?;
        let domain = Domain { name: format!("case-{:02}", self.domains.len()), image, script: script.to_owned() };
        self.domains.push(domain);
        self.rows.push(Planned { name, language: case.language, check });
        Ok(())
    }
}

fn ensure_reason(report: &Report, wanted: u8) -> Result<()> {
    let found = report.reason()?;
    ensure!(found == Some(wanted), "wanted that the domain ended for reason {wanted}, found {found:?}: {report:?}");
    Ok(())
}

fn ensure_value(report: &Report, key: &str, wanted: &str) -> Result<()> {
    let found = report.value(key)?;
    ensure!(found == wanted, "wanted {key}: {wanted}, found {found}");
    Ok(())
}

/// An app that was asked to end had a while to do so, then was stopped, and the domain powered off.
fn was_stopped(report: &Report, printed: &str) -> Result<()> {
    ensure_reason(report, POWEROFF)?;
    let ran = report.ran()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    ensure!(ran.code == Some(STOPPED), "wanted the exit code {STOPPED}, found {:?}; it said {said}", ran.code);
    ensure!(said.starts_with(printed), "wanted {printed:?} first, found {said:?}");
    Ok(())
}

/// All cases as PVH domains, one boot of Xen for all of them.
#[test]
fn pvh() -> Result<()> {
    let mut plan = Plan::default();
    for case in all()? {
        let wanted = case.clone();
        let conforms = move |report: &Report| {
            ensure_reason(report, POWEROFF)?;
            check(&wanted, Machine::XenPvh, &report.ran()?)
        };
        plan.add(case.name, &case, "run", Box::new(conforms))?;
    }
    for fault in FAULTS {
        let check = |report: &Report| ensure_reason(report, CRASH).and_then(|()| fault.check(&report.ran()?));
        plan.add(fault.name, &app(fault.args, TRAP), "run", Box::new(check))?;
    }
    let endless = app(&["loop"], STOPPED);
    plan.add(
        "console input",
        &app(&["stdin"], STOPPED),
        &format!("type_in '{LINE}'"),
        Box::new(|report| was_stopped(report, &format!("{LINE}\n"))),
    )?;
    plan.add("xl shutdown", &endless, "stop looping", Box::new(|report| was_stopped(report, "looping\n")))?;
    // Domains that xl and xenstore know, and memory that did not come back.
    plan.add(
        "xl destroy",
        &endless,
        "destroy looping",
        Box::new(|report| {
            ensure_value(report, "during", "1,1")?;
            ensure_value(report, "after", "0,0")?;
            ensure_value(report, "freed", "0")
        }),
    )?;
    plan.add(
        "end leaves nothing",
        &app(&["exit", "0"], 0),
        "vanish",
        Box::new(|report| {
            ensure_reason(report, POWEROFF)?;
            ensure_value(report, "after", "0,0")
        }),
    )?;

    let reports = run_all(&plan.domains)?;
    let mut rows = Rows::default();
    for (domain, planned) in plan.domains.iter().zip(&plan.rows) {
        let report = reports.get(&domain.name).with_context(|| format!("no report of {}", domain.name));
        let result = report.and_then(&planned.check).with_context(|| format!("{} as a PVH domain", planned.name));
        rows.add(planned.name, planned.language, Machine::XenPvh.name(), result);
    }
    rows.finish("xen-pvh")
}

/// All cases as the domain of Xen on ARM.
#[test]
fn dom0less_arm() -> Result<()> {
    let image = |case: &Case| -> Result<Image> { aot(case, &["--target", "arm"], &[]) };
    let mut rows = Rows::default();
    let machines = [(Machine::XenArm, "2"), (Machine::XenArmGicV3, "3")];
    for case in all()? {
        let image = image(&case)?;
        for (machine, _) in machines {
            let result = image.run(machine, &[]).and_then(|ran| check(&case, machine, &ran));
            rows.add(case.name, case.language, machine.name(), result);
        }
    }
    for fault in FAULTS {
        let image = image(&app(fault.args, TRAP))?;
        for (machine, _) in machines {
            let result = image.run(machine, &[]).and_then(|ran| fault.check(&ran));
            let result = result.with_context(|| format!("{} on {}", fault.name, machine.name()));
            rows.add(fault.name, "Rust", machine.name(), result);
        }
    }
    let (reader, ender) = (image(&app(&["stdin"], STOPPED))?, image(&app(&["touch", "1"], 0))?);
    for (machine, gic_version) in machines {
        let input = dom0less::type_in(&reader, gic_version, LINE);
        rows.add("console input", "Rust", machine.name(), input.with_context(|| machine.name()));
        let end = dom0less::wait_for_end(&ender, gic_version).and_then(|said| {
            ensure!(said == b"allocated 1 MiB\n", "found {:?}", String::from_utf8_lossy(&said));
            Ok(())
        });
        rows.add("end leaves nothing", "Rust", machine.name(), end.with_context(|| machine.name()));
    }
    rows.finish("xen-arm")
}

/// Connections, one after the other, and bytes of one long transfer each way.
const CONNECTIONS: u32 = 1000;
const TRANSFER_BYTES: usize = 64 << 20;
/// How long the domain may take from its start, or from a new network device, to an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often an answer is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How long a transfer may stand still, and one look.
const STILL: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(5);

fn connect(address: SocketAddr, still: Duration) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(still))?;
    stream.set_write_timeout(Some(still))?;
    Ok(stream)
}

/// Sends a few bytes to the echo server, which must come back, and then the end.
fn echo(address: SocketAddr, sent: &[u8], still: Duration) -> Result<()> {
    let mut stream = connect(address, still)?;
    stream.write_all(sent)?;
    stream.shutdown(Shutdown::Write)?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got)?;
    ensure!(got == sent, "wanted {} bytes back, found {} others", sent.len(), got.len());
    Ok(())
}

/// Waits until the echo server answers.
fn answers(address: SocketAddr) -> Result<()> {
    let start = Instant::now();
    loop {
        match echo(address, b"hello", SHORT) {
            Ok(()) => return Ok(()),
            Err(error) => ensure!(start.elapsed() < PATIENCE, "no answer in {PATIENCE:?}: {error:#}"),
        }
        thread::sleep(LOOK);
    }
}

/// Sends many bytes to the echo server while they come back, and compares each.
fn transfer(address: SocketAddr) -> Result<Duration> {
    let byte = |at: usize| ((at as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    let start = Instant::now();
    let mut stream = connect(address, STILL)?;
    let mut sending = stream.try_clone()?;
    let sender = thread::spawn(move || -> Result<()> {
        for from in (0..TRANSFER_BYTES).step_by(1 << 16) {
            let chunk: Vec<u8> = (from..TRANSFER_BYTES.min(from + (1 << 16))).map(byte).collect();
            sending.write_all(&chunk)?;
        }
        Ok(sending.shutdown(Shutdown::Write)?)
    });
    let (mut at, mut chunk) = (0, [0; 1 << 16]);
    loop {
        let count = stream.read(&mut chunk).with_context(|| format!("after {at} bytes came back"))?;
        if count == 0 {
            break;
        }
        let same = chunk.iter().take(count).enumerate().all(|(i, found)| *found == byte(at + i));
        ensure!(same, "another byte came back between {at} and {}", at + count);
        at += count;
    }
    ensure!(at == TRANSFER_BYTES, "wanted {TRANSFER_BYTES} bytes back, found {at}");
    sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    Ok(start.elapsed())
}

/// An echo server behind netback and a bridge: many connections, a long transfer both ways, no work while nothing comes, and the same
/// again with another network device.
#[test]
fn network() -> Result<()> {
    let case = Case { guest: "echo-c", ..app(&[], STOPPED) };
    let manifest = root().join("examples/echo/c/mwasm.toml");
    let image = aot(&case, &["--target", "xen"], &["-m", &manifest.display().to_string()])?;
    let mut serving = serve(Domain { name: "echo".to_owned(), image, script: "serve".to_owned() }, 7)?;
    let address = serving.address;
    answers(address)?;
    let start = Instant::now();
    for i in 0..CONNECTIONS {
        echo(address, format!("connection {i}").as_bytes(), STILL).with_context(|| format!("connection {i}"))?;
    }
    let connections = start.elapsed();
    let transfer_time = transfer(address)?;
    let idle = serving.attach_again()?;
    ensure!(idle <= 1, "an idle domain worked for {idle} tenths of a second in 3 s");
    answers(address)?;
    let report = serving.finish()?;
    ensure_reason(&report, POWEROFF)?;
    println!(
        "{CONNECTIONS} connections in {connections:.1?}, {} MiB each way in {transfer_time:.1?}; the domain worked {} tenths of a second",
        TRANSFER_BYTES >> 20,
        report.value("worked")?
    );
    Ok(())
}
