//! Networks of the tests' own: nothing that a test sends leaves the machine, and nothing of it is left behind.
//!
//! ```text
//!   QEMU -netdev dgram <-- UDP on loopback --> link (faults) <-- TAP --> Linux's stack, curl, the test's own sockets
//!   desktop image -------------------------------------- TAP ----------^
//! ```
//!
//! [`namespace::inside`] gives a thread a network namespace; all that it starts is in there too, and the namespace is gone with
//! them. [`link`](mod@link) is an Ethernet cable that loses, doubles, reorders and corrupts frames.

pub mod link;
pub mod namespace;
