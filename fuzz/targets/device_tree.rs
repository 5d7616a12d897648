//! Arbitrary bytes as a device tree: an error or a description, never a panic and no endless walk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mwasm_host_arm::{devices, tree};

fuzz_target!(|bytes: &[u8]| {
    let _ = tree::total_bytes(bytes);
    if let Ok(tree) = tree::parse(bytes) {
        let _ = tree.tokens().count();
        let _ = tree.reservations().count();
        let _ = devices::describe(&tree).required();
    }
});
