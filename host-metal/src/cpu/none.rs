//! On the build machine, where the rest of the crate is tested: nobody reads the tables, and there are no interrupts.

/// Whether interrupts were on.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts;

/// Turns interrupts off; says how they were.
pub fn interrupts_off() -> Interrupts {
    Interrupts
}

/// Puts them back.
pub fn interrupts_restore(_before: Interrupts) {}

/// Makes new mappings visible.
pub fn publish_mappings() {}

/// Forgets the translation of the page at `address`.
pub fn forget_page(_address: usize) {}

/// Touches the stack that the caller is about to use; here the operating system takes care of stacks.
pub fn touch_stack() {}
