//! Real guests on a machine in memory: virtual time, seeded faults, and the same host core that ships.
//!
//! The machine's time moves only when somebody parks, so an hour's sleep takes no time, and a run that waits for nothing that will ever
//! come ends by itself.

use anyhow::Result;
use mwasm_host_desktop::linux;
use mwasm_plan::{Entry, Plan};
use mwasm_ports::fake::Machine;
use mwasm_ports::faulty::{Faults, Faulty};
use mwasm_ports::{Outcome, Ports};
use mwasm_tests::guest;
use std::sync::Arc;

fn plan(args: &'static [&'static str], entry: Entry<'static>) -> Plan<'static> {
    Plan { name: "app", entry, args: args.to_vec(), ..Plan::default() }
}

/// Runs an app on `ports`; `export` is the name of its entry up to the patch version.
fn run_on(ports: Ports, name: &str, args: &'static [&'static str]) -> Result<Outcome> {
    let component = std::fs::read(guest(name)?)?;
    let entry = match name {
        "hello-rust-p3" => Entry::Run03("wasi:cli/run@0.3.0"),
        _ => Entry::Run02(run_export(&component)),
    };
    linux::run_on(ports, &component, &plan(args, entry), &[]).map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// The name of the export `wasi:cli/run` in a component's bytes: it stands there as it is.
fn run_export(component: &[u8]) -> &'static str {
    let prefix = b"wasi:cli/run@0.2.";
    let at = component.windows(prefix.len()).position(|window| window == prefix).unwrap_or(0);
    let digits = component.iter().skip(at + prefix.len()).take_while(|byte| byte.is_ascii_digit());
    let patch: String = digits.map(|byte| char::from(*byte)).collect();
    format!("wasi:cli/run@0.2.{patch}").leak()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn machine() -> Arc<Machine> {
    Machine::new(7)
}

#[test]
fn an_hour_of_sleep_takes_no_time() -> Result<()> {
    let machine = machine();
    assert_eq!(run_on(machine.ports(), "traps", &["sleep", "3600000"])?, Outcome::Exit(0));
    assert!(machine.state().now_ns >= 3_600_000_000_000);
    assert!(machine.state().parks < 10, "it slept in {} parks", machine.state().parks);
    Ok(())
}

#[test]
fn hello_prints_the_same_on_a_machine_that_is_slow_to_take_bytes() -> Result<()> {
    for name in ["hello-rust", "hello-rust-p3", "hello-c"] {
        let good = machine();
        assert_eq!(run_on(good.ports(), name, &["x"])?, Outcome::Exit(0), "{name}: {}", text(&good.state().err));
        let bad = machine();
        let faults =
            Faults { output_full: 80, output_short: 120, park_early: 60, clock_stands: 60, ..Faults::default() };
        assert_eq!(run_on(Faulty::ports(bad.ports(), faults, 11), name, &["x"])?, Outcome::Exit(0), "{name}");
        assert_eq!(text(&bad.state().out), text(&good.state().out), "{name}");
        assert!(text(&good.state().out).contains("argument: x\n"), "{name}");
    }
    Ok(())
}

#[test]
fn input_that_comes_late_and_in_pieces_is_copied() -> Result<()> {
    let machine = machine();
    for (at_ns, piece) in [(10, "first "), (2_000_000_000, "second "), (7_000_000_000, "third")] {
        machine.state().input_later.push_back((at_ns, piece.as_bytes().to_vec()));
    }
    let faults = Faults { input_late: 100, input_short: 100, output_short: 100, ..Faults::default() };
    assert_eq!(run_on(Faulty::ports(machine.ports(), faults, 3), "traps", &["stdin"])?, Outcome::Exit(0));
    assert_eq!(text(&machine.state().out), "first second third");
    assert!(machine.state().now_ns >= 7_000_000_000);
    Ok(())
}

#[test]
fn a_stop_from_outside_ends_a_sleep() -> Result<()> {
    let machine = machine();
    machine.state().stop_at_ns = Some(5_000_000);
    assert_eq!(run_on(machine.ports(), "traps", &["sleep", "3600000"])?, Outcome::Stopped);
    Ok(())
}

#[test]
fn a_console_that_went_away_is_an_error_of_the_app() -> Result<()> {
    let machine = machine();
    let faults = Faults { closes_after_bytes: Some(5), ..Faults::default() };
    let outcome = run_on(Faulty::ports(machine.ports(), faults, 1), "hello-rust", &[])?;
    assert_ne!(outcome, Outcome::Exit(0));
    assert_eq!(text(&machine.state().out), "hello");
    Ok(())
}

#[test]
fn a_guest_gets_no_more_memory_than_there_is() -> Result<()> {
    let machine = machine();
    machine.state().memory_bytes = Some(8 << 20);
    assert_eq!(run_on(machine.ports(), "traps", &["touch", "64"])?, Outcome::Trap);
    let said = text(&machine.state().err);
    assert!(said.contains("was refused"), "{said}");
    assert!(machine.state().reserved_bytes <= 8 << 20);
    Ok(())
}

#[test]
fn an_app_that_does_not_fit_is_refused_with_a_message() -> Result<()> {
    let machine = machine();
    machine.state().memory_bytes = Some(64 << 10);
    assert_eq!(run_on(machine.ports(), "traps", &["exit", "0"])?, Outcome::Failed);
    let said = text(&machine.state().err);
    assert!(said.contains("cannot start") && said.contains("KiB"), "{said}");
    Ok(())
}

#[test]
fn entropy_that_fails_ends_the_app_and_is_never_made_up() -> Result<()> {
    let machine = machine();
    let faults = Faults { entropy_refuses: 255, ..Faults::default() };
    let outcome = run_on(Faulty::ports(machine.ports(), faults, 1), "hello-rust", &[])?;
    assert_eq!(outcome, Outcome::Trap);
    let said = text(&machine.state().err);
    assert!(said.contains("secure randomness"), "{said}");
    Ok(())
}

#[test]
fn one_seed_is_one_run() -> Result<()> {
    let run = |seed| -> Result<_> {
        let machine = Machine::new(seed);
        run_on(machine.ports(), "hello-rust", &[])?;
        let state = machine.state().clone();
        Ok((state.out, state.now_ns, state.parks, state.seed))
    };
    assert_eq!(run(1)?, run(1)?);
    assert_ne!(run(1)?.3, run(2)?.3);
    Ok(())
}
