//! Apps that end badly: contained on every target, reported with the function's name, with the exit code of a trap.

use anyhow::{Result, ensure};
use mwasm_tests::cases::Case;
use mwasm_tests::machine::{Image, Machine, aot};
use mwasm_tests::process::Ran;
use mwasm_tests::table::Rows;

/// Exit code of a trap.
const TRAP: i32 = 134;

/// Argument of examples/traps, the function that must be named, and words that the report must have.
const FAULTS: &[(&str, &str, &str)] = &[
    ("unreachable", "trap_unreachable", "unreachable"),
    ("oob", "trap_out_of_bounds", "outside of its memory"),
    ("divide", "trap_divide_by_zero", "division by zero"),
    ("stack", "recurse_for_ever", "stack is full"),
    ("panic", "panic_with_a_message", "a panic, as asked"),
    ("memory", "allocate", "unreachable"),
];

fn case(args: &'static [&'static str]) -> Case {
    Case {
        name: "fault",
        guest: "traps",
        language: "Rust",
        slow: false,
        args,
        env: &[],
        site: false,
        stdout: Vec::new(),
        stderr: b"",
        code: TRAP,
    }
}

fn check(ran: &Ran, function: &str, words: &str) -> Result<()> {
    let said = [ran.stdout.as_slice(), ran.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(ran.code == Some(TRAP), "wanted the exit code {TRAP}, found {:?}; it said\n{said}", ran.code);
    ensure!(said.contains(function), "wanted {function} to be named, found\n{said}");
    ensure!(said.contains(words), "wanted {words:?}, found\n{said}");
    Ok(())
}

fn faults(test: &str, target: &[&str], machines: &[Machine], more: &[&str]) -> Result<()> {
    let mut rows = Rows::default();
    for (argument, function, words) in FAULTS {
        // Arguments live as long as the table.
        let args: &'static [&'static str] = vec![*argument].leak();
        let image: Result<Image> = aot(&case(args), target, more);
        for machine in machines {
            let result = match &image {
                Ok(image) => image.run(*machine, &[]).and_then(|ran| check(&ran, function, words)),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            let result = result.map_err(|error| error.context(format!("{argument} on {}", machine.name())));
            rows.add(&format!("trap: {argument}"), "Rust", machine.name(), result);
        }
    }
    rows.finish(test)
}

/// A desktop has memory without end, or so Linux says: the manifest sets the limit that the guest must meet.
fn limit() -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("mwasm.toml"), "[memory]\nheap = \"64 MiB\"\n")?;
    Ok(directory)
}

#[test]
fn desktop() -> Result<()> {
    let limit = limit()?;
    let manifest = limit.path().join("mwasm.toml").display().to_string();
    faults("faults-desktop", &["--target", "desktop"], &[Machine::Desktop], &["-m", &manifest])
}

#[test]
fn xen_on_qemu() -> Result<()> {
    faults("faults-xen", &["--target", "xen"], &[Machine::Microvm, Machine::Q35], &[])
}

#[test]
fn arm() -> Result<()> {
    faults("faults-arm", &["--target", "arm"], &[Machine::Virt], &[])
}
