//! All interfaces by name, for programs that are not fused: `mwasm run` and tests. An image has its own table.

use crate::State;
use crate::interface::Interface;
use crate::run::{Start, run_networked};
use crate::serve::serve_02;
#[cfg(feature = "component-model-async")]
use crate::serve::serve_03;
#[cfg(feature = "component-model-async")]
use crate::{net::INTERFACES as NET, v03::INTERFACES as V03};
use crate::{v02, wave};
use mwasm_plan::Entry;
use wasmtime::Result;
use wasmtime::component::Linker;

#[cfg(not(feature = "component-model-async"))]
const V03: &[Interface] = &[];
#[cfg(not(feature = "component-model-async"))]
const NET: &[Interface] = &[];

/// How an app is started; an image's table names it.
pub fn start(entry: Entry<'_>) -> Start {
    match entry {
        Entry::Serve02(_) => serve_02,
        #[cfg(feature = "component-model-async")]
        Entry::Serve03(_) => serve_03,
        _ => run_networked,
    }
}

/// Every interface that this host serves.
pub fn interfaces() -> impl Iterator<Item = &'static Interface> {
    v02::INTERFACES.iter().chain(V03).chain(NET).chain(wave::INTERFACES)
}

/// Registers every interface.
pub fn register_all(linker: &mut Linker<State>) -> Result<()> {
    for interface in interfaces() {
        let mut instance = linker.instance(interface.name)?;
        interface.items.iter().try_for_each(|(name, register)| register(&mut instance, name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use mwasm_plan::interfaces::INTERFACES;

    #[test]
    fn the_plan_lists_just_what_is_served() {
        let mut listed: Vec<_> = INTERFACES.iter().map(|row| row.linker_name()).collect();
        let mut served: Vec<_> = interfaces().map(|interface| interface.name).collect();
        listed.sort_unstable();
        served.sort_unstable();
        assert_eq!(listed, served);
    }
}
