//! How many requests run or wait at once.

use core::cell::Cell;

/// A place among the requests that run or wait.
pub(super) struct Place<'a>(&'a Cell<usize>);

impl<'a> Place<'a> {
    /// A place, unless so many are taken.
    pub fn take(taken: &'a Cell<usize>, most: usize) -> Option<Self> {
        let count = taken.get();
        (count < most).then(|| {
            taken.set(count + 1);
            Self(taken)
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
