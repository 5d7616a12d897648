//! The desktop host: Linux, by its system calls alone.
//!
//! One set of [ports] over raw system calls ([`sys`]) serves two programs:
//!
//! * A *desktop image* is built for the `-none` targets, as the bare-metal images are: it has no C library and no Rust standard
//!   library, its own start ([`start`](none::start)), its own signal handlers for Wasmtime's traps, and its own page-wise memory
//!   by `mmap`. It starts in a few hundred thousand instructions.
//! * `mwasm run` is an ordinary program. It uses [`linux::run`], which compiles a component in the process, gives it the machine's
//!   directories that the user named, and shows source lines when the app traps.
//!
//! The [network] of both is the kernel's sockets, or our own stack over a TAP device; an image has the one that its plan names, or none.
//!
//! ```text
//!   image:      _start -> none::start -> host_core::image::run -> ports -> sys
//!   mwasm run:  linux::run -> compile -> host_core::run        -> ports -> sys
//! ```
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

#[cfg(target_os = "linux")]
pub mod linux;
pub mod network;
#[cfg(target_os = "none")]
pub mod none;
pub mod ports;
pub mod sys;
