//! `wasi:sockets/network` and `instance-network`: there is one network, and what of it the app may use is the policy's.

use super::error::ErrorCode;
use crate::interface::{handle, interface, item, plain};
use crate::v02::io::IoError;
use wasmtime::component::Resource;

/// `wasi:sockets/network.network`: the machine's.
pub(super) struct Network;

interface! {
    /// `wasi:sockets/network@0.2`.
    NETWORK = "wasi:sockets/network", "0.2", "wasi:sockets/network@0.2.0" {
        item, "network", handle::<Network>;
        plain, "network-error-code", |context, (error,): (Resource<IoError>,)| {
            Ok((match context.data().table.get(&error)? {
                IoError::Network(error) => Some(ErrorCode::from(*error)),
                IoError::Console(_) | IoError::File(_) | IoError::Http(_) => None,
            },))
        };
    }
}

interface! {
    /// `wasi:sockets/instance-network@0.2`.
    INSTANCE_NETWORK = "wasi:sockets/instance-network", "0.2", "wasi:sockets/instance-network@0.2.0" {
        plain, "instance-network", |mut context, (): ()| Ok((context.data_mut().table.push(Network)?,));
    }
}
