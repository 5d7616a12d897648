//! `cargo xtask bench http`: HTTP servers side by side, each on one core, with wrk on another.
//!
//! The servers take turns, a round each, so that whatever else the machine does hits all of them. Requests a second depend on the
//! machine; their ratios, and the processor's time for a request, depend on it less.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{build, guests, paths, run, setup};

/// Arguments of `cargo xtask bench http`.
#[derive(clap::Args)]
pub struct Arguments {
    /// How often each server is started and measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of a measurement
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Connections at once
    #[arg(long, default_value_t = 64)]
    connections: u32,
}

/// Where all of them listen, in turn.
const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 18080);
/// How long a server may take to answer for the first time.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// The processor of the servers, and that of the client.
const SERVER_CPU: &str = "0";
const CLIENT_CPU: &str = "1";

/// A server to be measured.
struct Server {
    name: &'static str,
    /// Begins with the program, without `taskset`.
    command: Vec<String>,
    path: &'static str,
    rounds: Vec<Round>,
}

/// What one measurement found.
struct Round {
    requests_per_second: f64,
    cpu_us_per_request: f64,
}

/// Runs the benchmark.
pub fn main(arguments: &Arguments) -> Result<()> {
    build::main(&build::Arguments {})?;
    guests::ensure(&["http-c", "http-rust-p3"])?;
    setup::servers()?;
    let work = paths::target()?.join("bench/http");
    fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let mut servers = servers(&work)?;
    for round in 0..arguments.rounds {
        for server in &mut servers {
            eprintln!("round {} of {}: {}", round + 1, arguments.rounds, server.name);
            server.rounds.push(measure(server, arguments)?);
        }
    }
    print(&servers, arguments);
    Ok(())
}

fn servers(work: &Path) -> Result<Vec<Server>> {
    let server = |name, command: Vec<String>, path| Server { name, command, path, rounds: Vec::new() };
    let text = |path: PathBuf| path.display().to_string();
    let mut all = Vec::new();
    for (guest, ours, theirs) in [
        ("http-c", "mwasm desktop image, C at 0.2", "wasmtime serve with reuse, C at 0.2"),
        ("http-rust-p3", "mwasm desktop image, Rust at 0.3", "wasmtime serve with reuse, Rust at 0.3"),
    ] {
        let component = paths::guests()?.join(format!("{guest}.wasm"));
        let image = work.join(guest);
        let mut aot = Command::new(paths::target()?.join("release/mwasm"));
        aot.arg("aot")
            .arg(&component)
            .args(["--target", "desktop", "-p", &format!("{}:8080", ADDRESS.1), "-o"])
            .arg(&image);
        run::quiet(&mut aot, "fusing an image")?;
        all.push(server(ours, vec![text(image)], "/"));
        let address = SocketAddr::from(ADDRESS).to_string();
        let mut command = program(&setup::python()?.wasmtime());
        let flags = [
            "serve",
            "-Scli",
            "-Sp3",
            "-Wcomponent-model-async",
            "-Opooling-allocator",
            "--max-instance-reuse-count=1000000000",
            "--addr",
            &address,
        ];
        command.extend(flags.map(String::from));
        command.push(text(component));
        all.push(server(theirs, command, "/"));
    }
    let conf = nginx_configuration(work)?;
    let nginx =
        || vec!["nginx".to_owned(), "-p".to_owned(), text(work.to_owned()), "-c".to_owned(), text(conf.clone())];
    all.push(server("nginx, static file", nginx(), "/file.txt"));
    all.push(server("nginx, return", nginx(), "/return"));
    all.push(server("hyper", vec![text(hyper(work)?), SocketAddr::from(ADDRESS).to_string()], "/"));
    Ok(all)
}

fn program(command: &Command) -> Vec<String> {
    [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// One process, no log; a file of the size that the other servers answer with.
fn nginx_configuration(work: &Path) -> Result<PathBuf> {
    fs::write(work.join("file.txt"), "Hello from a handler\n")?;
    let (port, root) = (ADDRESS.1, work.display());
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {root}/nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 2048; }}\n\
         http {{ access_log off; default_type text/plain; sendfile on; keepalive_requests 1000000000; open_file_cache max=10;\n\
         client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;\n\
         uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;\n\
         server {{ listen 127.0.0.1:{port}; root {root}; location = /return {{ return 200 \"Hello from a handler\\n\"; }} }} }}\n"
    );
    let conf = work.join("nginx.conf");
    fs::write(&conf, text)?;
    Ok(conf)
}

fn hyper(work: &Path) -> Result<PathBuf> {
    let manifest = paths::root()?.join("benches/hyper/Cargo.toml");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(work.join("hyper"));
    run::quiet(&mut cargo, "building the hyper server")?;
    Ok(work.join("hyper/release/hyper-server"))
}

/// A server at work; ended with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure(server: &Server, arguments: &Arguments) -> Result<Round> {
    let address = SocketAddr::from(ADDRESS);
    ensure!(TcpStream::connect(address).is_err(), "something else listens on {address}");
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CPU]).args(&server.command).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = Running(command.spawn().with_context(|| format!("starting {}", server.name))?);
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = child.0.try_wait()? {
            bail!("{} ended with {status}", server.name);
        }
        ensure!(began.elapsed() < START_TIMEOUT, "{} does not listen after {START_TIMEOUT:?}", server.name);
        thread::sleep(Duration::from_millis(20));
    }
    let url = format!("http://{address}{}", server.path);
    wrk(&url, 1, arguments.connections)?;
    let before_us = cpu_us(child.0.id())?;
    let (requests, requests_per_second) = wrk(&url, arguments.seconds, arguments.connections)?;
    let cpu_us = cpu_us(child.0.id())? - before_us;
    Ok(Round { requests_per_second, cpu_us_per_request: cpu_us / requests })
}

/// Requests, and requests a second.
fn wrk(url: &str, seconds: u32, connections: u32) -> Result<(f64, f64)> {
    let mut command = Command::new("taskset");
    command.args(["-c", CLIENT_CPU, "wrk", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), url]);
    let text = run::output(&mut command, "running wrk")?;
    ensure!(!text.contains("Non-2xx"), "a server answered with errors:\n{text}");
    let number = |line: &str, word: usize| line.split_whitespace().nth(word).and_then(|word| word.parse::<f64>().ok());
    let requests = text.lines().find(|line| line.contains(" requests in ")).and_then(|line| number(line, 0));
    let rate = text.lines().find(|line| line.starts_with("Requests/sec:")).and_then(|line| number(line, 1));
    requests.zip(rate).with_context(|| format!("wanted wrk's report, found:\n{text}"))
}

/// Processor time of a process, in microseconds (proc(5): fields 14 and 15 of `stat`, in hundredths of a second).
fn cpu_us(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("reading a server's times")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Ok(ticks as f64 * 1e4)
}

fn print(servers: &[Server], arguments: &Arguments) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let rate = |server: &Server| median(server.rounds.iter().map(|round| round.requests_per_second).collect());
    let base = servers.get(1).map_or(1.0, rate);
    println!(
        "\n{} connections, keep-alive, one core each; medians of {} rounds",
        arguments.connections, arguments.rounds
    );
    println!("\n| server | requests/s | CPU us a request | ratio |\n| --- | --- | --- | --- |");
    for server in servers {
        let cpu = median(server.rounds.iter().map(|round| round.cpu_us_per_request).collect());
        println!("| {} | {:.0} | {cpu:.1} | {:.2} |", server.name, rate(server), rate(server) / base);
    }
}
