//! Secure randomness: the processor's, or a virtio device's.

use super::qemu;
use alloc::sync::Arc;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use mwasm_host_metal::bare::virtio::VirtioEntropy;
use mwasm_ports::{Entropy, EntropyError};

/// CPUID leaf 1, register ECX.
const HAS_RDRAND: u32 = 1 << 30;
/// CPUID leaf 7, register EBX.
const HAS_RDSEED: u32 = 1 << 18;
/// How often an instruction that has nothing ready is asked again; Intel's guide says 10 for RDRAND, and RDSEED is
/// slower.
const TRIES: u32 = 100;

/// The best source that this machine has.
pub fn open() -> Option<Arc<dyn Entropy>> {
    if let Some(processor) = Processor::detect() {
        return Some(Arc::new(processor));
    }
    Some(Arc::new(VirtioEntropy::find(qemu::virtio_windows())?))
}

/// RDSEED or RDRAND.
struct Processor {
    seed: bool,
}

impl Processor {
    /// The processor's source, if it has one that seems alive.
    fn detect() -> Option<Self> {
        let leaf_7 = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
        let random = __cpuid(1).ecx & HAS_RDRAND != 0;
        let candidates = [(leaf_7 & HAS_RDSEED != 0, true), (random, false)];
        candidates.into_iter().filter(|(has, _)| *has).map(|(_, seed)| Self { seed }).find(Self::is_alive)
    }

    /// Processors have been sold whose instruction says the same number again and again, and calls it random.
    fn is_alive(&self) -> bool {
        let words = [self.word(), self.word(), self.word()];
        words.iter().all(|word| word.is_ok()) && words.windows(2).any(|pair| pair[0] != pair[1])
    }

    fn word(&self) -> Result<u64, EntropyError> {
        for _ in 0..TRIES {
            let (word, ok): (u64, u8);
            // SAFETY: `detect` saw that the processor has the instruction; it writes a register and flags only.
            unsafe {
                match self.seed {
                    true => asm!("rdseed {}", "setc {}", out(reg) word, out(reg_byte) ok, options(nomem, nostack)),
                    false => asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) ok, options(nomem, nostack)),
                }
            }
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
