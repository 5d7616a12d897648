//! Virtio network devices (virtio 1.2), as far as they know no machine.
//!
//! ```text
//!   bare: finds registers ----> transport (virtio-mmio of the crate, or pci_transport)
//!                                   |
//!   NetDevice <- net::VirtioNet ----+---- queue::Buffers, one a direction ---- VirtQueue (of the crate) ---- the device
//! ```
//!
//! The device is not trusted. It shares the rings and the buffers and may write anything to them at any time, so each thing it says
//! is read once and checked: which buffer it returns ([`queue`]), how much it wrote ([`net`]), where its registers are ([`pci`]). A
//! lie ends the device, not the machine: it is reset, and every call says [`Broken`](mwasm_ports::net_device::NetDeviceError::Broken).

#[cfg(test)]
mod fake;
mod header;
pub mod net;
pub mod pci;
pub mod pci_transport;
pub mod queue;
