//! WASI 0.3.
mod network;
