//! Images on a real Xen 4.17: the conformance table, traps, input, ends of all kinds, and the network.

use anyhow::{Context, Result, ensure};
use mwasm_tests::cases::{Case, all};
use mwasm_tests::faults::{FAULTS, TRAP, app};
use mwasm_tests::machine::{Image, Machine, aot, check};
use mwasm_tests::process::{Ran, run, succeed};
use mwasm_tests::root;
use mwasm_tests::server::{App, start};
use mwasm_tests::table::Rows;
use mwasm_tests::xen::pvh::{Domain, Report, run_all};
use mwasm_tests::xen::serving::{GATEWAY, Host, Serving, serve};
use mwasm_tests::xen::{arm, dom0less, linux};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
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

/// Connections to the echo server, and bytes of its long transfer each way.
const ECHOES: u32 = 100;
const ECHO_BYTES: usize = 8 << 20;
/// How long the domain may take from its start, or from a new network device, to an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often an answer is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How long a transfer may stand still, and one look.
const STILL: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(5);

/// Bytes none of which tells where it is from.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Sends bytes to the echo server and then the end; they must come back, each of them, while more are sent.
fn echo(address: SocketAddr, sent: &[u8], still: Duration) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(still))?;
    stream.set_write_timeout(Some(still))?;
    let mut sending = stream.try_clone()?;
    let mut back = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let sender = scope.spawn(move || sending.write_all(sent).and_then(|()| sending.shutdown(Shutdown::Write)));
        stream.read_to_end(&mut back).context("reading what comes back")?;
        sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?.context("sending")
    })?;
    ensure!(back == sent, "wanted {} bytes back, found {} others", sent.len(), back.len());
    Ok(())
}

/// Waits until `ask` succeeds.
fn answers(mut ask: impl FnMut() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    while let Err(error) = ask() {
        ensure!(start.elapsed() < PATIENCE, "no answer in {PATIENCE:?}: {error:#}");
        thread::sleep(LOOK);
    }
    Ok(())
}

/// curl, which must get an answer that is no error; the body is its output.
fn curl(words: &[&str], url: &str, sent: &[u8]) -> Result<Ran> {
    let ran = run(Command::new("curl").args(["-s", "-S", "-f", "-m", "200"]).args(words).arg(url), sent)?;
    ensure!(ran.code == Some(0), "curl {words:?} {url}: wanted an answer, found {}", ran.errors());
    Ok(ran)
}

/// A TCP server in a domain: many connections, a transfer both ways, no work while nothing comes, and the same again with another network
/// device.
fn check_echo(serving: &mut Serving) -> Result<()> {
    let address = serving.start("echo")?;
    answers(|| echo(address, b"hello", SHORT))?;
    for i in 0..ECHOES {
        echo(address, format!("connection {i}").as_bytes(), STILL).with_context(|| format!("connection {i}"))?;
    }
    echo(address, &content(ECHO_BYTES), STILL)?;
    serving.go_on()?;
    serving.wait_for("echo attached")?;
    answers(|| echo(address, b"hello again", SHORT))?;
    serving.go_on()
}

/// What goes through the proxy: connections, one after the other, and bytes of a long transfer each way.
struct Load {
    requests: usize,
    bytes: usize,
}

/// HTTP by curl into a domain, whose app asks a server on this machine for each answer: many connections, and a transfer both ways. All goes
/// through netfront twice.
fn check_http(serving: &mut Serving, load: &Load) -> Result<String> {
    let Load { requests, bytes } = *load;
    let address = serving.start("proxy")?;
    answers(|| curl(&["-m", "5"], &format!("http://{address}/"), &[]).map(drop))?;
    let start = Instant::now();
    let close = ["-H", "connection: close", "-w", "%{stderr}%{num_connects}\n"];
    let ran = curl(&close, &format!("http://{address}/bytes/[1-{requests}]"), &[])?;
    let wanted: Vec<u8> = (1..=requests).flat_map(|bytes| (b'a'..=b'z').cycle().take(bytes)).collect();
    let same = ran.stdout == wanted;
    ensure!(same, "wanted {} bytes in {requests} answers, found {} others", wanted.len(), ran.stdout.len());
    ensure!(ran.errors() == "1\n".repeat(requests), "wanted {requests} connections, found\n{}", ran.errors());
    let time = start.elapsed();
    let (start, sent) = (Instant::now(), content(bytes));
    let back = curl(&["-X", "POST", "-T", "-"], &format!("http://{address}/echo"), &sent)?.stdout;
    ensure!(back == sent, "wanted {} bytes back, found {} others", sent.len(), back.len());
    let transfer = start.elapsed();
    serving.go_on()?;
    Ok(format!("{requests} requests in {time:.1?}, {} MiB each way in {transfer:.1?}", bytes >> 20))
}

