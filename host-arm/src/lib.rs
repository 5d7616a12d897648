//! host-arm
