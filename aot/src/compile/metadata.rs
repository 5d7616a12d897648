//! Takes out of an app's metadata what no host reads, and gives what is left shorter names.
//!
//! A precompiled app comes with all that Wasmtime knows about it: every name of an import or export of its core modules, of every
//! interface, function and parameter. An image joins an app with one host, and the two could as well speak of "interface 3, function
//! 5": so they do. A host reads all of it at every start, string by string, and so this is a third of the instructions of a start.
//!
//! What stays is what the runtime looks at. What that is was read from the source of the pinned version of Wasmtime
//! (`runtime/component/{component,instance,linker,matching}.rs`); the structures here have the layout of that version's (postcard knows
//! no names, so equal fields in equal order are equal bytes), and [`shrink`] refuses an app that it cannot write back as it was.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasmtime_environ::component::{
    CompiledComponentInfo, TypeComponent, TypeComponentIndex, TypeComponentInstance, TypeComponentInstanceIndex,
    TypeComponentLocalErrorContextTableIndex, TypeDef, TypeEnum, TypeEnumIndex, TypeErrorContextTable,
    TypeFixedLengthList, TypeFixedLengthListIndex, TypeFlags, TypeFlagsIndex, TypeFunc, TypeFuncIndex, TypeFuture,
    TypeFutureIndex, TypeFutureTable, TypeFutureTableIndex, TypeList, TypeListIndex, TypeMap, TypeMapIndex, TypeModule,
    TypeModuleIndex, TypeOption, TypeOptionIndex, TypeRecord, TypeRecordIndex, TypeResourceTable,
    TypeResourceTableIndex, TypeResult, TypeResultIndex, TypeStream, TypeStreamIndex, TypeStreamTable,
    TypeStreamTableIndex, TypeTuple, TypeTupleIndex, TypeVariant, TypeVariantIndex,
};
use wasmtime_environ::{
    CompiledModuleInfo, FuncKeyNamespace, FunctionLoc, Module, ModuleTypes, PrimaryMap, StaticModuleIndex, StringPool,
    WasmChecksum,
};

/// An interface that an app imports, under the names that it has in the shrunk metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name, such as `wasi:cli/exit@0.2.12`.
    pub interface: String,
    /// What it is called now.
    pub short: String,
    /// Its functions and resources, in the order of the interface's type: as they were and as they are called now.
    pub items: Vec<Item>,
}

/// A function or resource of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name, such as `[method]descriptor.stat`.
    pub name: String,
    /// What it is called now.
    pub short: String,
    /// What it is.
    pub kind: Kind,
}

/// What an item of an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function.
    Function,
    /// A function that is `async` by its type.
    AsyncFunction,
    /// A resource: one that is only used here belongs to another interface.
    Resource,
}

/// Wasmtime's `ComponentArtifacts`.
#[derive(Serialize, Deserialize)]
struct Artifacts {
    ty: TypeComponentIndex,
    info: CompiledComponentInfo,
    table: FunctionsTable,
    types: Types,
    static_modules: PrimaryMap<StaticModuleIndex, CompiledModuleInfo>,
    checksum: WasmChecksum,
}

/// Wasmtime's `CompiledFunctionsTable`: where each function's code lies.
#[derive(Serialize, Deserialize)]
struct FunctionsTable {
    namespaces: Vec<FuncKeyNamespace>,
    func_loc_starts: Vec<u32>,
    sparse_starts: Vec<u32>,
    src_loc_starts: Vec<u32>,
    sparse_indices: Vec<u32>,
    func_locs: Vec<FunctionLoc>,
    src_locs: Vec<u32>,
}

