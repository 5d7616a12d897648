//! How a run ends, as seen from Wasmtime's errors, and what is said about it.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};
use mwasm_ports::Outcome;
use wasmtime::{Error, Trap, WasmBacktrace};

/// The error by which `wasi:cli/exit` unwinds the guest; not a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the app ended with code {}", self.0)
    }
}

impl core::error::Error for Exit {}

/// The most frames of a backtrace that are shown.
const MAX_FRAMES: usize = 16;

/// What an error that ended a run comes to.
pub fn outcome(error: &Error) -> Outcome {
    match error.downcast_ref::<Exit>() {
        Some(Exit(code)) => Outcome::Exit(*code),
        None => Outcome::Trap,
    }
}

/// Tells a person why the app trapped and where: the cause, then the functions that were running, innermost first.
pub fn describe(error: &Error) -> String {
    let mut text = match error.downcast_ref::<Trap>() {
        Some(trap) => format!("mwasm: the app trapped: {}\n", cause(*trap)),
        None => format!("mwasm: the app failed: {}\n", error.root_cause()),
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let frames = backtrace.frames();
        for (number, frame) in frames.iter().take(MAX_FRAMES).enumerate() {
            let index = frame.func_index();
            let _ = match frame.func_name() {
                Some(name) => writeln!(text, "  {number:2}: {name} (function {index})"),
                None => writeln!(text, "  {number:2}: function {index}"),
            };
        }
        if let Some(more) = frames.len().checked_sub(MAX_FRAMES).filter(|more| *more > 0) {
            let _ = writeln!(text, "  ... and {more} more");
        }
    }
    text
}

fn cause(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "its stack is full (endless recursion, or a larger stack is needed: [memory] stack)",
        Trap::MemoryOutOfBounds => "access outside of its memory",
        Trap::HeapMisaligned => "misaligned atomic access",
        Trap::TableOutOfBounds => "access outside of a table",
        Trap::IndirectCallToNull => "call of a null function",
        Trap::BadSignature => "indirect call of a function of another type",
        Trap::IntegerOverflow => "integer overflow",
        Trap::IntegerDivisionByZero => "integer division by zero",
        Trap::BadConversionToInteger => "float that is no integer",
        Trap::UnreachableCodeReached => "unreachable instruction (a panic or an abort)",
        _ => "the runtime found a fault (run it with `mwasm run` to see which)",
    }
}
