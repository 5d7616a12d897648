//! Types of the component model, written again: the component that makes the call has to say the type of the function that it imports.
//!
//! Records, variants, enums and flags can only be named in the type of an import if they are imported (or exported) themselves. So the
//! component imports each of them as `t0`, `t1` and so on, and whoever instantiates it passes types that are equal.

use super::Call;
use wasm_encoder::{
    Component, ComponentDefinedTypeEncoder, ComponentImportSection, ComponentTypeRef, ComponentTypeSection,
    ComponentValType, PrimitiveValType, TypeBounds,
};
use wasm_wave::value::Type;
use wasm_wave::wasm::{WasmFunc, WasmType, WasmTypeKind};

/// Writes types into a component.
pub struct TypeWriter<'c> {
    /// The component.
    pub component: &'c mut Component,
    /// The index of the next type.
    pub next: u32,
    /// Whether types that need a name are imported.
    pub imports: bool,
    /// The types that need a name, in the order in which they come.
    pub named: Vec<u32>,
}

/// The name under which a type is imported.
pub fn name(number: usize) -> String {
    format!("t{number}")
}

impl TypeWriter<'_> {
    /// Writes the type of the function that is called, and gives its index.
    pub fn function(&mut self, call: &Call) -> u32 {
        let params: Vec<_> = call.ty.params().map(|ty| self.value(&ty)).collect();
        let result = call.ty.results().next().map(|ty| self.value(&ty));
        let names: Vec<_> = call.ty.param_names().collect();
        let params = names.iter().map(|name| &**name).zip(params);
        let mut section = ComponentTypeSection::new();
        section.ty().function().async_(call.is_async).params(params.collect::<Vec<_>>()).result(result);
        self.component.section(&section);
        self.take()
    }

    fn take(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn define(&mut self, define: impl FnOnce(ComponentDefinedTypeEncoder<'_>)) -> u32 {
        let mut section = ComponentTypeSection::new();
        define(section.ty().defined_type());
        self.component.section(&section);
        self.take()
    }

    fn define_named(&mut self, define: impl FnOnce(ComponentDefinedTypeEncoder<'_>)) -> u32 {
        let mut index = self.define(define);
        if self.imports {
            let mut section = ComponentImportSection::new();
            let ty = ComponentTypeRef::Type(TypeBounds::Eq(index));
            section.import(name(self.named.len()).as_str(), ty);
            self.component.section(&section);
            index = self.take();
        }
        self.named.push(index);
        index
    }

    /// Writes all of a type that is not there yet.
    fn value(&mut self, ty: &Type) -> ComponentValType {
        let index = match ty.kind() {
            WasmTypeKind::List => {
                let element = ty.list_element_type().map(|ty| self.value(&ty));
                let element = element.unwrap_or(ComponentValType::Primitive(PrimitiveValType::U8));
                self.define(|ty| ty.list(element))
            }
            WasmTypeKind::Tuple => {
                let types: Vec<_> = ty.tuple_element_types().collect();
                let types: Vec<_> = types.iter().map(|ty| self.value(ty)).collect();
                self.define(|ty| ty.tuple(types))
            }
            WasmTypeKind::Option => {
                let some = ty.option_some_type().map(|ty| self.value(&ty));
                let some = some.unwrap_or(ComponentValType::Primitive(PrimitiveValType::U8));
                self.define(|ty| ty.option(some))
            }
            WasmTypeKind::Result => {
                let (ok, err) = ty.result_types().unwrap_or_default();
                let [ok, err] = [ok, err].map(|ty| ty.map(|ty| self.value(&ty)));
                self.define(|ty| ty.result(ok, err))
            }
            WasmTypeKind::Record => {
                let fields: Vec<_> = ty.record_fields().collect();
                let fields: Vec<_> = fields.iter().map(|(name, ty)| (&**name, self.value(ty))).collect();
                self.define_named(|ty| ty.record(fields))
            }
            WasmTypeKind::Variant => {
                let cases: Vec<_> = ty.variant_cases().collect();
                let cases: Vec<_> =
                    cases.iter().map(|(name, ty)| (&**name, ty.as_ref().map(|ty| self.value(ty)))).collect();
                self.define_named(|ty| ty.variant(cases))
            }
            WasmTypeKind::Enum => {
                let names: Vec<_> = ty.enum_cases().collect();
                self.define_named(|ty| ty.enum_type(names.iter().map(|name| &**name)))
            }
            WasmTypeKind::Flags => {
                let names: Vec<_> = ty.flags_names().collect();
                self.define_named(|ty| ty.flags(names.iter().map(|name| &**name)))
            }
            kind => return ComponentValType::Primitive(primitive(kind)),
        };
        ComponentValType::Type(index)
    }
}

fn primitive(kind: WasmTypeKind) -> PrimitiveValType {
    match kind {
        WasmTypeKind::Bool => PrimitiveValType::Bool,
        WasmTypeKind::S8 => PrimitiveValType::S8,
        WasmTypeKind::U8 => PrimitiveValType::U8,
        WasmTypeKind::S16 => PrimitiveValType::S16,
        WasmTypeKind::U16 => PrimitiveValType::U16,
        WasmTypeKind::S32 => PrimitiveValType::S32,
        WasmTypeKind::U32 => PrimitiveValType::U32,
        WasmTypeKind::S64 => PrimitiveValType::S64,
        WasmTypeKind::F32 => PrimitiveValType::F32,
        WasmTypeKind::F64 => PrimitiveValType::F64,
        WasmTypeKind::Char => PrimitiveValType::Char,
        WasmTypeKind::String => PrimitiveValType::String,
        // What is left is u64, and what `find` lets no function have.
        _ => PrimitiveValType::U64,
    }
}
