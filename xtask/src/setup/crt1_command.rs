//! The start of a WASI command: what wasi-libc calls `crt1-command.o`. Debian 12's is of a time when the linker was to run constructors
//! in every export; as a component that runs them inside `cabi_realloc`, where calling the host is forbidden, and the app traps at the
//! first list that it is given. This one runs them where they belong, once, at the start.
//!
//! Compiled by itself with `rustc --emit=obj` while the fallback toolchain is made; it is no module of this crate.
#![no_std]

unsafe extern "C" {
    fn __wasm_call_ctors();
    fn __main_void() -> i32;
    fn __wasm_call_dtors();
    fn __wasi_proc_exit(code: i32) -> !;
}

/// The command's entry: constructors, `main`, destructors (which flush the C library's streams), and the exit code where it is not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _start() {
    // SAFETY: the linker and wasi-libc define these functions with these signatures; the host calls `_start` once.
    unsafe {
        __wasm_call_ctors();
        let code = __main_void();
        __wasm_call_dtors();
        if code != 0 {
            __wasi_proc_exit(code);
        }
    }
}
