//! The functions that an app exports, with their types in wasm-wave's form.

use crate::app::{App, Surface};
use crate::engine;
use anyhow::{Context, Result};
use wasm_wave::value::{FuncType, Type};
use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentItem, ComponentValType,
};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{PrimitiveValType, Validator};

/// A function that is exported, by itself or by an interface.
pub struct Exported {
    /// The name of the exported interface, if it is in one.
    pub interface: Option<String>,
    /// Its name, there.
    pub function: String,
    /// How it is written in a call: `add`, `docs:adder/ops.add@1.0.0`.
    pub written: String,
    /// Whether its type is `async`.
    pub is_async: bool,
    /// Its type; or what is in it that has no text form.
    pub ty: Result<FuncType, String>,
}

/// All functions that the app exports.
pub fn functions(app: &App) -> Result<Vec<Exported>> {
    let types: Types = Validator::new_with_features(engine::features()?)
        .validate_all(&app.component)
        .context("cannot read the app's types")?;
    let types = types.as_ref();
    let mut functions = Vec::new();
    for export in Surface::of(&app.component)?.exports {
        match types.component_item_for_export(&export.name) {
            Some(ComponentItem { ty: ComponentEntityType::Func(id), .. }) => {
                functions.push(exported(types, None, &export.name, *id));
            }
            Some(ComponentItem { ty: ComponentEntityType::Instance(id), .. }) => {
                for (name, item) in &types[*id].exports {
                    if let ComponentEntityType::Func(id) = item.ty {
                        functions.push(exported(types, Some(&export.name), name, id));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(functions)
}

fn exported(types: TypesRef<'_>, interface: Option<&str>, function: &str, id: ComponentFuncTypeId) -> Exported {
    let written = match interface.map(|name| name.split_once('@').ok_or(name)) {
        None => function.to_owned(),
        Some(Err(interface)) => format!("{interface}.{function}"),
        Some(Ok((interface, version))) => format!("{interface}.{function}@{version}"),
    };
    Exported {
        interface: interface.map(str::to_owned),
        function: function.to_owned(),
        written,
        is_async: types[id].async_,
        ty: function_type(types, id),
    }
}

fn function_type(types: TypesRef<'_>, id: ComponentFuncTypeId) -> Result<FuncType, String> {
    let function = &types[id];
    let params = function.params.iter().map(|(name, ty)| Ok((name.to_string(), value_type(types, ty)?)));
    let params: Vec<_> = params.collect::<Result<_, String>>()?;
    let result = function.result.iter().map(|ty| Ok((String::new(), value_type(types, ty)?)));
    let result: Vec<_> = result.collect::<Result<_, String>>()?;
    FuncType::new(params, result).map_err(|error| error.to_string())
}

fn value_type(types: TypesRef<'_>, ty: &ComponentValType) -> Result<Type, String> {
    let of = |ty: &ComponentValType| value_type(types, ty);
    let maybe = |ty: &Option<ComponentValType>| ty.as_ref().map(of).transpose();
    let id = match ty {
        ComponentValType::Primitive(primitive) => return simple(*primitive),
        ComponentValType::Type(id) => *id,
    };
    let empty = || "a type without members".to_owned();
    match &types[id] {
        ComponentDefinedType::Primitive(primitive) => simple(*primitive),
        ComponentDefinedType::Record(record) => {
            let fields = record.fields.iter().map(|(name, ty)| Ok((name.to_string(), of(ty)?)));
            Type::record(fields.collect::<Result<Vec<_>, String>>()?).ok_or_else(empty)
        }
        ComponentDefinedType::Variant(variant) => {
            let cases = variant.cases.iter().map(|(name, case)| Ok((name.to_string(), maybe(&case.ty)?)));
            Type::variant(cases.collect::<Result<Vec<_>, String>>()?).ok_or_else(empty)
        }
        ComponentDefinedType::List { element, .. } => Ok(Type::list(of(element)?)),
        ComponentDefinedType::Tuple(tuple) => {
            Type::tuple(tuple.types.iter().map(of).collect::<Result<Vec<_>, _>>()?).ok_or_else(empty)
        }
        ComponentDefinedType::Flags(names) => Type::flags(names.iter().map(ToString::to_string)).ok_or_else(empty),
        ComponentDefinedType::Enum(names) => Type::enum_ty(names.iter().map(ToString::to_string)).ok_or_else(empty),
        ComponentDefinedType::Option { ty, .. } => Ok(Type::option(of(ty)?)),
        ComponentDefinedType::Result { ok, err, .. } => Ok(Type::result(maybe(ok)?, maybe(err)?)),
        ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => Err("a resource".to_owned()),
        ComponentDefinedType::Future { .. } => Err("a future".to_owned()),
        ComponentDefinedType::Stream { .. } => Err("a stream".to_owned()),
        ComponentDefinedType::Map { .. } => Err("a map".to_owned()),
        ComponentDefinedType::FixedLengthList { .. } => Err("a list of fixed length".to_owned()),
    }
}

fn simple(primitive: PrimitiveValType) -> Result<Type, String> {
    Ok(match primitive {
        PrimitiveValType::Bool => Type::BOOL,
        PrimitiveValType::S8 => Type::S8,
        PrimitiveValType::U8 => Type::U8,
        PrimitiveValType::S16 => Type::S16,
        PrimitiveValType::U16 => Type::U16,
        PrimitiveValType::S32 => Type::S32,
        PrimitiveValType::U32 => Type::U32,
        PrimitiveValType::S64 => Type::S64,
        PrimitiveValType::U64 => Type::U64,
        PrimitiveValType::F32 => Type::F32,
        PrimitiveValType::F64 => Type::F64,
        PrimitiveValType::Char => Type::CHAR,
        PrimitiveValType::String => Type::STRING,
        PrimitiveValType::ErrorContext => return Err("an error context".to_owned()),
    })
}
