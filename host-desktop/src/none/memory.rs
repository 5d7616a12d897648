//! Memory for Wasmtime, by its platform interface (`wasmtime/src/runtime/vm/sys/custom/capi.rs`): each call is one system call.

use crate::sys::{self, Errno, MAP_FIXED, MAP_PRIVATE_ANONYMOUS_NORESERVE};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

const PAGE_BYTES: usize = 4096;

fn status(result: Result<(), Errno>) -> i32 {
    result.err().map_or(0, |Errno(number)| number)
}

/// Wasmtime's protections are those of `mmap(2)`: 1 read, 2 write, 4 execute.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_mmap_new(bytes: usize, protection: u32, address: &mut *mut u8) -> i32 {
    // SAFETY: a fresh mapping.
    let mapped = unsafe { sys::mmap(0, bytes, protection as usize, MAP_PRIVATE_ANONYMOUS_NORESERVE) };
    status(mapped.map(|base| *address = base as *mut u8))
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_mmap_remap(address: *mut u8, bytes: usize, protection: u32) -> i32 {
    let flags = MAP_PRIVATE_ANONYMOUS_NORESERVE | MAP_FIXED;
    // SAFETY: Wasmtime gives up what was there.
    status(unsafe { sys::mmap(address as usize, bytes, protection as usize, flags) }.map(drop))
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_munmap(address: *mut u8, bytes: usize) -> i32 {
    // SAFETY: Wasmtime gives the mapping up.
    status(unsafe { sys::munmap(address as usize, bytes) })
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_mprotect(address: *mut u8, bytes: usize, protection: u32) -> i32 {
    // SAFETY: Wasmtime owns the range.
    status(unsafe { sys::mprotect(address as usize, bytes, protection as usize) })
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_page_size() -> usize {
    PAGE_BYTES
}

/// No image: Wasmtime copies the data segments itself.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_new(_data: *const u8, _bytes: usize, image: &mut *mut u8) -> i32 {
    *image = null_mut();
    0
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_map_at(_image: *mut u8, _address: *mut u8, _bytes: usize) -> i32 {
    -1
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_free(_image: *mut u8) {}

/// Wasmtime keeps two words for the thread; an image has one thread.
static WORDS: [AtomicPtr<u8>; 2] = [const { AtomicPtr::new(null_mut()) }; 2];

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_get(slot: usize) -> *mut u8 {
    WORDS.get(slot).map_or(null_mut(), |word| word.load(Relaxed))
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_set(slot: usize, value: *mut u8) {
    if let Some(word) = WORDS.get(slot) {
        word.store(value, Relaxed);
    }
}
