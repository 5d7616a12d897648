//! The code that makes the call and prints its result.
//!
//! The result lies in memory, in the canonical ABI's form. The code walks through it as its type says, and hands each piece to a
//! function of the host: numbers, characters and strings as they are, and the text between them.

use super::Call;
use super::constants::{Constant, Data};
use super::shape::{Case, Kind, Shape, discriminant_bytes, flags_bytes, offsets, payload_offset};
use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, MemArg, MemoryType, Module, TypeSection, ValType,
};
use wasm_wave::wasm::WasmFunc;

/// The functions of `mwasm:wave/print`, with what each takes.
pub const PRINT: [(&str, &[ValType]); 7] = [
    ("text", &[ValType::I32, ValType::I32]),
    ("string", &[ValType::I32, ValType::I32]),
    ("char", &[ValType::I32]),
    ("signed", &[ValType::I64]),
    ("unsigned", &[ValType::I64]),
    ("f32", &[ValType::F32]),
    ("f64", &[ValType::F64]),
];
/// Their numbers in the generated module, where the function to call is number 0.
const TEXT: u32 = 1;
const STRING: u32 = 2;
const CHAR: u32 = 3;
const SIGNED: u32 = 4;
const UNSIGNED: u32 = 5;
const F32: u32 = 6;
const F64: u32 = 7;
/// The module's own function.
const RUN: u32 = 8;

/// The most flat values of arguments (`MAX_FLAT_PARAMS`) and of a result (`MAX_FLAT_RESULTS`) that are passed as they are.
const MAX_PARAMS: usize = 16;
/// See [`MAX_PARAMS`].
const MAX_RESULTS: usize = 1;

/// The core module whose `run` makes the call and prints the result.
pub fn main(call: &Call, data: &mut Data) -> Vec<u8> {
    let mut printer = Printer { data, code: Vec::new(), locals: 0 };
    let signature = printer.run(call);
    let mut function = Function::new([(printer.locals, ValType::I32)]);
    for instruction in &printer.code {
        function.instruction(instruction);
    }
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    types.ty().function(signature.0, signature.1);
    imports.import("app", "call", EntityType::Function(0));
    for (index, (name, params)) in (1..).zip(PRINT) {
        types.ty().function(params.iter().copied(), []);
        imports.import("print", name, EntityType::Function(index));
    }
    types.ty().function([], [ValType::I32]);
    let memory = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
    imports.import("memory", "memory", memory);
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    functions.function(RUN);
    exports.export("run", ExportKind::Func, RUN);
    code.function(&function);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
    module.finish()
}

struct Printer<'d> {
    data: &'d mut Data,
    code: Vec<Instruction<'static>>,
    locals: u32,
}

