//! An app that ends badly, on purpose, in the way that its first argument chooses: what a host must survive and report. The arguments
//! are in ../README.md. Each way is one function that is never inlined, so that the report of a trap can name it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, io, process, thread};

/// How much `memory` and `touch` ask for at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Far above any memory that the app has grown to: the last page of a 32-bit address space.
const OUT_OF_BOUNDS: usize = 0xffff_0000;

/// Never set; the optimiser cannot know that, so what waits for it has no end that the optimiser could use.
static STOP: AtomicBool = AtomicBool::new(false);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["unreachable"] => trap_unreachable(),
        ["oob"] => println!("read {}", trap_out_of_bounds()),
        ["divide"] => println!("quotient {}", trap_divide_by_zero(black_box(7), black_box(0))),
        ["stack"] => println!("returned {}", recurse_for_ever(0)),
        ["memory", ref limit @ ..] => allocate(limit, false),
        ["touch", ref limit @ ..] => allocate(limit, true),
        ["loop"] => loop_for_ever(),
        ["exit", code] => process::exit(number(code)),
        ["stdin"] => copy_stdin(),
        ["sleep", milliseconds] => thread::sleep(Duration::from_millis(number(milliseconds))),
        ["panic"] => panic_with_a_message(),
        _ => wrong_usage(&format!("arguments {arguments:?}")),
    }
}

fn wrong_usage(found: &str) -> ! {
    eprintln!(
        "traps: wanted unreachable | oob | divide | stack | memory [MIB] | touch [MIB] | loop | exit CODE | stdin | sleep MS | panic, \
         found {found}"
    );
    process::exit(2);
}

fn number<N: std::str::FromStr>(text: &str) -> N {
    text.parse().unwrap_or_else(|_| wrong_usage(&format!("{text:?} in place of a number")))
}

#[inline(never)]
fn trap_unreachable() {
    core::arch::wasm32::unreachable()
}

#[inline(never)]
fn trap_out_of_bounds() -> u8 {
    let address = black_box(OUT_OF_BOUNDS) as *const u8;
    // SAFETY: none; this is the fault that the app is for. WebAssembly defines it: a load outside the linear memory traps.
    unsafe { address.read_volatile() }
}

#[inline(never)]
fn trap_divide_by_zero(dividend: u32, divisor: u32) -> u32 {
    // SAFETY: none; it removes Rust's own check, so that the division itself traps, as WebAssembly defines. The `black_box` of the caller keeps
    // the optimiser from using the contradiction.
    unsafe { std::hint::assert_unchecked(divisor != 0) };
    dividend / divisor
}

/// Recurses on the call stack alone: a frame in linear memory would overflow first, and look like an out-of-bounds access.
#[inline(never)]
fn recurse_for_ever(depth: u64) -> u64 {
    if STOP.load(Ordering::Relaxed) {
        return depth;
    }
    // Neither a tail call nor a sum that could become a loop.
    recurse_for_ever(depth + 1).rotate_left(1) ^ depth
}

/// Allocates until the allocator fails, says how far it came and aborts; or until `limit` MiB, and returns.
#[inline(never)]
fn allocate(limit: &[&str], touch: bool) {
    let limit = match limit {
        [] => usize::MAX,
        [mebibytes] => number(mebibytes),
        _ => wrong_usage("more than one limit"),
    };
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    while blocks.len() < limit {
        let mut block = Vec::new();
        if blocks.try_reserve(1).is_err() || block.try_reserve_exact(BLOCK_BYTES).is_err() {
            println!("out of memory after {} MiB", blocks.len());
            process::abort();
        }
        if touch {
            block.resize(BLOCK_BYTES, 0xa5);
        }
        blocks.push(black_box(block));
    }
    println!("allocated {} MiB", blocks.len());
}

#[inline(never)]
fn loop_for_ever() {
    println!("looping");
    while !STOP.load(Ordering::Relaxed) {}
}

fn copy_stdin() {
    if let Err(error) = io::copy(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        eprintln!("traps: copying standard input to standard output: {error}");
        process::exit(1);
    }
}

#[inline(never)]
fn panic_with_a_message() {
    panic!("a panic, as asked");
}
