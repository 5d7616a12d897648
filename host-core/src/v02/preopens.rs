//! `wasi:filesystem/preopens`: the directories that an app is given.

use super::filesystem::Descriptor;
use crate::fs::{Dir, Node, embedded, memory};
use crate::interface::{Context, interface, plain};
use crate::state::State;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wasmtime::Result;
use wasmtime::component::Resource;

/// Where the writable file system in memory is.
pub const TMP: &str = "/tmp";

/// All directories that the app is given: the embedded ones, those of the machine, and `/tmp` unless one of them is there. They are
/// made at the first call, so that every call gives the same `/tmp`.
pub(crate) fn directories(state: &mut State) -> Vec<(String, Arc<dyn Dir>)> {
    let trees = core::mem::take(&mut state.embedded);
    for (number, tree) in (0..).zip(trees) {
        state.mounts.push((tree.guest.into(), embedded::open(tree, number)));
    }
    if !state.mounts.iter().any(|(path, _)| path == TMP) {
        let tmp = memory::new(state.ports.clock.clone(), state.ports.memory.clone());
        state.mounts.push((TMP.into(), tmp));
    }
    state.mounts.clone()
}

/// What `get-directories` gives: descriptors with their paths.
type Opened = Vec<(Resource<Descriptor>, String)>;

/// Opens all directories.
pub(crate) fn opened(mut context: Context<'_>, (): ()) -> Result<(Opened,)> {
    let state = context.data_mut();
    let opened = directories(state).into_iter().map(|(path, dir)| {
        let descriptor = Descriptor::preopened(Node::Dir(dir));
        Ok((state.table.push(descriptor)?, path))
    });
    Ok((opened.collect::<Result<_>>()?,))
}

interface! {
    /// `wasi:filesystem/preopens@0.2`.
    PREOPENS = "wasi:filesystem/preopens", "0.2", "wasi:filesystem/preopens@0.2.0" {
        plain, "get-directories", opened;
    }
}
