//! `wasi:io/error`, and what the interfaces of `wasi:io` share: the resources and their drop.

use super::Context;
use crate::fs::{ErrorCode, File};
use crate::state::{Event, State};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use mwasm_ports::{ConsoleError, Output};
use wasmtime::Result;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};

/// `wasi:io/error.error`.
#[derive(Clone, Copy, Debug)]
pub enum IoError {
    /// The console failed.
    Console(ConsoleError),
    /// A file failed.
    File(ErrorCode),
}

/// `wasi:io/poll.pollable`: what it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Pollable(pub Event);

/// `wasi:io/streams.input-stream`.
pub enum InputStream {
    /// Standard input.
    Console,
    /// A file, from an offset on.
    File {
        /// The file.
        file: Arc<dyn File>,
        /// Where the next read starts, in bytes.
        offset: u64,
    },
}

/// `wasi:io/streams.output-stream`.
pub enum OutputStream {
    /// Standard output or error.
    Console(Output),
    /// A file.
    File {
        /// The file.
        file: Arc<dyn File>,
        /// Where the next write starts, in bytes; `None` is always the end.
        offset: Option<u64>,
    },
}

/// Defines resource `name` as `T`, whose drop forgets the handle.
pub(crate) fn drop_resource<T: Send + 'static>(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |mut context, handle| {
        context.data_mut().table.delete(Resource::<T>::new_own(handle))?;
        Ok(())
    })
}

/// Registers `wasi:io/error@0.2`.
#[unsafe(no_mangle)]
pub fn mwasm_iface_io_error_0_2(linker: &mut Linker<State>) -> Result<()> {
    let mut instance = linker.instance("wasi:io/error@0.2.0")?;
    drop_resource::<IoError>(&mut instance, "error")?;
    instance.func_wrap("[method]error.to-debug-string", |context: Context<'_>, (error,): (Resource<IoError>,)| {
        let text: String = match context.data().table.get(&error)? {
            IoError::Console(error) => format!("{error}"),
            IoError::File(error) => format!("{error:?}"),
        };
        Ok((text,))
    })
}
