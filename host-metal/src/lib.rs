//! What hosts without an operating system share.
//!
//! A bare machine gives a processor, some memory and a few device registers. A host for it ([Xen](../mwasm_host_xen),
//! [ARM](../mwasm_host_arm)) knows how that machine starts, what its interrupts look like and how its devices are
//! driven; this crate makes the rest of a small kernel from that:
//!
//! ```text
//!   firmware's memory map -> memory_map -> frames --+
//!                                                   +-> tables -> space --> Wasmtime's mmap, mprotect ... (bare::wasmtime_api)
//!   the image's program headers -> image -----------+              ^
//!                                                            page faults (bare::traps)
//!   devices -> board -> ports, stop -> the host core
//! ```
//!
//! Modules at the top know no machine and are tested on the build machine. [`bare`] is the one instance of them that
//! runs, with what exists only there: the global allocator, the panic handler, Wasmtime's platform functions.
//!
//! The layout of addresses: physical memory at its own addresses at the bottom (writable, never executable; page 0 and
//! whatever nobody asked for is not mapped), guest memories and stacks above ([`bare::memory::GUESTS`]), then the heap.
//! No page is ever writable and executable; there is an unmapped page below each stack. The kernel runs on one
//! processor, in one thread; interrupt handlers only take notes.
#![cfg_attr(not(test), no_std)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod aarch64;
#[cfg(target_os = "none")]
pub mod bare;
pub mod board;
pub mod cpu;
pub mod doorbell;
pub mod exclusive;
pub mod frames;
pub mod image;
pub mod memory_map;
pub mod page;
pub mod ports;
pub mod ranges;
pub mod space;
pub mod stop;
pub mod tables;
pub mod virtio;
pub mod x86_64;