fn domain(name: &str, image: Image, script: &str) -> Domain {
    Domain { name: name.to_owned(), image, script: script.to_owned() }
}

/// An app as an image for one of the hosts, with what `xl` is told of it.
fn domain_image(host: Host, guest: &'static str, more: &[&str]) -> Result<Image> {
    let case = Case { guest, ..app(&[], STOPPED) };
    match host {
        Host::X86 => aot(&case, &["--target", "xen"], more),
        Host::Arm => {
            let image = aot(&case, &["--target", "arm"], more)?;
            arm::configure(&image)?;
            Ok(image)
        }
    }
}

/// The echo server in C as an image.
fn echo_image(host: Host) -> Result<Image> {
    let manifest = root().join("examples/echo/c/mwasm.toml");
    domain_image(host, "echo-c", &["-m", &manifest.display().to_string()])
}

/// Domains behind netback and a bridge, which are reached from this machine, and reach it.
fn check_network(host: Host, load: &Load) -> Result<()> {
    let behind = App { guest: "http-c", protocol: "tcp", port: 80, more: &[], args: &[] };
    let mut behind = start(&behind, Machine::InProcess)?;
    behind.wait_for_http()?;
    let upstream = format!("{GATEWAY}:{}", behind.address.port());
    let granted = ["--env", &format!("UPSTREAM={upstream}"), "--connect", &format!("tcp:{upstream}")];
    let proxy = domain_image(host, "proxy", &granted)?;
    let domains = vec![
        (domain("echo", echo_image(host)?, "serve; idle; attach_again; leave"), 7),
        (domain("proxy", proxy, "serve; leave"), 80),
    ];
    let mut serving = serve(host, domains, &[])?;
    check_echo(&mut serving).context("the echo server")?;
    let figures = check_http(&mut serving, load).context("the proxy")?;
    let (reports, _) = serving.finish()?;
    let report = |name: &str| reports.get(name).with_context(|| format!("no report of {name}"));
    ensure_reason(report("echo")?, POWEROFF)?;
    ensure_reason(report("proxy")?, POWEROFF)?;
    let idle: u32 = report("echo")?.value("idle")?.parse()?;
    ensure!(idle <= 1, "an idle domain worked for {idle} tenths of a second in 3 s");
    println!("{host:?}: {figures}; the domain worked for {} tenths of a second", report("proxy")?.value("worked")?);
    Ok(())
}

#[test]
fn network() -> Result<()> {
    check_network(Host::X86, &Load { requests: 1000, bytes: 64 << 20 })
}

#[test]
fn network_arm() -> Result<()> {
    check_network(Host::Arm, &Load { requests: 100, bytes: 8 << 20 })
}

/// Bytes that are echoed in the runs that are counted. The difference of the counts is that of the bytes alone.
const COUNTED_BYTES: [usize; 2] = [8 << 20, 40 << 20];

/// Instructions that a domain with an echo server executes from its start to its end, when it echoes so many bytes.
fn count_instructions(image: Image, bytes: usize) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let plugin = directory.path().join("insn-count.so");
    let source = root().join("tests/insn-count/insn-count.c");
    succeed(Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&plugin).arg(source))?;
    let options = ["-d", "plugin", "-plugin", &format!("{},domain", plugin.display())].map(str::to_owned);
    let mut serving = serve(Host::X86, vec![(domain("echo", image, "serve; leave"), 7)], &options)?;
    let address = serving.start("echo")?;
    answers(|| echo(address, b"hello", SHORT))?;
    echo(address, &content(bytes), STILL)?;
    serving.go_on()?;
    let (reports, ran) = serving.finish()?;
    ensure_reason(reports.get("echo").context("no report")?, POWEROFF)?;
    let said = ran.errors();
    let count = said.split("inside ").nth(1).and_then(|count| count.trim().parse().ok());
    count.with_context(|| format!("wanted the count of the plugin, found {said:?}"))
}

/// What a byte costs an image, and a Linux that does the same in its place: instructions inside of the domain, by the same Xen, netback and
/// traffic.
#[test]
#[ignore = "counts for minutes, and promises nothing"]
fn instructions_per_byte() -> Result<()> {
    let [few, many] = COUNTED_BYTES;
    let count = |name: &str, image: &dyn Fn() -> Result<Image>| -> Result<()> {
        let less = count_instructions(image()?, few).with_context(|| format!("{name}, {few} bytes"))?;
        let more = count_instructions(image()?, many).with_context(|| format!("{name}, {many} bytes"))?;
        let per_byte = more.saturating_sub(less) as f64 / (many - few) as f64;
        println!(
            "{name:<8} {per_byte:>6.2} instructions for a byte that comes and goes; {less} for {few}, {more} for {many}"
        );
        Ok(())
    };
    count("mwasm", &|| echo_image(Host::X86))?;
    count("Linux", &linux::echo_server)
}