/// Wasmtime's `ComponentTypes`.
#[derive(Serialize, Deserialize)]
struct Types {
    modules: PrimaryMap<TypeModuleIndex, TypeModule>,
    components: PrimaryMap<TypeComponentIndex, TypeComponent>,
    component_instances: PrimaryMap<TypeComponentInstanceIndex, TypeComponentInstance>,
    functions: PrimaryMap<TypeFuncIndex, TypeFunc>,
    lists: PrimaryMap<TypeListIndex, TypeList>,
    maps: PrimaryMap<TypeMapIndex, TypeMap>,
    records: PrimaryMap<TypeRecordIndex, TypeRecord>,
    variants: PrimaryMap<TypeVariantIndex, TypeVariant>,
    tuples: PrimaryMap<TypeTupleIndex, TypeTuple>,
    enums: PrimaryMap<TypeEnumIndex, TypeEnum>,
    flags: PrimaryMap<TypeFlagsIndex, TypeFlags>,
    options: PrimaryMap<TypeOptionIndex, TypeOption>,
    results: PrimaryMap<TypeResultIndex, TypeResult>,
    resource_tables: PrimaryMap<TypeResourceTableIndex, TypeResourceTable>,
    module_types: Option<ModuleTypes>,
    futures: PrimaryMap<TypeFutureIndex, TypeFuture>,
    future_tables: PrimaryMap<TypeFutureTableIndex, TypeFutureTable>,
    streams: PrimaryMap<TypeStreamIndex, TypeStream>,
    stream_tables: PrimaryMap<TypeStreamTableIndex, TypeStreamTable>,
    error_context_tables: PrimaryMap<TypeComponentLocalErrorContextTableIndex, TypeErrorContextTable>,
    fixed_length_lists: PrimaryMap<TypeFixedLengthListIndex, TypeFixedLengthList>,
}

/// A known place in the source for each function: none is ever told, but the runtime wants one.
const SOMEWHERE: u32 = 0;

/// The metadata without what no host reads, and the names by which the host must serve the imports.
pub fn shrink(metadata: &[u8]) -> Result<(Vec<u8>, Vec<Import>)> {
    let mut artifacts: Artifacts = postcard::from_bytes(metadata).context("cannot read the precompiled app")?;
    ensure!(postcard::to_allocvec(&artifacts)? == metadata, "the precompiled app has another layout than it should");
    let imports = rename_imports(&mut artifacts)?;
    let Artifacts { types, table, static_modules, .. } = &mut artifacts;
    for (_, component) in types.components.iter_mut() {
        *component = TypeComponent { imports: Default::default(), exports: Default::default() };
    }
    for (_, function) in types.functions.iter_mut() {
        function.param_names.iter_mut().for_each(String::clear);
    }
    table.src_locs.fill(SOMEWHERE);
    for (_, module) in static_modules.iter_mut() {
        forget_names(&mut module.module)?;
    }
    Ok((postcard::to_allocvec(&artifacts)?, imports))
}

/// Numbers interfaces and their items.
fn rename_imports(artifacts: &mut Artifacts) -> Result<Vec<Import>> {
    let component = &mut artifacts.info.component;
    let Types { component_instances: instances, functions, .. } = &mut artifacts.types;
    // Several imports may have the same type, whose items are renamed once.
    let mut renamed: BTreeMap<TypeComponentInstanceIndex, Vec<Item>> = BTreeMap::new();
    let mut imports = Vec::new();
    for (index, (name, ty)) in component.import_types.iter_mut() {
        let TypeDef::ComponentInstance(ty) = ty.ty else { bail!("the app imports '{name}', which is no interface") };
        let items = renamed.entry(ty).or_insert_with(|| number(&mut instances[ty], functions)).clone();
        let short = index.as_u32().to_string();
        imports.push(Import { interface: std::mem::replace(name, short.clone()), short, items });
    }
    for (_, (import, path)) in component.imports.iter_mut() {
        let items = imports.get(import.as_u32() as usize).map(|import| import.items.as_slice()).unwrap_or_default();
        let [name] = path.as_mut_slice() else { bail!("the app imports an interface inside of an interface") };
        let item = items.iter().find(|item| item.name == *name);
        name.clone_from(&item.with_context(|| format!("the app's type lacks '{name}'"))?.short);
    }
    // The types of what the app exports have names that nobody asks for.
    for (index, instance) in instances.iter_mut() {
        if !renamed.contains_key(&index) {
            instance.exports.clear();
        }
    }
    Ok(imports)
}