impl Printer<'_> {
    /// The whole function; gives the type of the function that it calls.
    fn run(&mut self, call: &Call) -> (Vec<ValType>, Vec<ValType>) {
        let shapes: Vec<Shape> = call.ty.params().map(|ty| Shape::new(&ty)).collect();
        let result = call.ty.results().next().map(|ty| Shape::new(&ty));
        let arguments = self.arguments(&shapes, call);
        let params = arguments.iter().map(|(ty, _)| *ty);
        let mut params: Vec<ValType> = params.collect();
        let mut results = result.as_ref().map(Shape::flat).unwrap_or_default();
        let place = result.as_ref().map(|shape| self.data.take(shape.size(), shape.align()));
        let by_address = results.len() > MAX_RESULTS;
        let address = Instruction::I32Const(place.unwrap_or_default() as i32);
        // What is passed by itself is stored under its address, which has to come first.
        if !by_address && place.is_some() {
            self.code.push(address.clone());
        }
        for (ty, bits) in arguments {
            self.code.push(constant(ty, bits));
        }
        if by_address {
            params.push(ValType::I32);
            results.clear();
            self.code.push(address.clone());
        }
        self.code.push(Instruction::Call(0));
        match &result {
            None => self.text("()"),
            Some(shape) => {
                if let [ty] = results[..] {
                    self.code.push(store(ty, shape.size()));
                }
                let base = self.local();
                self.code.extend([address, Instruction::LocalSet(base)]);
                self.print(shape, base, 0);
            }
        }
        self.text("\n");
        self.code.extend([Instruction::I32Const(0), Instruction::End]);
        (params, results)
    }

    /// The arguments in their flat form, or the address of them all.
    fn arguments(&mut self, params: &[Shape], call: &Call) -> Vec<Constant> {
        let flat = params.iter().map(|shape| shape.flat().len()).sum::<usize>();
        let mut constants = Vec::new();
        if flat <= MAX_PARAMS {
            for (shape, value) in params.iter().zip(&call.arguments) {
                self.data.flat(shape, value, &mut constants);
            }
            return constants;
        }
        let all = Shape::Fields(params.iter().map(|shape| (None, shape.clone())).collect());
        let at = self.data.take(all.size(), all.align());
        let offsets = offsets(params.iter());
        for ((shape, value), offset) in params.iter().zip(&call.arguments).zip(offsets) {
            self.data.store(shape, value, at + offset);
        }
        vec![(ValType::I32, u64::from(at))]
    }

    fn local(&mut self) -> u32 {
        self.locals += 1;
        self.locals - 1
    }

    /// Prints a constant text.
    fn text(&mut self, text: &str) {
        let (at, length) = self.data.text(text);
        let numbers = [at, length].map(|number| Instruction::I32Const(number as i32));
        self.code.extend(numbers);
        self.code.push(Instruction::Call(TEXT));
    }

    /// Code that runs if the number on top is not zero.
    fn when(&mut self, then: impl FnOnce(&mut Self)) {
        self.code.push(Instruction::If(BlockType::Empty));
        then(self);
        self.code.push(Instruction::End);
    }

    /// Prints the value at address `base + offset`.
    fn print(&mut self, shape: &Shape, base: u32, offset: u32) {
        let place = |load: fn(MemArg) -> Instruction<'static>| [Instruction::LocalGet(base), load(at(offset))];
        match shape {
            Shape::Bool => {
                self.code.extend(place(Instruction::I32Load8U));
                self.code.push(Instruction::If(BlockType::Empty));
                self.text("true");
                self.code.push(Instruction::Else);
                self.text("false");
                self.code.push(Instruction::End);
            }
            Shape::Signed(bytes) => {
                self.code.extend(place(match bytes {
                    1 => Instruction::I64Load8S,
                    2 => Instruction::I64Load16S,
                    4 => Instruction::I64Load32S,
                    _ => Instruction::I64Load,
                }));
                self.code.push(Instruction::Call(SIGNED));
            }
            Shape::Unsigned(bytes) => {
                self.code.extend(place(match bytes {
                    1 => Instruction::I64Load8U,
                    2 => Instruction::I64Load16U,
                    4 => Instruction::I64Load32U,
                    _ => Instruction::I64Load,
                }));
                self.code.push(Instruction::Call(UNSIGNED));
            }
            Shape::Float(4) => {
                self.code.extend(place(Instruction::F32Load));
                self.code.push(Instruction::Call(F32));
            }
            Shape::Float(_) => {
                self.code.extend(place(Instruction::F64Load));
                self.code.push(Instruction::Call(F64));
            }
            Shape::Char => {
                self.code.extend(place(Instruction::I32Load));
                self.code.push(Instruction::Call(CHAR));
            }
            Shape::String => {
                self.code.extend(place(Instruction::I32Load));
                self.code.extend([Instruction::LocalGet(base), Instruction::I32Load(at(offset + 4))]);
                self.code.push(Instruction::Call(STRING));
            }
            Shape::List(element) => self.list(element, base, offset),
            Shape::Fields(fields) => self.fields(fields, base, offset),
            Shape::Cases(kind, cases) => self.cases(*kind, cases, base, offset),
            Shape::Flags(names) => self.flags(names, base, offset),
        }
    }

    fn list(&mut self, element: &Shape, base: u32, offset: u32) {
        let (left, next, any) = (self.local(), self.local(), self.local());
        let size = Instruction::I32Const(element.size() as i32);
        self.text("[");
        self.code.extend([
            Instruction::LocalGet(base),
            Instruction::I32Load(at(offset)),
            Instruction::LocalSet(next),
            Instruction::LocalGet(base),
            Instruction::I32Load(at(offset + 4)),
            Instruction::LocalSet(left),
            Instruction::I32Const(0),
            Instruction::LocalSet(any),
            Instruction::Block(BlockType::Empty),
            Instruction::Loop(BlockType::Empty),
            Instruction::LocalGet(left),
            Instruction::I32Eqz,
            Instruction::BrIf(1),
        ]);
        self.separate(any);
        self.print(element, next, 0);
        self.code.extend([
            Instruction::LocalGet(next),
            size,
            Instruction::I32Add,
            Instruction::LocalSet(next),
            Instruction::LocalGet(left),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::LocalSet(left),
            Instruction::Br(0),
            Instruction::End,
            Instruction::End,
        ]);
        self.text("]");
    }

    /// Prints a comma if something was printed before, as `any` says.
    fn separate(&mut self, any: u32) {
        self.code.push(Instruction::LocalGet(any));
        self.when(|printer| printer.text(", "));
        self.code.extend([Instruction::I32Const(1), Instruction::LocalSet(any)]);
    }

    /// A record leaves out the options that are none; one of which nothing is left is `{:}`.
    fn fields(&mut self, fields: &[(Option<String>, Shape)], base: u32, offset: u32) {
        let any = self.local();
        self.code.extend([Instruction::I32Const(0), Instruction::LocalSet(any)]);
        let is_record = fields.iter().any(|(name, _)| name.is_some());
        self.text(if is_record { "{" } else { "(" });
        for ((name, field), at) in fields.iter().zip(offsets(fields.iter().map(|(_, field)| field))) {
            let print = |printer: &mut Self| {
                printer.separate(any);
                if let Some(name) = name {
                    printer.text(&format!("{name}: "));
                }
                printer.print(field, base, offset + at);
            };
            match field {
                Shape::Cases(Kind::Option, cases) if is_record => {
                    self.code.push(Instruction::LocalGet(base));
                    self.code.push(load(discriminant_bytes(cases.len()), offset + at));
                    self.when(print);
                }
                _ => print(self),
            }
        }
        if is_record {
            self.code.extend([Instruction::LocalGet(any), Instruction::I32Eqz]);
            self.when(|printer| printer.text(":"));
        }
        self.text(if is_record { "}" } else { ")" });
    }

    fn cases(&mut self, kind: Kind, cases: &[Case], base: u32, offset: u32) {
        let number = self.local();
        self.code.push(Instruction::LocalGet(base));
        self.code.push(load(discriminant_bytes(cases.len()), offset));
        self.code.push(Instruction::LocalSet(number));
        for (index, case) in (0..).zip(cases) {
            self.code.extend([Instruction::LocalGet(number), Instruction::I32Const(index), Instruction::I32Eq]);
            self.when(|printer| match &case.payload {
                None => printer.text(&case.text(kind)),
                Some(payload) => {
                    printer.text(&format!("{}(", case.text(kind)));
                    printer.print(payload, base, offset + payload_offset(cases));
                    printer.text(")");
                }
            });
        }
    }

    fn flags(&mut self, names: &[String], base: u32, offset: u32) {
        let any = self.local();
        self.code.extend([Instruction::I32Const(0), Instruction::LocalSet(any)]);
        self.text("{");
        for (bit, name) in (0..).zip(names) {
            self.code.push(Instruction::LocalGet(base));
            self.code.push(load(flags_bytes(names.len()), offset));
            self.code.extend([Instruction::I32Const(1 << bit), Instruction::I32And]);
            self.when(|printer| {
                printer.separate(any);
                printer.text(name);
            });
        }
        self.text("}");
    }
}

