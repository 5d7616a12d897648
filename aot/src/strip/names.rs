//! The name sections, renumbered for what remains. Backtraces of a trap are made from them.
//!
//! Names are an aid: a section that is damaged is written as far as it can be read.

use super::component_refs::Space;
use super::core_refs::CoreSpace;
use super::rewrite_module::Numbers;
use wasm_encoder::{ComponentNameSection, IndirectNameMap, NameMap, NameSection};
use wasmparser::{ComponentName, CustomSectionReader, KnownCustom, Name};

/// The name section of a module.
pub fn module_names(custom: &CustomSectionReader<'_>, numbers: &Numbers) -> Option<NameSection> {
    let KnownCustom::Name(reader) = custom.as_known() else { return None };
    let mut out = NameSection::new();
    let direct = |map, space| filter(map, |index| numbers.get(space, index), str::to_owned);
    let indirect = |map, space| filter_indirect(map, |index| numbers.get(space, index));
    for name in reader.into_iter().map_while(Result::ok) {
        match name {
            Name::Module { name, .. } => out.module(name),
            Name::Function(map) => {
                put(filter(map, |index| numbers.get(CoreSpace::Func, index), readable), |m| out.functions(m));
            }
            Name::Local(map) => put(indirect(map, CoreSpace::Func), |m| out.locals(m)),
            Name::Label(map) => put(indirect(map, CoreSpace::Func), |m| out.labels(m)),
            Name::Type(map) => put(direct(map, CoreSpace::Type), |m| out.types(m)),
            Name::Table(map) => put(direct(map, CoreSpace::Table), |m| out.tables(m)),
            Name::Memory(map) => put(direct(map, CoreSpace::Memory), |m| out.memories(m)),
            Name::Global(map) => put(direct(map, CoreSpace::Global), |m| out.globals(m)),
            Name::Element(map) => put(direct(map, CoreSpace::Element), |m| out.elements(m)),
            Name::Data(map) => put(direct(map, CoreSpace::Data), |m| out.data(m)),
            Name::Field(map) => put(indirect(map, CoreSpace::Type), |m| out.fields(m)),
            Name::Tag(map) => put(direct(map, CoreSpace::Tag), |m| out.tags(m)),
            Name::Unknown { .. } => {}
        }
    }
    Some(out)
}

/// The name section of a component; `number` gives the new number of an item that remains.
pub fn component_names(
    custom: &CustomSectionReader<'_>,
    number: impl Fn(Space, u32) -> Option<u32>,
) -> Option<ComponentNameSection> {
    let KnownCustom::ComponentName(reader) = custom.as_known() else { return None };
    let mut out = ComponentNameSection::new();
    let direct = |map, space| filter(map, |index| number(space, index), str::to_owned);
    for name in reader.into_iter().map_while(Result::ok) {
        match name {
            ComponentName::Component { name, .. } => out.component(name),
            ComponentName::CoreFuncs(map) => put(direct(map, Space::CoreFunc), |m| out.core_funcs(m)),
            ComponentName::CoreGlobals(map) => put(direct(map, Space::CoreGlobal), |m| out.core_globals(m)),
            ComponentName::CoreMemories(map) => put(direct(map, Space::CoreMemory), |m| out.core_memories(m)),
            ComponentName::CoreTables(map) => put(direct(map, Space::CoreTable), |m| out.core_tables(m)),
            ComponentName::CoreTags(map) => put(direct(map, Space::CoreTag), |m| out.core_tags(m)),
            ComponentName::CoreModules(map) => put(direct(map, Space::CoreModule), |m| out.core_modules(m)),
            ComponentName::CoreInstances(map) => put(direct(map, Space::CoreInstance), |m| out.core_instances(m)),
            ComponentName::CoreTypes(map) => put(direct(map, Space::CoreType), |m| out.core_types(m)),
            ComponentName::Types(map) => put(direct(map, Space::Type), |m| out.types(m)),
            ComponentName::Instances(map) => put(direct(map, Space::Instance), |m| out.instances(m)),
            ComponentName::Components(map) => put(direct(map, Space::Component), |m| out.components(m)),
            ComponentName::Funcs(map) => put(direct(map, Space::Func), |m| out.funcs(m)),
            ComponentName::Values(map) => put(direct(map, Space::Value), |m| out.values(m)),
            ComponentName::Unknown { .. } => {}
        }
    }
    Some(out)
}

/// Writes a map unless it is empty.
fn put<M>(map: Option<M>, write: impl FnOnce(&M)) {
    if let Some(map) = map {
        write(&map);
    }
}

/// A function's name as a person knows it: Rust's mangled names, which are longer and which no host takes apart, as paths.
fn readable(name: &str) -> String {
    rustc_demangle::try_demangle(name).map_or_else(|_| name.to_owned(), |path| format!("{path:#}"))
}

/// The names of the items that remain, `None` if there are none. New numbers rise with the old ones, as the format
/// asks.
fn filter(
    map: wasmparser::NameMap<'_>,
    number: impl Fn(u32) -> Option<u32>,
    rename: impl Fn(&str) -> String,
) -> Option<NameMap> {
    let mut out = NameMap::new();
    for naming in map.into_iter().map_while(Result::ok) {
        if let Some(index) = number(naming.index) {
            out.append(index, &rename(naming.name));
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The same for names inside an item (locals, labels, fields), which keep their numbers.
fn filter_indirect(
    map: wasmparser::IndirectNameMap<'_>,
    number: impl Fn(u32) -> Option<u32>,
) -> Option<IndirectNameMap> {
    let mut out = IndirectNameMap::new();
    let mut any = false;
    for naming in map.into_iter().map_while(Result::ok) {
        if let Some(index) = number(naming.index)
            && let Some(names) = filter(naming.names, Some, str::to_owned)
        {
            out.append(index, &names);
            any = true;
        }
    }
    any.then_some(out)
}
