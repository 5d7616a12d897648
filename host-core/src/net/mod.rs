//! `mwasm:net`: what the standard interfaces leave out.
//!
//! [`endpoints`] are connections by name: the manifest says where each is, and the app never learns an address.

mod endpoints;

use crate::interface::Interface;

/// All of them.
pub const INTERFACES: &[Interface] = &[endpoints::ENDPOINTS];
