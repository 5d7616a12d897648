//! Secure randomness: the processor's (FEAT_RNG), or a virtio device's.

use super::registers::read_register;
use crate::devices::Devices;
use alloc::sync::Arc;
use core::arch::asm;
use mwasm_host_metal::bare::virtio::VirtioEntropy;
use mwasm_ports::{Entropy, EntropyError};

/// Position in ID_AA64ISAR0_EL1 of the field that says whether there is RNDR.
const RNDR_FIELD: u64 = 60;
/// How often RNDR is asked again when it has nothing ready.
const TRIES: u32 = 100;

/// The best source that this machine has.
pub fn open(devices: &Devices) -> Option<Arc<dyn Entropy>> {
    if read_register!("id_aa64isar0_el1") >> RNDR_FIELD != 0 && Processor.is_alive() {
        return Some(Arc::new(Processor));
    }
    Some(Arc::new(VirtioEntropy::find(devices.virtio_windows())?))
}

/// RNDR.
struct Processor;

impl Processor {
    /// A source that says the same number again and again is none.
    fn is_alive(&self) -> bool {
        let words = [self.word(), self.word(), self.word()];
        words.iter().all(|word| word.is_ok()) && words.windows(2).any(|pair| pair[0] != pair[1])
    }

    fn word(&self) -> Result<u64, EntropyError> {
        for _ in 0..TRIES {
            let (word, ok): (u64, u64);
            // SAFETY: `open` saw that the processor has the register. It sets the zero flag when it has nothing.
            unsafe { asm!("mrs {}, S3_3_C2_C4_0", "cset {}, ne", out(reg) word, out(reg) ok, options(nomem, nostack)) };
            if ok == 1 {
                return Ok(word);
            }
            core::hint::spin_loop();
        }
        Err(EntropyError)
    }
}

impl Entropy for Processor {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(8) {
            let word = self.word()?.to_le_bytes();
            chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or_default());
        }
        Ok(())
    }
}
