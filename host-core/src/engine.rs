//! The settings of Wasmtime that a precompiled app and the host that runs it share.
//!
//! Wasmtime writes its settings into each precompiled app and refuses one whose settings differ. The compile stage and the hosts
//! therefore both start from [`configure`]; what it leaves alone has the default for 64-bit targets with virtual memory and native
//! signals: 4 GiB reservations with guard regions, so that a bounds check costs no instruction.

use mwasm_plan::net::Http;
use mwasm_plan::tunables::HOST_STACK_BYTES;
use wasmtime::Config;

/// Whether this build runs the component model's async (WASI 0.3).
pub const CONCURRENCY: bool = cfg!(feature = "component-model-async");

/// Applies the shared settings for a guest stack of `stack_bytes`.
///
/// `concurrency` must be that of the host that will run the code: [`CONCURRENCY`] when it is this one. `paged_data` is that of the
/// plan's memory.
pub fn configure(config: &mut Config, stack_bytes: u64, paged_data: bool, concurrency: bool) {
    let stack = usize::try_from(stack_bytes).unwrap_or(usize::MAX / 2);
    let host_stack = usize::try_from(HOST_STACK_BYTES).unwrap_or(usize::MAX / 2);
    config.wasm_component_model(true);
    config.concurrency_support(concurrency);
    config.max_wasm_stack(stack);
    config.async_stack_size(stack.saturating_add(host_stack));
    config.memory_init_cow(paged_data);
    // Images keep function names, for traps; addresses within functions and unwind tables would cost more than they tell.
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config.debug_symbols(false);
}

/// Has the app's code count instructions, if the plan bounds them. An app was compiled with the same setting, or the engine refuses it.
pub fn meter(config: &mut Config, http: &Http) {
    config.consume_fuel(http.max_instructions > 0);
}

/// Tells Wasmtime which instructions this processor has, on hosts that have no operating system to ask.
#[cfg(feature = "image")]
pub fn detect_features(config: &mut Config) {
    // SAFETY: `detect` reports only what CPUID reports.
    unsafe { config.detect_host_feature(detect) };
    #[cfg(target_arch = "x86_64")]
    // SAFETY: code is compiled with SSE4.1, so no float ever crosses a call from compiled code into this soft-float host.
    unsafe {
        config.x86_float_abi_ok(true)
    };
}

#[cfg(all(feature = "image", target_arch = "x86_64"))]
fn detect(feature: &str) -> Option<bool> {
    let leaf = core::arch::x86_64::__cpuid(1);
    let bit = match feature {
        "sse3" => 0,
        "ssse3" => 9,
        "cmpxchg16b" => 13,
        "sse4.1" => 19,
        "sse4.2" => 20,
        "popcnt" => 23,
        _ => return None,
    };
    Some(leaf.ecx >> bit & 1 == 1)
}

/// Apps for aarch64 are compiled for ARMv8.0, which has nothing to detect.
#[cfg(all(feature = "image", target_arch = "aarch64"))]
fn detect(_feature: &str) -> Option<bool> {
    Some(false)
}
