//! Pages: the unit of all memory management here, and what may be done with one.

/// Bytes in a page; the granule of both architectures' tables.
pub const PAGE_BYTES: usize = 4096;
/// log2 of [`PAGE_BYTES`].
pub const PAGE_SHIFT: usize = 12;

/// What code may do with a page. Writable and executable at once is refused everywhere ([`Prot::new`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prot(u8);

impl Prot {
    /// Nothing: each access faults.
    pub const NONE: Self = Self(0);
    /// Reads.
    pub const READ: Self = Self(1);
    /// Reads and writes.
    pub const READ_WRITE: Self = Self(1 | 2);
    /// Reads and instruction fetches.
    pub const READ_EXECUTE: Self = Self(1 | 4);

    /// A protection from bits: 1 read, 2 write, 4 execute (the values of Wasmtime's C API). Write and execute imply
    /// read, as on the processors; both together are refused.
    pub const fn new(bits: u32) -> Option<Self> {
        match bits {
            0 => Some(Self::NONE),
            1 => Some(Self::READ),
            2 | 3 => Some(Self::READ_WRITE),
            4 | 5 => Some(Self::READ_EXECUTE),
            _ => None,
        }
    }

    /// Whether anything is allowed.
    pub const fn readable(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether writes are allowed.
    pub const fn writable(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether instruction fetches are allowed.
    pub const fn executable(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether this access is allowed.
    pub const fn allows(self, access: Access) -> bool {
        match access {
            Access::Read => self.readable(),
            Access::Write => self.writable(),
            Access::Fetch => self.executable(),
        }
    }
}

/// What an instruction tried to do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read data.
    Read,
    /// Write data.
    Write,
    /// Fetch an instruction.
    Fetch,
}

/// `address` rounded down to its page.
pub const fn page_down(address: usize) -> usize {
    address & !(PAGE_BYTES - 1)
}

/// `address` rounded up to a page; saturates at the last page of the address space.
pub const fn page_up(address: usize) -> usize {
    match address.checked_add(PAGE_BYTES - 1) {
        Some(sum) => page_down(sum),
        None => page_down(usize::MAX),
    }
}

/// Whether `address` is the start of a page.
pub const fn is_page_aligned(address: usize) -> bool {
    address.is_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_writable_and_executable() {
        for bits in 0..8 {
            let prot = Prot::new(bits);
            assert_eq!(prot.is_none(), bits & 6 == 6, "{bits}");
            assert!(prot.is_none_or(|prot| !(prot.writable() && prot.executable())));
        }
        assert_eq!(Prot::new(8), None);
    }

    #[test]
    fn rounding_saturates() {
        assert_eq!((page_down(4097), page_up(4097), page_up(4096)), (4096, 8192, 4096));
        assert_eq!(page_up(usize::MAX), usize::MAX & !4095);
    }
}
