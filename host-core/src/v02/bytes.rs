//! Lists of bytes on their way into the guest, in one copy.
//!
//! Wasmtime moves a list of `u8` element by element, and a host that is compiled for size does just that: five instructions for a byte. An
//! element of a type of ours says itself how a list of it is moved.

use alloc::vec::Vec;
use core::mem::{ManuallyDrop, MaybeUninit};
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lower};
use wasmtime::{Result, ValRaw, bail};

/// A `u8` of WIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Byte(u8);

/// The same bytes, where they are.
pub fn list(bytes: Vec<u8>) -> Vec<Byte> {
    let mut bytes = ManuallyDrop::new(bytes);
    // SAFETY: the parts are a vector's, which is not used any more, and a `Byte` is laid out as a `u8`.
    unsafe { Vec::from_raw_parts(bytes.as_mut_ptr().cast(), bytes.len(), bytes.capacity()) }
}

// SAFETY: in all the same as `u8`.
unsafe impl ComponentType for Byte {
    type Lower = ValRaw;
    const ABI: CanonicalAbiInfo = u8::ABI;
    const MAY_REQUIRE_REALLOC: bool = u8::MAY_REQUIRE_REALLOC;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        u8::typecheck(ty, types)
    }
}

// SAFETY: as `u8`; a list of it is as many bytes in a row.
unsafe impl Lower for Byte {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<ValRaw>,
    ) -> Result<()> {
        self.0.linear_lower_to_flat(cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(&self, cx: &mut LowerContext<'_, T>, ty: InterfaceType, offset: usize) -> Result<()> {
        self.0.linear_lower_to_memory(cx, ty, offset)
    }

    fn linear_store_list_to_memory<T>(
        cx: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        offset: usize,
        items: &[Self],
    ) -> Result<()> {
        // SAFETY: a `Byte` is laid out as a `u8`.
        let bytes = unsafe { core::slice::from_raw_parts(items.as_ptr().cast::<u8>(), items.len()) };
        match cx.as_slice_mut().get_mut(offset..).and_then(|memory| memory.get_mut(..bytes.len())) {
            Some(memory) => memory.copy_from_slice(bytes),
            None => bail!("a list of {} bytes does not fit into the guest's memory at {offset}", bytes.len()),
        }
        Ok(())
    }
}
