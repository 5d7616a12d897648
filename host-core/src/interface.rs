//! How an interface is written down: a table of its functions and resources.
//!
//! An image carries just the functions that its app calls, not whole interfaces. So each function is registered by a symbol of its
//! own, `mwasm:wasi:cli/exit/0.2#exit` for `exit` of `wasi:cli/exit@0.2.x`, which nothing refers to but the table that the fuse stage
//! writes: a function that no app calls is dropped by the linker, with all that only it needs. Programs that are not fused
//! (`mwasm run`, tests) use the [`Interface`] that the macro makes as well, which names them all.
//!
//! Handlers are plain function pointers: Wasmtime's glue is compiled once for each *type* of function, not for each function.

use crate::State;
use alloc::boxed::Box;
use core::future::Future;
use wasmtime::component::{ComponentNamedList, Lift, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};

/// Registers one function or resource with the instance of its interface, under the name that the app knows it by.
pub type Register = fn(&mut LinkerInstance<'_, State>, &str) -> Result<()>;

/// An interface that this host serves.
pub struct Interface {
    /// The name by which a linker knows it, such as `wasi:cli/exit@0.2.0`: Wasmtime matches any patch version to it.
    pub name: &'static str,
    /// Its functions and resources, with their names.
    pub items: &'static [(&'static str, Register)],
}

/// The store as a host function sees it.
pub type Context<'a> = StoreContextMut<'a, State>;

/// What a host function that may wait returns.
pub type Waiting<'a, Answer> = Box<dyn Future<Output = Result<Answer>> + Send + 'a>;

/// A function that answers at once.
pub fn plain<Params, Answer>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    handler: fn(Context<'_>, Params) -> Result<Answer>,
) -> Result<()>
where
    Params: ComponentNamedList + Lift + 'static,
    Answer: ComponentNamedList + Lower + 'static,
{
    instance.func_wrap(name, handler)
}

/// A function that is not `async` for the guest but may have to wait.
pub fn waits<Params, Answer>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    handler: for<'a> fn(Context<'a>, Params) -> Waiting<'a, Answer>,
) -> Result<()>
where
    Params: ComponentNamedList + Lift + 'static,
    Answer: ComponentNamedList + Lower + 'static,
{
    instance.func_wrap_async(name, handler)
}

/// Anything that registers itself under a name: resources, mostly.
pub fn item(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    register: fn(&mut LinkerInstance<'_, State>, &str) -> Result<()>,
) -> Result<()> {
    register(instance, name)
}

/// A resource that is a `T` in the app's table of handles, and whose drop forgets it.
pub fn handle<T: Send + 'static>(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |mut context, handle| {
        context.data_mut().table.delete(Resource::<T>::new_own(handle))?;
        Ok(())
    })
}

/// Writes an interface down: its constant, name and version as the symbols have them, name as the linker has it, and its items, each a
/// kind ([`plain`], [`waits`], [`item`] or another function of that form), a name and a handler.
macro_rules! interface {
    (
        $(#[$attribute:meta])*
        $constant:ident = $name:literal, $version:literal, $linker_name:literal {
            $($kind:path, $item:literal, $handler:expr;)*
        }
    ) => {
        $(#[$attribute])*
        pub const $constant: $crate::interface::Interface = $crate::interface::Interface {
            name: $linker_name,
            items: &[$({
                #[unsafe(export_name = concat!("mwasm:", $name, "/", $version, "#", $item))]
                fn register(
                    instance: &mut wasmtime::component::LinkerInstance<'_, $crate::State>,
                    name: &str,
                ) -> wasmtime::Result<()> {
                    $kind(instance, name, $handler)
                }
                ($item, register as $crate::interface::Register)
            }),*],
        };
    };
}

pub(crate) use interface;
