//! Constants of the generated code: texts, and arguments in the canonical ABI's form.

use super::shape::{Case, Kind, Shape, discriminant_bytes, flags_bytes, offsets, payload_offset};
use std::collections::HashMap;
use wasm_encoder::ValType;
use wasm_wave::value::Value;
use wasm_wave::wasm::WasmValue;

/// Where the data starts. Below it is nothing, so that no address is null.
pub const BASE: u32 = 8;

/// The memory of the generated code, as it is at the start.
#[derive(Default)]
pub struct Data {
    bytes: Vec<u8>,
    texts: HashMap<String, u32>,
}

/// A core value: its type and its bits.
pub type Constant = (ValType, u64);

impl Data {
    /// The bytes, from [`BASE`] on.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes zeros and gives their address.
    pub fn take(&mut self, bytes: u32, align: u32) -> u32 {
        let at = (BASE + self.bytes.len() as u32).next_multiple_of(align);
        self.bytes.resize((at - BASE + bytes) as usize, 0);
        at
    }

    /// A text: its address and its length in bytes.
    pub fn text(&mut self, text: &str) -> (u32, u32) {
        let length = text.len() as u32;
        if let Some(at) = self.texts.get(text) {
            return (*at, length);
        }
        let at = self.take(length, 1);
        self.put(at, text.as_bytes());
        self.texts.insert(text.to_owned(), at);
        (at, length)
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        let start = (at - BASE) as usize;
        if let Some(place) = self.bytes.get_mut(start..start + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn put_number(&mut self, at: u32, bits: u64, bytes: u32) {
        let little = bits.to_le_bytes();
        self.put(at, little.get(..bytes as usize).unwrap_or(&little));
    }

    /// Puts the elements of a list somewhere; gives their address and their number.
    fn list(&mut self, element: &Shape, values: &[Value]) -> (u32, u32) {
        let at = self.take(element.size() * values.len() as u32, element.align());
        for (index, value) in (0..).zip(values) {
            self.store(element, value, at + index * element.size());
        }
        (at, values.len() as u32)
    }

    /// Puts a value at an address that was taken for it.
    pub fn store(&mut self, shape: &Shape, value: &Value, at: u32) {
        match shape {
            Shape::String | Shape::List(_) => {
                let mut flat = Vec::new();
                self.flat(shape, value, &mut flat);
                for (at, (_, bits)) in [at, at + 4].into_iter().zip(flat) {
                    self.put_number(at, bits, 4);
                }
            }
            Shape::Fields(fields) => {
                let offsets = offsets(fields.iter().map(|(_, field)| field));
                for (((_, field), offset), value) in fields.iter().zip(offsets).zip(members(value)) {
                    self.store(field, &value, at + offset);
                }
            }
            Shape::Cases(kind, cases) => {
                let (index, payload) = chosen(*kind, cases, value);
                self.put_number(at, index as u64, discriminant_bytes(cases.len()));
                if let (Some(shape), Some(value)) = (payload_of(cases, index), payload) {
                    self.store(shape, &value, at + payload_offset(cases));
                }
            }
            Shape::Flags(names) => self.put_number(at, u64::from(set(names, value)), flags_bytes(names.len())),
            scalar => self.put_number(at, bits(scalar, value), scalar.size()),
        }
    }

    /// Adds a value in its flat form.
    pub fn flat(&mut self, shape: &Shape, value: &Value, out: &mut Vec<Constant>) {
        match shape {
            Shape::String => {
                let (at, length) = self.text(&value.unwrap_string());
                out.extend([(ValType::I32, u64::from(at)), (ValType::I32, u64::from(length))]);
            }
            Shape::List(element) => {
                let values: Vec<Value> = value.unwrap_list().map(|value| value.into_owned()).collect();
                let (at, length) = self.list(element, &values);
                out.extend([(ValType::I32, u64::from(at)), (ValType::I32, u64::from(length))]);
            }
            Shape::Fields(fields) => {
                for ((_, field), value) in fields.iter().zip(members(value)) {
                    self.flat(field, &value, out);
                }
            }
            Shape::Cases(kind, cases) => {
                let (index, payload) = chosen(*kind, cases, value);
                let mut own = vec![(ValType::I32, index as u64)];
                if let (Some(shape), Some(value)) = (payload_of(cases, index), payload) {
                    self.flat(shape, &value, &mut own);
                }
                // The same bits, in the type that serves every case.
                let own = own.into_iter().map(|(_, bits)| bits).chain(std::iter::repeat(0));
                out.extend(shape.flat().into_iter().zip(own));
            }
            Shape::Flags(names) => out.push((ValType::I32, u64::from(set(names, value)))),
            scalar => out.extend(scalar.flat().into_iter().map(|ty| (ty, bits(scalar, value)))),
        }
    }
}

/// The values of a record or a tuple, in order.
fn members(value: &Value) -> Vec<Value> {
    match value.kind() {
        wasm_wave::wasm::WasmTypeKind::Record => value.unwrap_record().map(|(_, value)| value.into_owned()).collect(),
        _ => value.unwrap_tuple().map(|value| value.into_owned()).collect(),
    }
}

/// The number of a value's case, and what comes with it.
fn chosen(kind: Kind, cases: &[Case], value: &Value) -> (usize, Option<Value>) {
    let own = |value: std::borrow::Cow<'_, Value>| value.into_owned();
    match kind {
        Kind::Option => match value.unwrap_option() {
            None => (0, None),
            Some(value) => (1, Some(own(value))),
        },
        Kind::Result => match value.unwrap_result() {
            Ok(value) => (0, value.map(own)),
            Err(value) => (1, value.map(own)),
        },
        Kind::Variant => {
            let (name, payload) = match value.kind() {
                wasm_wave::wasm::WasmTypeKind::Enum => (value.unwrap_enum(), None),
                _ => value.unwrap_variant(),
            };
            let index = cases.iter().position(|case| case.name == name).unwrap_or_default();
            (index, payload.map(own))
        }
    }
}

fn payload_of(cases: &[Case], index: usize) -> Option<&Shape> {
    cases.get(index)?.payload.as_ref()
}

/// The flags that are set, the first in the lowest bit.
fn set(names: &[String], value: &Value) -> u32 {
    let set: Vec<_> = value.unwrap_flags().collect();
    let bit = |(index, name): (u32, &String)| if set.iter().any(|flag| flag == name) { 1 << index } else { 0 };
    (0..).zip(names).map(bit).sum()
}

/// A scalar's bits, in 32 or 64 of them as it is passed.
fn bits(shape: &Shape, value: &Value) -> u64 {
    let narrow = |value: i32| u64::from(value as u32);
    match shape {
        Shape::Bool => u64::from(value.unwrap_bool()),
        Shape::Signed(1) => narrow(value.unwrap_s8().into()),
        Shape::Signed(2) => narrow(value.unwrap_s16().into()),
        Shape::Signed(4) => narrow(value.unwrap_s32()),
        Shape::Signed(_) => value.unwrap_s64() as u64,
        Shape::Unsigned(1) => value.unwrap_u8().into(),
        Shape::Unsigned(2) => value.unwrap_u16().into(),
        Shape::Unsigned(4) => value.unwrap_u32().into(),
        Shape::Unsigned(_) => value.unwrap_u64(),
        Shape::Float(4) => value.unwrap_f32().to_bits().into(),
        Shape::Float(_) => value.unwrap_f64().to_bits(),
        _ => u32::from(value.unwrap_char()).into(),
    }
}
