//! A hostile xenstore: arbitrary bytes in the reply ring, arbitrary counters, and a request ring that is never emptied.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mwasm_xen::ring::Ring;
use mwasm_xen::xenstore::Conversation;
use std::sync::atomic::{AtomicU8, AtomicU32};

const RING_BYTES: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let Some((counters, replies)) = bytes.split_first_chunk::<16>() else { return };
    let counter = |at: usize| {
        AtomicU32::new(u32::from_le_bytes([counters[at], counters[at + 1], counters[at + 2], counters[at + 3]]))
    };
    let buffer = |bytes: &[u8]| -> Vec<AtomicU8> {
        (0..RING_BYTES).map(|at| AtomicU8::new(bytes.get(at).copied().unwrap_or(0))).collect()
    };
    let (reply_bytes, request_bytes) = (buffer(replies), buffer(&[]));
    let (consumed, produced) = (counter(0), counter(4));
    let (request_consumed, request_produced) = (counter(8), counter(12));
    let reply_ring = Ring::new(&reply_bytes, &consumed, &produced);
    let request_ring = Ring::new(&request_bytes, &request_consumed, &request_produced);
    let mut conversation = Conversation::new();
    // A ring holds less than a hundred messages; more calls than that must find nothing.
    for _ in 0..100 {
        if !matches!(conversation.receive(&reply_ring, &request_ring), Ok(Some(_))) {
            return;
        }
    }
    panic!("the conversation does not end");
});
