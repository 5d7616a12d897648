//! `wasi:filesystem/preopens`: the directories that an app is given.

use super::Context;
use crate::fs::Node;
use crate::state::State;
use crate::v02::filesystem::Descriptor;
use crate::v02::preopens::directories;
use alloc::string::String;
use alloc::vec::Vec;
use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

/// Registers `wasi:filesystem/preopens@0.3`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_filesystem_preopens_0_3(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:filesystem/preopens@0.3.0")?;
    instance.func_wrap("get-directories", |mut context: Context<'_>, (): ()| {
        let state = context.data_mut();
        let opened = directories(state).into_iter().map(|(path, dir)| {
            Ok((state.table.push(Descriptor::preopened(Node::Dir(dir)))?, path))
        });
        Ok((opened.collect::<Result<Vec<(Resource<Descriptor>, String)>>>()?,))
    })
}
