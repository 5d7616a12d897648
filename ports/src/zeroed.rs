//! Buffers of zeros, without a loop over their bytes.
//!
//! `Vec::resize` is one where it is compiled for size: the two buffers of a TCP connection cost 800,000 instructions that way.

use alloc::vec::Vec;

/// A buffer of `bytes` zeros; `None` where there is no memory for it.
pub fn zeroed(bytes: usize) -> Option<Vec<u8>> {
    let mut buffer: Vec<u8> = Vec::new();
    buffer.try_reserve_exact(bytes).ok()?;
    // SAFETY: these bytes are within the capacity that was just reserved, and initialised by the first line.
    unsafe {
        buffer.as_mut_ptr().write_bytes(0, bytes);
        buffer.set_len(bytes);
    }
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_zero_or_there_is_no_buffer() {
        assert_eq!(zeroed(70_000), Some(alloc::vec![0; 70_000]));
        assert_eq!(zeroed(0), Some(Vec::new()));
        assert_eq!(zeroed(usize::MAX), None);
    }
}
