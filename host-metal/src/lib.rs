//! host-metal
