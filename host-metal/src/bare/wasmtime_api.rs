//! Wasmtime's platform interface: the functions that its runtime expects a machine without an operating system to
//! define.
//!
//! Their contract is in `wasmtime/src/runtime/vm/sys/custom/capi.rs`. Each returns 0 or an error number that only ever
//! appears in a message. Protections are bits: 1 read, 2 write, 4 execute.

use super::{memory, traps};
use crate::page::{PAGE_BYTES, Prot, is_page_aligned, page_up};
use crate::ranges::Backing;
use crate::space::SpaceError;
use core::ops::Range;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// No memory or no addresses (the number of ENOMEM).
const NO_MEMORY: i32 = 12;
/// Addresses or protection that make no sense (the number of EINVAL).
const INVALID: i32 = 22;

fn status(result: Result<(), SpaceError>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(SpaceError::Full) => NO_MEMORY,
        Err(SpaceError::Addresses | SpaceError::Reentered) => INVALID,
    }
}

fn range(address: *const u8, bytes: usize) -> Option<Range<usize>> {
    let start = address as usize;
    Some(start..start.checked_add(bytes)?)
}

/// New addresses; pages are committed when they are touched.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_mmap_new(bytes: usize, prot: u32, address: &mut *mut u8) -> i32 {
    let Some(prot) = Prot::new(prot) else { return INVALID };
    match memory::space().reserve(page_up(bytes), prot) {
        Ok(start) => {
            *address = start as *mut u8;
            0
        }
        Err(error) => status(Err(error)),
    }
}

/// Replaces what is there by zeros.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_mmap_remap(address: *mut u8, bytes: usize, prot: u32) -> i32 {
    let (Some(range), Some(prot)) = (range(address, bytes), Prot::new(prot)) else { return INVALID };
    status(memory::space().replace(range, prot, Backing::Zero))
}

/// Gives addresses and pages back.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_munmap(address: *mut u8, bytes: usize) -> i32 {
    range(address, page_up(bytes)).map_or(INVALID, |range| status(memory::space().remove(range)))
}

/// Changes what is allowed, in guest memory and in the image's constants (the app's code is among them).
#[unsafe(no_mangle)]
extern "C" fn wasmtime_mprotect(address: *mut u8, bytes: usize, prot: u32) -> i32 {
    let (Some(range), Some(prot)) = (range(address, page_up(bytes)), Prot::new(prot)) else { return INVALID };
    let (start, bytes) = (range.start, range.len());
    let result = match memory::GUESTS.contains(&start) {
        true => memory::space().protect(range, prot),
        false => memory::protect_image(range, prot),
    };
    if result.is_ok() && prot.executable() {
        crate::cpu::sync_instructions(start, bytes);
    }
    status(result)
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_page_size() -> usize {
    PAGE_BYTES
}

/// An image that can be mapped again and again: constants of our own image are one as they lie. Anything else gets none
/// (which is no error), and Wasmtime copies it.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_new(content: *const u8, bytes: usize, image: &mut *mut u8) -> i32 {
    let constant = is_page_aligned(content as usize)
        && range(content, bytes).is_some_and(|range| memory::image().is_constant(range.start, range.end));
    *image = if constant { content.cast_mut() } else { null_mut() };
    0
}

/// Maps an image, copied on write.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_map_at(image: *mut u8, address: *mut u8, bytes: usize) -> i32 {
    let Some(range) = range(address, bytes) else { return INVALID };
    status(memory::space().replace(range, Prot::READ_WRITE, Backing::Image(image as usize)))
}

/// The image's constants stay.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_free(_image: *mut u8) {}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_init_traps(handler: traps::Handler) -> i32 {
    traps::set_handler(handler);
    0
}

/// One processor, one thread: thread-local is global.
static LOCALS: [AtomicPtr<u8>; 2] = [AtomicPtr::new(null_mut()), AtomicPtr::new(null_mut())];

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_get(slot: usize) -> *mut u8 {
    LOCALS.get(slot).map_or(null_mut(), |local| local.load(Relaxed))
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_set(slot: usize, value: *mut u8) {
    if let Some(local) = LOCALS.get(slot) {
        local.store(value, Relaxed);
    }
}
