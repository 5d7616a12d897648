//! Arbitrary bytes as the plan of an image, and its embedded files: an error or a plan, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mwasm_plan::{Plan, check_tree, find};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(plan) = Plan::decode(bytes) {
        // What decodes encodes again to a plan that is equal.
        if let Ok(again) = mwasm_plan::encode(&plan) {
            assert_eq!(Plan::decode(&again).as_ref(), Ok(&plan));
        }
        for dir in &plan.dirs {
            let _ = check_tree(dir);
        }
    }
    let _ = find(bytes);
});
