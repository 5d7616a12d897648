//! Xen's public protocols (`xen/include/public`), as a guest speaks them: on x86 and on ARM, in any kernel.
//!
//! ```text
//!   netfront                      a network device: frames over two shared rings
//!     |-- shared_ring             requests and responses between two domains
//!     |-- grants                  which of this domain's pages another domain may use
//!     |-- xenbus, xenstore, ring  how two halves of a device find each other
//!     |-- events, store_page      what a kernel shares with Xen and with xenstore
//!     `-- kernel                  what all of it asks of the kernel: pages, event channels, xenstore's rings
//!   hypercall                     how a kernel asks the hypervisor
//! ```
//!
//! Nothing here knows a processor or how memory is mapped: that is behind [`kernel::Kernel`] and [`hypercall::Hypercalls`], which a
//! host implements, and a test fakes.
//!
//! The other side of everything is another domain, and may write anything at any time. What is shared is only ever read by atomic loads,
//! each value once, and checked before it is used. A lie ends the device with a message; it never ends the kernel.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod events;
#[cfg(test)]
mod fake;
pub mod grants;
pub mod hypercall;
pub mod kernel;
pub mod netfront;
pub mod ring;
pub mod shared_ring;
pub mod store_page;
pub mod xenbus;
pub mod xenstore;
