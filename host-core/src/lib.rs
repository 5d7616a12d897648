//! host-core
