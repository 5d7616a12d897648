//! One owner at a time, without waiting.
//!
//! The kernel runs on one processor, and interrupt handlers do not manage memory. What is left is a page fault inside
//! the code that manages memory; it must be refused, not waited for, because the one that holds the lock is the one
//! that faulted.

use core::cell::{Cell, UnsafeCell};

/// A value that one user at a time can have.
#[derive(Debug)]
pub struct Exclusive<T> {
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: on one processor the flag is enough: whoever interrupts a user of the value finds it set and gets nothing. On
// the build machine, where tests have threads, each test has its own.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    /// Holds `value`.
    pub const fn new(value: T) -> Self {
        Self { busy: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Lets `f` use the value; `None` if somebody below on the stack is using it already.
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        crate::cpu::touch_stack();
        if self.busy.replace(true) {
            return None;
        }
        // SAFETY: the flag was clear, so nobody else has the value until it is clear again.
        let result = f(unsafe { &mut *self.value.get() });
        self.busy.set(false);
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_user_is_refused() {
        let cell = Exclusive::new(1);
        assert_eq!(cell.try_with(|value| (core::mem::replace(value, 2), cell.try_with(|_| ()))), Some((1, None)));
        assert_eq!(cell.try_with(|value| *value), Some(2));
    }
}
