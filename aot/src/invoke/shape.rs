//! Types as the canonical ABI lays them out: sizes, alignments and offsets in memory, and the flat form in which values are passed.
//!
//! See "Canonical ABI Explainer" of the component model, `alignment`, `elem_size` and `flatten_type`.

use wasm_encoder::ValType;
use wasm_wave::lex::Keyword;
use wasm_wave::value::Type;
use wasm_wave::wasm::{WasmType, WasmTypeKind};

/// A type. Integers and floats say their size in bytes.
#[derive(Clone, Debug)]
pub enum Shape {
    Bool,
    Signed(u32),
    Unsigned(u32),
    Float(u32),
    Char,
    String,
    List(Box<Shape>),
    /// A record, whose fields have names, or a tuple, whose fields have none.
    Fields(Vec<(Option<String>, Shape)>),
    Cases(Kind, Vec<Case>),
    Flags(Vec<String>),
}

/// What a type with cases is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Option,
    Result,
    /// A variant, or an enum.
    Variant,
}

/// A case of a type.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The value that comes with it.
    pub payload: Option<Shape>,
}

impl Case {
    fn new(name: impl Into<String>, payload: Option<&Type>) -> Self {
        Self { name: name.into(), payload: payload.map(Shape::new) }
    }

    /// How WAVE writes it: names that are words of WAVE are marked, but where they are those words.
    pub fn text(&self, kind: Kind) -> String {
        match kind {
            Kind::Variant if Keyword::decode(&self.name).is_some() => format!("%{}", self.name),
            _ => self.name.clone(),
        }
    }
}

impl Shape {
    /// The layout of a type.
    pub fn new(ty: &Type) -> Self {
        match ty.kind() {
            WasmTypeKind::Bool => Self::Bool,
            WasmTypeKind::S8 => Self::Signed(1),
            WasmTypeKind::S16 => Self::Signed(2),
            WasmTypeKind::S32 => Self::Signed(4),
            WasmTypeKind::S64 => Self::Signed(8),
            WasmTypeKind::U8 => Self::Unsigned(1),
            WasmTypeKind::U16 => Self::Unsigned(2),
            WasmTypeKind::U32 => Self::Unsigned(4),
            WasmTypeKind::F32 => Self::Float(4),
            WasmTypeKind::F64 => Self::Float(8),
            WasmTypeKind::Char => Self::Char,
            WasmTypeKind::String => Self::String,
            WasmTypeKind::Record => {
                Self::Fields(ty.record_fields().map(|(name, ty)| (Some(name.into_owned()), Self::new(&ty))).collect())
            }
            WasmTypeKind::Tuple => Self::Fields(ty.tuple_element_types().map(|ty| (None, Self::new(&ty))).collect()),
            WasmTypeKind::Variant => {
                let cases = ty.variant_cases().map(|(name, ty)| Case::new(name, ty.as_ref()));
                Self::Cases(Kind::Variant, cases.collect())
            }
            WasmTypeKind::Enum => {
                Self::Cases(Kind::Variant, ty.enum_cases().map(|name| Case::new(name, None)).collect())
            }
            WasmTypeKind::Option => {
                let some = ty.option_some_type();
                Self::Cases(Kind::Option, vec![Case::new("none", None), Case::new("some", some.as_ref())])
            }
            WasmTypeKind::Result => {
                let (ok, err) = ty.result_types().unwrap_or_default();
                Self::Cases(Kind::Result, vec![Case::new("ok", ok.as_ref()), Case::new("err", err.as_ref())])
            }
            WasmTypeKind::Flags => Self::Flags(ty.flags_names().map(|name| name.into_owned()).collect()),
            WasmTypeKind::List => match ty.list_element_type() {
                Some(element) => Self::List(Box::new(Self::new(&element))),
                None => Self::String,
            },
            // What is left is u64, and what `find` lets no function have.
            _ => Self::Unsigned(8),
        }
    }

    /// Alignment in bytes.
    pub fn align(&self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Signed(bytes) | Self::Unsigned(bytes) | Self::Float(bytes) => *bytes,
            Self::Char | Self::String | Self::List(_) => 4,
            Self::Fields(fields) => fields.iter().map(|(_, field)| field.align()).max().unwrap_or(1),
            Self::Cases(_, cases) => discriminant_bytes(cases.len()).max(payload_align(cases)),
            Self::Flags(names) => flags_bytes(names.len()),
        }
    }

    /// Size in bytes.
    pub fn size(&self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Signed(bytes) | Self::Unsigned(bytes) | Self::Float(bytes) => *bytes,
            Self::Char => 4,
            Self::String | Self::List(_) => 8,
            Self::Fields(fields) => {
                let end = fields.iter().fold(0u32, |at, (_, field)| at.next_multiple_of(field.align()) + field.size());
                end.next_multiple_of(self.align())
            }
            Self::Cases(_, cases) => {
                let payload = payloads(cases).map(Self::size).max().unwrap_or(0);
                (payload_offset(cases) + payload).next_multiple_of(self.align())
            }
            Self::Flags(names) => flags_bytes(names.len()),
        }
    }

    /// The core values that pass a value of this type.
    pub fn flat(&self) -> Vec<ValType> {
        match self {
            Self::Bool | Self::Char | Self::Flags(_) => vec![ValType::I32],
            Self::Signed(bytes) | Self::Unsigned(bytes) => vec![if *bytes == 8 { ValType::I64 } else { ValType::I32 }],
            Self::Float(bytes) => vec![if *bytes == 8 { ValType::F64 } else { ValType::F32 }],
            Self::String | Self::List(_) => vec![ValType::I32, ValType::I32],
            Self::Fields(fields) => fields.iter().flat_map(|(_, field)| field.flat()).collect(),
            Self::Cases(_, cases) => {
                let mut joined = vec![ValType::I32];
                for payload in payloads(cases) {
                    for (index, ty) in (1..).zip(payload.flat()) {
                        match joined.get_mut(index) {
                            Some(other) => *other = join(*other, ty),
                            None => joined.push(ty),
                        }
                    }
                }
                joined
            }
        }
    }
}

