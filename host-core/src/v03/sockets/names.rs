//! `wasi:sockets/ip-name-lookup`.

use super::error::LookupError;
use crate::State;
use crate::interface::interface;
use crate::sockets::address::{Address, addresses};
use crate::sockets::names::Names;
use crate::v03::concurrent;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use mwasm_ports::network::NetError;
use wasmtime::component::Accessor;

async fn resolve(accessor: &Accessor<State>, name: &str) -> Result<Vec<Address>, NetError> {
    let lookup = accessor.with(|mut access| Names::of(access.get())?.start(name))?;
    Ok(addresses(lookup.await?))
}

interface! {
    /// `wasi:sockets/ip-name-lookup@0.3`.
    IP_NAME_LOOKUP = "wasi:sockets/ip-name-lookup", "0.3", "wasi:sockets/ip-name-lookup@0.3.0" {
        concurrent, "resolve-addresses", |accessor, (name,): (String,)| {
            Box::pin(async move { Ok((resolve(accessor, &name).await.map_err(LookupError::from),)) })
        };
    }
}
