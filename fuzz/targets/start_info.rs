//! Arbitrary bytes as the PVH start info and its memory map.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mwasm_host_xen::start_info;

fuzz_target!(|bytes: &[u8]| {
    let _ = start_info::parse(bytes);
    let _ = start_info::parse_memory_map(bytes, 1 << 32);
});
