//! What becomes of processor exceptions.
//!
//! A page fault on a page that is allowed but not there yet is resolved, and the instruction runs again. Any other
//! exception is first offered to Wasmtime, which knows whether the instruction was guest code: then it leaves through
//! the guest's own way out, and never comes back. It must not do that on the handler's stack, nor with interrupts off.
//! So the host's handler returns from the exception to [`deliver`], on a stack of its own ([`stack_top`]). What
//! Wasmtime does not want is a bug of the kernel: its registers are printed and the machine ends.

use super::{fatal, memory, stacks};
use crate::exclusive::Exclusive;
use crate::page::{Access, PAGE_BYTES};
use crate::space::Fault;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use mwasm_ports::Outcome;

/// Stack on which Wasmtime looks at a trap, in bytes; it walks the guest's stack and collects a backtrace there.
const DELIVERY_STACK_BYTES: usize = 64 << 10;
/// The most registers of a dump.
pub const MAX_REGISTERS: usize = 36;

static HANDLER: AtomicUsize = AtomicUsize::new(0);
static STACK_TOP: AtomicUsize = AtomicUsize::new(0);
static DUMP: Exclusive<Dump> = Exclusive::new(Dump::new());

/// Wasmtime's handler: instruction and frame pointer, whether there is a fault address, and which.
pub(super) type Handler = extern "C" fn(usize, usize, bool, usize);

pub(super) fn set_handler(handler: Handler) {
    HANDLER.store(handler as usize, Relaxed);
}

/// Makes the stack for delivery.
pub(super) fn prepare() {
    if let Some(top) = stacks::allocate(DELIVERY_STACK_BYTES) {
        STACK_TOP.store(top, Relaxed);
    }
}

/// The processor's state at an exception, for last words.
#[derive(Clone, Copy, Debug)]
pub struct Dump {
    /// What happened, as the processor's manual calls it.
    pub what: &'static str,
    /// The stack pointer.
    pub stack: usize,
    /// Names of the registers, as many as there are.
    pub names: &'static [&'static str],
    /// Their values.
    pub values: [u64; MAX_REGISTERS],
}

impl Dump {
    /// Nothing happened.
    pub const fn new() -> Self {
        Self { what: "", stack: 0, names: &[], values: [0; MAX_REGISTERS] }
    }
}

impl Default for Dump {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        for (i, (name, value)) in self.names.iter().zip(&self.values).enumerate() {
            let separator = if i % 4 == 0 { "\n " } else { "" };
            write!(f, "{separator} {name:>6} {value:016x}")?;
        }
        Ok(())
    }
}

/// What the host's handler does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Return, and run the instruction again.
    Resume,
    /// Return to [`deliver`] on the stack at [`stack_top`].
    Deliver,
}

/// For handlers: a page fault at `address`.
pub fn page_fault(address: usize, access: Access, dump: &Dump) -> Next {
    match memory::fault(address, access) {
        Fault::Resolved => Next::Resume,
        Fault::Denied => exception(dump),
        Fault::OutOfFrames => {
            let (total, _) = memory::account();
            fatal::end(
                Outcome::Trap,
                format_args!("the machine's memory ({} KiB) is full; give the machine more memory", total >> 10),
            )
        }
        Fault::Reentered => bug(dump),
    }
}

/// For handlers: an exception that nothing here resolves.
pub fn exception(dump: &Dump) -> Next {
    let top = STACK_TOP.load(Relaxed);
    // An exception during delivery would be delivered for ever.
    let delivering = (top.saturating_sub(DELIVERY_STACK_BYTES + PAGE_BYTES)..=top).contains(&dump.stack);
    if HANDLER.load(Relaxed) == 0 || top == 0 || delivering {
        bug(dump);
    }
    DUMP.try_with(|slot| *slot = *dump);
    Next::Deliver
}

/// An exception in the kernel itself.
pub fn bug(dump: &Dump) -> ! {
    fatal::end(
        Outcome::Failed,
        format_args!("a bug in the host: processor exception\n{dump}\nPlease report it with these lines."),
    )
}

/// The stack that [`deliver`] runs on.
pub fn stack_top() -> usize {
    STACK_TOP.load(Relaxed)
}

/// Offers an exception to Wasmtime. Returns only into the guest's way out.
pub extern "C" fn deliver(instruction: usize, frame: usize, has_address: bool, address: usize) -> ! {
    let handler = HANDLER.load(Relaxed);
    if handler != 0 {
        // SAFETY: `set_handler` stored a function of this type.
        let handler: Handler = unsafe { core::mem::transmute(handler) };
        handler(instruction, frame, has_address, address);
    }
    bug(&DUMP.try_with(|dump| *dump).unwrap_or_default())
}
