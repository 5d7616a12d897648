//! The host core: what every mwasm host has in common, and all of it that knows WebAssembly.
//!
//! A host brings [ports](mwasm_ports) and a start; this crate brings the rest of the way from a precompiled component to its exit
//! code. It knows no target: it runs on a bare machine, as a Linux executable, inside `mwasm run` and in tests on a fake machine,
//! and it is the same code there. Along the way of a run:
//!
//! 1. [`engine`] holds the settings of Wasmtime that the compile stage and the hosts share.
//! 2. [`state`] is all that belongs to the app at run time: its resources, its arguments, its files. It sits in the store.
//! 3. [`v02`] and [`v03`] are the interfaces, one module each, written down as tables of functions ([`interface`]). Each function has a
//!    symbol of its own, which nothing in this crate refers to: in an image the fuse stage's table names the ones that the app
//!    calls, and the linker drops the others.
//!    [`net`] is `mwasm:net`, our own. [`wave`] is one more, for apps of which one function is called.
//! 4. [`reactor`] is the executor: one future at a time on one thread, and [`mwasm_ports::Idle::park`] when it cannot go on.
//! 5. [`run`](mod@run) starts the app and turns its end into an [`mwasm_ports::Outcome`]; [`serve`] does so for apps that handle HTTP
//!    requests, which reach them, as their own requests leave, through [`http`].
//!
//! ```text
//!   app --import--> v02/v03 --> state, fs, console --> port --> machine
//!                      |                                 ^
//!                      +-- await --> reactor ---- park --+
//! ```
//!
//! Nothing here waits but the reactor, nothing here knows the time but through a port, and a guest can do nothing that makes this
//! code panic: limits are in [`limits`] and are refusals, not crashes.
#![no_std]

extern crate alloc;

pub mod console;
pub mod engine;
pub mod failure;
pub mod fs;
#[cfg(any(feature = "image", test))]
pub mod heap;
pub mod http;
#[cfg(feature = "image")]
pub mod image;
pub mod interface;
pub mod limits;
#[cfg(feature = "component-model-async")]
pub mod net;
pub mod policy;
pub mod reactor;
mod refused;
#[cfg(feature = "registry")]
pub mod registry;
pub mod run;
pub mod serve;
pub mod sockets;
pub mod state;
pub mod v02;
#[cfg(feature = "component-model-async")]
pub mod v03;
pub mod wave;

pub use run::run;
pub use state::State;
