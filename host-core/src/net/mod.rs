//! `mwasm:net`: what the standard interfaces leave out.
//!
//! [`endpoints`] are connections by name: the manifest says where each is, and the app never learns an address. [`link`] are Ethernet
//! frames.

mod endpoints;
mod link;

use crate::interface::Interface;

/// All of them.
pub const INTERFACES: &[Interface] = &[endpoints::ENDPOINTS, link::LINK];