fn at(offset: u32) -> MemArg {
    MemArg { offset: offset.into(), align: 0, memory_index: 0 }
}

/// Loads an unsigned number of so many bytes.
fn load(bytes: u32, offset: u32) -> Instruction<'static> {
    match bytes {
        1 => Instruction::I32Load8U(at(offset)),
        2 => Instruction::I32Load16U(at(offset)),
        _ => Instruction::I32Load(at(offset)),
    }
}

/// Stores the one flat value that a value of so many bytes has.
fn store(ty: ValType, bytes: u32) -> Instruction<'static> {
    match (ty, bytes) {
        (ValType::I64, _) => Instruction::I64Store(at(0)),
        (ValType::F32, _) => Instruction::F32Store(at(0)),
        (ValType::F64, _) => Instruction::F64Store(at(0)),
        (_, 1) => Instruction::I32Store8(at(0)),
        (_, 2) => Instruction::I32Store16(at(0)),
        _ => Instruction::I32Store(at(0)),
    }
}

fn constant(ty: ValType, bits: u64) -> Instruction<'static> {
    match ty {
        ValType::I64 => Instruction::I64Const(bits as i64),
        ValType::F32 => Instruction::F32Const(f32::from_bits(bits as u32).into()),
        ValType::F64 => Instruction::F64Const(f64::from_bits(bits).into()),
        _ => Instruction::I32Const(bits as u32 as i32),
    }
}
