//! A hostile neighbour on the cable: frames and segments into a stack that listens, connects and serves datagrams.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../net/tests/common/hostile.rs"]
mod hostile;

fuzz_target!(|bytes: &[u8]| {
    hostile::run(bytes);
});
