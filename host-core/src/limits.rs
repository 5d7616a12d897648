//! What a guest may take of the machine: memory, tables, and how many things.
//!
//! Guest memory is handed out page by page when it is touched, so growing it costs nothing at first. That must not let a guest grow
//! past what there is: each growth is reserved with the [`Memory`](mwasm_ports::Memory) port first, and a growth that cannot be
//! kept is refused, which the guest sees as `memory.grow` returning -1, the standard answer.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use mwasm_ports::Memory;
use wasmtime::{ResourceLimiter, Result};

/// The most elements of one table.
pub const MAX_TABLE_ELEMENTS: usize = 1 << 20;
/// The most core instances, memories and tables of one app, each.
pub const MAX_ITEMS: usize = 1000;
/// Bytes that a table element costs the host.
const TABLE_ELEMENT_BYTES: u64 = 16;

/// Counts what a guest has. It is given back when this is dropped.
pub struct Limits {
    memory: Arc<dyn Memory>,
    heap: Arc<Heap>,
    granted_bytes: u64,
    table_bytes: u64,
    refused_bytes: u64,
}

/// The linear memories of all instances of an app.
struct Heap {
    most_bytes: Option<u64>,
    granted_bytes: AtomicU64,
}

impl Heap {
    /// Whether there may be so many bytes more; if so, they are counted.
    fn grow(&self, bytes: u64) -> bool {
        let most = self.most_bytes.unwrap_or(u64::MAX);
        let grown = |granted: u64| granted.checked_add(bytes).filter(|sum| *sum <= most);
        self.granted_bytes.fetch_update(Relaxed, Relaxed, grown).is_ok()
    }

    fn shrink(&self, bytes: u64) {
        self.granted_bytes.fetch_sub(bytes, Relaxed);
    }
}

impl Limits {
    /// Limits by what `memory` promises, and by `heap_bytes` if there is such a limit.
    pub fn new(memory: Arc<dyn Memory>, heap_bytes: Option<u64>) -> Self {
        let heap = Heap { most_bytes: heap_bytes, granted_bytes: AtomicU64::new(0) };
        Self { memory, heap: Arc::new(heap), granted_bytes: 0, table_bytes: 0, refused_bytes: 0 }
    }

    /// Limits of another instance of the same app: both together may have what one alone may have.
    #[must_use]
    pub fn beside(&self) -> Self {
        let (memory, heap) = (self.memory.clone(), self.heap.clone());
        Self { memory, heap, granted_bytes: 0, table_bytes: 0, refused_bytes: 0 }
    }

    /// Bytes of linear memory that the guest has.
    pub fn granted_bytes(&self) -> u64 {
        self.granted_bytes
    }

    /// The size of the growth that was refused last, in bytes; 0 if none was.
    pub fn refused_bytes(&self) -> u64 {
        self.refused_bytes
    }

    /// The most that the guest may have, in bytes.
    pub fn most_bytes(&self) -> u64 {
        self.heap.most_bytes.unwrap_or(u64::MAX).min(self.memory.total_bytes())
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.heap.shrink(self.granted_bytes);
        self.memory.release(self.granted_bytes.saturating_add(self.table_bytes));
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        let mut granted = self.heap.grow(more);
        if granted && !self.memory.reserve(more) {
            self.heap.shrink(more);
            granted = false;
        }
        if granted {
            self.granted_bytes = self.granted_bytes.saturating_add(more);
        } else {
            self.refused_bytes = more;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if desired > maximum.unwrap_or(usize::MAX).min(MAX_TABLE_ELEMENTS) {
            return Ok(false);
        }
        let more = (desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT_BYTES);
        let granted = self.memory.reserve(more);
        if granted {
            self.table_bytes = self.table_bytes.saturating_add(more);
        } else {
            self.refused_bytes = more;
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        MAX_ITEMS
    }

    fn tables(&self) -> usize {
        MAX_ITEMS
    }

    fn memories(&self) -> usize {
        MAX_ITEMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_ports::fake::Machine;

    #[test]
    fn growth_stops_at_the_machine_and_at_the_manifest() {
        let machine = Machine::new(1);
        machine.state().memory_bytes = Some(300);
        let mut limits = Limits::new(machine.clone(), None);
        assert!(limits.memory_growing(0, 200, None).unwrap());
        assert!(!limits.memory_growing(200, 400, None).unwrap());
        assert!(limits.memory_growing(200, 300, None).unwrap());
        assert_eq!((limits.granted_bytes(), limits.refused_bytes()), (300, 200));
        let mut limits = Limits::new(Machine::new(1), Some(100));
        assert!(!limits.memory_growing(0, 101, None).unwrap());
        assert!(!limits.memory_growing(0, 50, Some(40)).unwrap());
        assert_eq!(limits.most_bytes(), 100);
    }

    /// A server has several instances of an app, and throws some away: all that they had must be there for others.
    #[test]
    fn instances_share_and_give_back() {
        let machine = Machine::new(1);
        let mut first = Limits::new(machine.clone(), Some(300));
        let mut second = first.beside();
        assert!(first.memory_growing(0, 200, None).unwrap() && second.table_growing(0, 1, None).unwrap());
        assert!(!second.memory_growing(0, 101, None).unwrap() && second.memory_growing(0, 100, None).unwrap());
        drop(first);
        assert!(second.memory_growing(100, 300, None).unwrap());
        drop(second);
        assert_eq!(machine.state().reserved_bytes, 0);
    }

    #[test]
    fn tables_are_bounded() {
        let machine = Machine::new(1);
        machine.state().memory_bytes = Some(100);
        let mut small = Limits::new(machine, None);
        assert!(!small.table_growing(0, 10, None).unwrap());
        assert_eq!(small.refused_bytes(), 160);
        let mut limits = Limits::new(Machine::new(1), None);
        assert!(limits.table_growing(0, MAX_TABLE_ELEMENTS, None).unwrap());
        assert!(!limits.table_growing(0, MAX_TABLE_ELEMENTS + 1, None).unwrap());
    }
}
