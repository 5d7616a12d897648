//! HTTP/1.1 as state machines without input or output.
#![no_std]

extern crate alloc;
