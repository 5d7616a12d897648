//! What a server says of failures, on the error output: each one, but not without end.

use crate::console::Buffers;
use alloc::string::String;
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use mwasm_ports::{Console, Output};

/// How many reports there may be between two calls of [`Report::refill`]: whoever makes an app trap must not fill a disk with that.
const MAX_REPORTS: u32 = 10;

/// The error output, for reports.
pub(crate) struct Report {
    console: Arc<dyn Console>,
    buffers: RefCell<Buffers>,
    left: Cell<u32>,
    unsaid: Cell<u64>,
}

impl Report {
    pub fn new(console: Arc<dyn Console>) -> Self {
        Self { console, buffers: RefCell::default(), left: Cell::new(MAX_REPORTS), unsaid: Cell::new(0) }
    }

    /// Says `text`, or counts it if there was too much. A console that is slow gets it later, one that is gone never.
    pub fn say(&self, text: impl FnOnce() -> String) {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                self.write(&text());
            }
            None => self.unsaid.set(self.unsaid.get() + 1),
        }
    }

    /// To be called once in a while.
    pub fn refill(&self) {
        self.left.set(MAX_REPORTS);
        match self.unsaid.replace(0) {
            0 => {
                let _ = self.buffers.borrow_mut().drain(&*self.console, Output::Err);
            }
            count => self.write(&alloc::format!("mwasm: {count} more failures of this kind\n")),
        }
    }

    fn write(&self, text: &str) {
        let buffers = &mut *self.buffers.borrow_mut();
        // While the console is full, one text waits at most.
        if buffers.drain(&*self.console, Output::Err) == Ok(true) {
            let _ = buffers.write(&*self.console, Output::Err, text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_ports::fake::Machine;

    /// An app that traps at every request would fill the log of a busy server.
    #[test]
    fn a_flood_of_reports_is_counted() {
        let machine = Machine::new(1);
        let report = Report::new(machine.clone());
        (0..MAX_REPORTS + 5).for_each(|_| report.say(|| "trap\n".into()));
        assert_eq!(machine.state().err, "trap\n".repeat(MAX_REPORTS as usize).into_bytes());
        report.refill();
        report.say(|| "again\n".into());
        assert!(machine.state().err.ends_with(b"mwasm: 5 more failures of this kind\nagain\n"));
    }
}
