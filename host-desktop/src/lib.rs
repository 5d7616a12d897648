//! host-desktop