/// Numbers the functions and resources of an interface, and drops its other types: they are known by their places.
fn number(instance: &mut TypeComponentInstance, functions: &PrimaryMap<TypeFuncIndex, TypeFunc>) -> Vec<Item> {
    let mut items = Vec::new();
    for (name, ty) in std::mem::take(&mut instance.exports) {
        let kind = match ty.ty {
            TypeDef::Interface(_) => continue,
            TypeDef::Resource(_) => Kind::Resource,
            TypeDef::ComponentFunc(index) if functions[index].async_ => Kind::AsyncFunction,
            _ => Kind::Function,
        };
        let short = items.len().to_string();
        items.push(Item { name, short: short.clone(), kind });
        instance.exports.insert(short, ty);
    }
    items
}

/// Forgets the names of a core module's imports and exports: the component's plan of instantiation has their places. (A module that
/// is imported would be known by names; no host serves one.) The name of the module stays, for traps.
fn forget_names(module: &mut Module) -> Result<()> {
    let mut strings = StringPool::new();
    module.name = match module.name {
        Some(name) => Some(strings.insert(&module.strings[name])?),
        None => None,
    };
    module.strings = strings;
    module.initializers = Default::default();
    module.exports = Default::default();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::target::Arch;
    use object::{Object, ObjectSection};

    const APP: &str = r#"(component
        (import "a:b/c@0.2.1" (instance $c
            (export "r" (type (sub resource)))
            (type $e' (enum "x" "y")) (export "e" (type $e (eq $e')))
            (export "f" (func (param "some-name" $e)))
            (export "h" (func async))))
        (import "d:e/f" (instance $f (export "g" (func))))
        (core func $f (canon lower (func $c "f")))
        (core func $g (canon lower (func $f "g")))
        (core module $m
            (import "env" "f" (func $f (param i32))) (import "env" "g" (func $g))
            (func (export "run") (call $f (i32.const 1)) (call $g)))
        (core instance $i (instantiate $m (with "env" (instance (export "f" (func $f)) (export "g" (func $g))))))
        (func (export "run") (canon lift (core func $i "run"))))"#;

    fn metadata(text: &str) -> Vec<u8> {
        let compiler =
            engine::compiler(Arch::X86_64, engine::Traits { concurrency: true, ..Default::default() }).unwrap();
        let cwasm = compiler.precompile_component(&wat::parse_str(text).unwrap()).unwrap();
        let file = object::File::parse(&*cwasm).unwrap();
        file.section_by_name(".wasmtime.info").unwrap().data().unwrap().to_vec()
    }

    #[test]
    fn interfaces_and_their_items_are_numbered_and_other_names_go() {
        let before = metadata(APP);
        let (after, imports) = shrink(&before).unwrap();
        let item = |name: &str, short: &str, kind| Item { name: name.into(), short: short.into(), kind };
        assert_eq!(
            imports,
            [
                Import {
                    interface: "a:b/c@0.2.1".into(),
                    short: "0".into(),
                    items: vec![
                        item("r", "0", Kind::Resource),
                        item("f", "1", Kind::Function),
                        item("h", "2", Kind::AsyncFunction)
                    ],
                },
                Import { interface: "d:e/f".into(), short: "1".into(), items: vec![item("g", "0", Kind::Function)] },
            ]
        );
        let text = String::from_utf8_lossy(&after);
        for gone in ["a:b/c", "d:e/f", "env", "some-name"] {
            assert!(String::from_utf8_lossy(&before).contains(gone), "{gone}");
            assert!(!text.contains(gone), "{gone}");
        }
        assert!(text.contains("run"), "what the app exports is found by its name");
        assert!(shrink(&after).is_ok(), "what is written can be read");
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        let mut bytes = metadata(APP);
        assert!(shrink(&bytes[..bytes.len() / 2]).is_err());
        bytes.push(0);
        assert!(shrink(&bytes).is_err());
    }
}
