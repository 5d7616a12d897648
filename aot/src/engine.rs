//! The settings of Wasmtime with which apps are compiled.
//!
//! Wasmtime writes its settings into each precompiled app, and a host refuses one whose settings differ from its own. So these are
//! the settings that `host-core`'s `engine` module applies on the other side; what neither side sets has Wasmtime's default for
//! 64-bit targets with virtual memory and native signals.

use crate::target::Arch;
use anyhow::Result;
use mwasm_plan::tunables::X86_64_FEATURES;
use wasmparser::{Validator, WasmFeatures};
use wasmtime::{Config, Engine};

/// The version of Wasmtime, which an image and its host object share.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// What of an app decides how it is compiled, beside the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// It uses the component model's async.
    pub concurrency: bool,
    /// Its data is to be mapped.
    pub paged_data: bool,
    /// Its instructions are to be counted.
    pub metered: bool,
}

/// The settings for an app of this kind that is compiled for `arch`.
pub fn config(arch: Arch, app: Traits) -> Result<Config> {
    let Traits { concurrency, paged_data, metered } = app;
    let mut config = Config::new();
    config.target(arch.triple()).map_err(error)?;
    config.wasm_component_model(true);
    config.wasm_component_model_async(concurrency);
    config.concurrency_support(concurrency);
    // No host has a collector. Wasmtime would still compile subtypes of functions, to a call of what only a collector brings, and there
    // the host would panic.
    config.wasm_gc(false);
    config.memory_init_cow(paged_data);
    config.consume_fuel(metered);
    config.generate_address_map(false);
    config.native_unwind_info(false);
    config.debug_symbols(false);
    if arch == Arch::X86_64 {
        for (flag, _) in X86_64_FEATURES {
            // SAFETY: the host checks each of these features by CPUID before it runs the code.
            unsafe { config.cranelift_flag_enable(flag) };
        }
    }
    Ok(config)
}

/// A compiler with the settings of [`config`].
pub fn compiler(arch: Arch, app: Traits) -> Result<Engine> {
    Engine::new(&config(arch, app)?).map_err(error)
}

/// Wasmtime's errors as this crate passes them on.
pub fn error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into())
}

/// The WebAssembly features that apps may use.
pub fn features() -> Result<WasmFeatures> {
    Ok(compiler(Arch::X86_64, Traits { concurrency: true, ..Traits::default() })?.get_wasm_features())
}

/// Whether a valid component uses the component model's async: `async` functions, streams, futures, or the built-ins for them. It
/// does if it is not valid without.
pub fn uses_async(component: &[u8]) -> Result<bool> {
    let without = compiler(Arch::X86_64, Traits::default())?.get_wasm_features();
    Ok(Validator::new_with_features(without).validate_all(component).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_architectures_have_a_compiler() {
        for arch in Arch::ALL {
            for concurrency in [false, true] {
                compiler(arch, Traits { concurrency, ..Traits::default() }).unwrap();
            }
        }
    }

    /// An indirect call by a type with subtypes once stopped the host, not the guest.
    #[test]
    fn subtypes_of_functions_are_refused() {
        let module = r#"(module
            (type $f (sub (func)))
            (type $g (sub $f (func)))
            (table funcref (elem $g))
            (func $g (type $g))
            (func (export "run") (call_indirect (type $f) (i32.const 0))))"#;
        let module = wat::parse_str(module).unwrap();
        let error = Validator::new_with_features(features().unwrap()).validate_all(&module).map(drop).unwrap_err();
        assert!(error.message().contains("gc proposal"), "{error}");
        assert!(compiler(Arch::X86_64, Traits::default()).unwrap().precompile_module(&module).is_err());
    }

    #[test]
    fn async_is_seen_in_types_and_built_ins() {
        let uses = |text: &str| uses_async(&wat::parse_str(text).unwrap()).unwrap();
        assert!(!uses(r#"(component (import "f" (func)))"#));
        assert!(uses(r#"(component (import "f" (func async)))"#));
        assert!(uses("(component (type (stream u8)))"));
        assert!(uses("(component (core func (canon waitable-set.new)))"));
        assert!(uses("(component (component (core func (canon waitable-set.new))))"));
    }
}
