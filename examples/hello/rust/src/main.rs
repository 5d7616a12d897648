//! The hello app in Rust: the standard library on WASI 0.2 (target wasm32-wasip2). What it prints, and why, is in ../README.md.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

/// 2024-01-01T00:00:00Z in seconds since the Unix epoch: any clock that is set at all is past it.
const YEAR_2024: Duration = Duration::from_secs(1_704_067_200);
/// How often the monotonic clock is read to see that it never goes back.
const MONOTONIC_READINGS: usize = 100;
const NOTE: &str = "written by hello\n";

fn main() {
    println!("hello, component");
    for argument in env::args().skip(1) {
        println!("argument: {argument}");
    }
    println!("greeting: {}", env::var("GREETING").as_deref().unwrap_or("unset"));
    println!("site: {}", first_line_of_site().as_deref().unwrap_or("no file"));
    println!("clock {}", verdict(wall_clock_is_set()));
    println!("monotonic {}", verdict(monotonic_clock_never_goes_back()));
    println!("random {}", verdict(random_bytes_differ()));
    println!("tmp {}", verdict(tmp_keeps_a_note().is_ok_and(|kept| kept)));
    eprintln!("hello: done");
    process::exit(env::var("EXIT_CODE").ok().and_then(|code| code.parse().ok()).unwrap_or(0));
}

fn verdict(ok: bool) -> &'static str {
    if ok { "ok" } else { "wrong" }
}

fn first_line_of_site() -> Option<String> {
    let text = fs::read_to_string("/site/hello.txt").ok()?;
    text.lines().next().map(str::to_owned)
}

fn wall_clock_is_set() -> bool {
    SystemTime::now().duration_since(UNIX_EPOCH).is_ok_and(|now| now > YEAR_2024)
}

fn monotonic_clock_never_goes_back() -> bool {
    let readings: Vec<Instant> = (0..MONOTONIC_READINGS).map(|_| Instant::now()).collect();
    readings.is_sorted()
}

fn random_bytes_differ() -> bool {
    let (mut first, mut second) = ([0u8; 16], [0u8; 16]);
    getrandom::fill(&mut first).is_ok() && getrandom::fill(&mut second).is_ok() && first != second
}

fn tmp_keeps_a_note() -> std::io::Result<bool> {
    fs::write("/tmp/note.txt", NOTE)?;
    Ok(fs::read_to_string("/tmp/note.txt")? == NOTE)
}
