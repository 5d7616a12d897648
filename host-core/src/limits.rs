//! What a guest may take of the machine: memory, tables, and how many things.
//!
//! Guest memory is handed out page by page when it is touched, so growing it costs nothing at first. That must not let a guest grow
//! past what there is: each growth is reserved with the [`Memory`](mwasm_ports::Memory) port first, and a growth that cannot be
//! kept is refused, which the guest sees as `memory.grow` returning -1, the standard answer.

use alloc::sync::Arc;
use mwasm_ports::Memory;
use wasmtime::{ResourceLimiter, Result};

/// The most elements of one table.
pub const MAX_TABLE_ELEMENTS: usize = 1 << 20;
/// The most core instances, memories and tables of one app, each.
pub const MAX_ITEMS: usize = 1000;
/// Bytes that a table element costs the host.
const TABLE_ELEMENT_BYTES: u64 = 16;

/// Counts what a guest has.
pub struct Limits {
    memory: Arc<dyn Memory>,
    heap_bytes: Option<u64>,
    granted_bytes: u64,
    refused_bytes: u64,
}

impl Limits {
    /// Limits by what `memory` promises, and by `heap_bytes` if there is such a limit.
    pub fn new(memory: Arc<dyn Memory>, heap_bytes: Option<u64>) -> Self {
        Self { memory, heap_bytes, granted_bytes: 0, refused_bytes: 0 }
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
        self.heap_bytes.unwrap_or(u64::MAX).min(self.memory.total_bytes())
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        let sum = self.granted_bytes.saturating_add(more);
        let granted = sum <= self.heap_bytes.unwrap_or(u64::MAX) && self.memory.reserve(more);
        if granted {
            self.granted_bytes = sum;
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
        if !granted {
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
