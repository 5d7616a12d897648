//! `wasi:config/store`: the values that the manifest gave.

use crate::interface::{interface, plain};
use alloc::string::String;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `wasi:config/store.error`. Reading a constant cannot fail, so it is never made.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum ConfigError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

interface! {
    /// `wasi:config/store@0.2.0-rc.1`.
    STORE = "wasi:config/store", "0.2.0-rc.1", "wasi:config/store@0.2.0-rc.1" {
        plain, "get", |context, (key,): (String,)| {
            let value = context.data().config.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
            Ok((Ok::<_, ConfigError>(value),))
        };
        plain, "get-all", |context, (): ()| Ok((Ok::<_, ConfigError>(context.data().config.clone()),));
    }
}
