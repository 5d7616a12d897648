//! host-xen