/// The type in which either of two can be passed.
fn join(one: ValType, other: ValType) -> ValType {
    match (one, other) {
        _ if one == other => one,
        (ValType::I32, ValType::F32) | (ValType::F32, ValType::I32) => ValType::I32,
        _ => ValType::I64,
    }
}

/// Where the fields of a record or a tuple are, in bytes from its start.
pub fn offsets<'a>(fields: impl Iterator<Item = &'a Shape>) -> Vec<u32> {
    let mut end = 0u32;
    let mut place = |field: &Shape| {
        let at = end.next_multiple_of(field.align());
        end = at + field.size();
        at
    };
    fields.map(&mut place).collect()
}

/// Where the value that comes with a case is, in bytes from the start.
pub fn payload_offset(cases: &[Case]) -> u32 {
    discriminant_bytes(cases.len()).next_multiple_of(payload_align(cases))
}

/// Size of the number of the case.
pub const fn discriminant_bytes(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Size of a set of flags. No type has more than 32.
pub const fn flags_bytes(flags: usize) -> u32 {
    match flags {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

fn payload_align(cases: &[Case]) -> u32 {
    payloads(cases).map(Shape::align).max().unwrap_or(1)
}

fn payloads(cases: &[Case]) -> impl Iterator<Item = &Shape> {
    cases.iter().filter_map(|case| case.payload.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(ty: Option<Type>) -> (u32, u32, Vec<ValType>) {
        let shape = Shape::new(&ty.unwrap());
        (shape.size(), shape.align(), shape.flat())
    }

    #[test]
    fn layouts_are_the_canonical_abi_s() {
        use ValType::{F64, I32, I64};
        let record = Type::record([("a", Type::U8), ("b", Type::U32), ("c", Type::U8)]);
        assert_eq!(layout(record), (12, 4, vec![I32, I32, I32]));
        assert_eq!(layout(Type::tuple([Type::U8, Type::F64])), (16, 8, vec![I32, F64]));
        assert_eq!(layout(Some(Type::option(Type::U64))), (16, 8, vec![I32, I64]));
        assert_eq!(layout(Some(Type::result(None, None))), (1, 1, vec![I32]));
        assert_eq!(layout(Some(Type::list(Type::STRING))), (8, 4, vec![I32, I32]));
        let flags = |count: u32| Type::flags((0..count).map(|number| format!("f{number}")));
        assert_eq!([8, 9, 17].map(|count| layout(flags(count)).0), [1, 2, 4]);
        let cases = |count: u32| Type::enum_ty((0..count).map(|number| format!("c{number}")));
        assert_eq!([256, 257].map(|count| layout(cases(count)).0), [1, 2]);
    }

    #[test]
    fn a_variant_is_passed_in_types_that_serve_all_cases() {
        use ValType::{F32, I32, I64};
        let variant = |cases: Vec<Option<Type>>| {
            layout(Type::variant(cases.into_iter().enumerate().map(|(number, ty)| (format!("c{number}"), ty))))
        };
        assert_eq!(variant(vec![Some(Type::F32), None]), (8, 4, vec![I32, F32]));
        assert_eq!(variant(vec![Some(Type::F32), Some(Type::CHAR)]).2, [I32, I32]);
        assert_eq!(variant(vec![Some(Type::F32), Some(Type::F64)]).2, [I32, I64]);
        assert_eq!(variant(vec![Some(Type::STRING), Some(Type::S64)]), (16, 8, vec![I32, I64, I32]));
    }

    #[test]
    fn fields_are_aligned() {
        let shapes = [Type::U8, Type::U64, Type::U8, Type::U16].map(|ty| Shape::new(&ty));
        assert_eq!(offsets(shapes.iter()), [0, 8, 16, 18]);
    }

    #[test]
    fn words_of_wave_are_marked_in_variants_only() {
        let text = |ty: Type| match Shape::new(&ty) {
            Shape::Cases(kind, cases) => cases.iter().map(|case| case.text(kind)).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        assert_eq!(text(Type::enum_ty(["ok", "fine"]).unwrap()), ["%ok", "fine"]);
        assert_eq!(text(Type::result(None, None)), ["ok", "err"]);
        assert_eq!(text(Type::option(Type::U8)), ["none", "some"]);
    }
}
