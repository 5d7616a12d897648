//! Last words: messages that must come out whatever state the rest is in, and the end after them.

use crate::board::Board;
use crate::cpu;
use crate::exclusive::Exclusive;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use mwasm_ports::Outcome;

/// How often a full console is asked again before the rest of a last message is dropped.
const CONSOLE_TRIES: u32 = 10_000_000;

static BOARD: Exclusive<Option<&'static dyn Board>> = Exclusive::new(None);
/// How often the end was begun: an error on the way out must not say it all again, for ever.
static ENDINGS: AtomicU32 = AtomicU32::new(0);

/// Makes the board known; the first thing that a host does.
pub fn set_board(board: &'static dyn Board) {
    BOARD.try_with(|slot| *slot = Some(board));
}

/// The board, if it is known yet.
pub fn board() -> Option<&'static dyn Board> {
    BOARD.try_with(|slot| *slot).flatten()
}

/// The console as a formatter's target; waits for the device, but not for ever.
struct Line(&'static dyn Board);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut bytes = text.as_bytes();
        let mut tries = 0;
        while !bytes.is_empty() && tries < CONSOLE_TRIES {
            let taken = self.0.console_write(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            tries += u32::from(taken == 0);
        }
        Ok(())
    }
}

/// Prints a message as it is.
pub fn say(message: fmt::Arguments<'_>) {
    if let Some(board) = board() {
        cpu::without_interrupts(|| {
            // `Line` never fails.
            let _ = Line(board).write_fmt(message);
        });
    }
}

/// Says why, and switches off.
pub fn end(outcome: Outcome, why: fmt::Arguments<'_>) -> ! {
    cpu::interrupts_off();
    let before = ENDINGS.fetch_add(1, Relaxed);
    if before == 0 {
        say(format_args!("mwasm: {why}\n"));
    }
    match board() {
        Some(board) if before < 2 => board.off(outcome),
        _ => hang(),
    }
}

/// Stands still: the last resort of a machine that cannot be switched off.
pub fn hang() -> ! {
    cpu::interrupts_off();
    loop {
        cpu::stand_still();
    }
}

/// Says where the bug is and no more: what nobody formats, the linker drops, all messages of all panics with it (33 KB).
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let place = info.location();
    panicked(place.map_or("", |place| place.file()), place.map_or(0, |place| place.line()))
}

#[cold]
#[inline(never)]
fn panicked(file: &str, line: u32) -> ! {
    end(
        Outcome::Failed,
        format_args!("a bug in the host: panicked at {file}:{line}\nPlease report it with this message."),
    )
}
