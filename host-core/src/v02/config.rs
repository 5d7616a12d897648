//! `wasi:config/store`: the values that the manifest gave.

use super::Context;
use crate::state::State;
use alloc::string::String;
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// `wasi:config/store.error`. Reading a constant cannot fail, so it is never made.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum ConfigError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

/// Registers `wasi:config/store@0.2.0-rc.1`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_config_store_0_2_0_rc_1(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:config/store@0.2.0-rc.1")?;
    instance.func_wrap("get", |context: Context<'_>, (key,): (String,)| {
        let value = context.data().config.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        Ok((Ok::<_, ConfigError>(value),))
    })?;
    instance.func_wrap("get-all", |context: Context<'_>, (): ()| {
        Ok((Ok::<_, ConfigError>(context.data().config.clone()),))
    })
}
