//! Random programs behave the same before and after the strip stage.
//!
//! Each seed makes two core modules with wasm-smith and links them, inside a component, to each other and to a small
//! environment that calls the host: `env <- a <- b`. Some of their exports are lifted, the others are dead. Every
//! lifted export is then called in the component as it was and in the stripped one, each time in a fresh instance, with
//! the same arguments: results, traps and the calls that the host sees must be equal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use arbitrary::Unstructured;
use mwasm_aot::strip::strip;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    ComponentImportSection, ComponentTypeRef, ComponentTypeSection, ExportKind, ImportSection, InstanceSection,
    ModuleArg, PrimitiveValType, RawSection, TypeSection,
};
use wasm_smith::{Config, Module};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, Parser, Payload, SubType, TypeRef, ValType, Validator, WasmFeatures,
};
use wasmtime::component::{Component, Linker, Val};
use wasmtime::{Engine, Store, Trap};

/// How many programs are run, and how many are only stripped and validated. The numbers are fixed, so that a run of
/// the tests does the same work each time.
const RUN_SEEDS: u64 = 120;
const VALIDATE_SEEDS: u64 = 200;

/// Bytes of randomness that a program is made from.
const ENTROPY: usize = 4096;

/// Iterations and calls that a random module may use up before it traps.
const FUEL: u32 = 1000;

/// Functions that the host provides.
const HOST_FUNCS: u32 = 4;

/// Parameters of a lifted function that still go in registers (canonical ABI, MAX_FLAT_PARAMS).
const MAX_PARAMS: usize = 16;

/// Each module can call the host directly, through a slot of a private table (as wit-component's shim does), and
/// through a table that it shares with whoever imports it.
const ENV: &str = r#"(module
    (type $t (func (param i32) (result i32)))
    (import "host" "h0" (func $h0 (type $t)))
    (import "host" "h1" (func $h1 (type $t)))
    (import "host" "h2" (func $h2 (type $t)))
    (import "host" "h3" (func $h3 (type $t)))
    (memory (export "memory") 1 4)
    (table $shared (export "table") 10 20 funcref)
    (table $slots 2 2 funcref)
    (global (export "counter") (mut i32) (i32.const 7))
    (global (export "base") i32 (i32.const 3))
    (elem (table $shared) (i32.const 1) func $tick $wide $float $h1)
    (elem (table $slots) (i32.const 0) func $h2 $h3)
    (data (i32.const 16) "some data")
    (func $tick (export "tick") (type $t) (call $h0 (local.get 0)))
    (func $wide (export "wide") (param i64) (result i64)
        (i64.extend_i32_u (call $h1 (i32.wrap_i64 (local.get 0)))))
    (func $float (export "float") (param f64) (result f32)
        (f32.convert_i32_u (call $h1 (i32.const 5))))
    (func (export "slot-0") (type $t) (call_indirect $slots (type $t) (local.get 0) (i32.const 0)))
    (func (export "slot-1") (type $t) (call_indirect $slots (type $t) (local.get 0) (i32.const 1)))
    (func (export "any-slot") (param i32) (result i32)
        (call_indirect $shared (type $t) (local.get 0) (i32.rem_u (local.get 0) (i32.const 12))))
    (func (export "nothing"))
    (func (export "digest") (result i64) (local $at i32) (local $sum i64)
        (loop $next
            (local.set $sum (i64.add
                (i64.mul (local.get $sum) (i64.const 0x100000001b3))
                (i64.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 65536))))
        (local.get $sum)))"#;

/// The export that sums up the memory of the environment; always lifted.
const DIGEST: &str = "digest";

/// What a module exports, as far as another module can import it.
#[derive(Default)]
struct Shape {
    /// The function types, `None` for types that mean something inside the module only.
    types: Vec<Option<FuncType>>,
    funcs: Vec<u32>,
    others: [Vec<TypeRef>; 3],
    exports: Vec<(String, ExternalKind, u32)>,
}

impl Shape {
    fn of(module: &[u8]) -> Self {
        let mut shape = Shape::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::TypeSection(types) => {
                    for group in types {
                        let group = group.unwrap();
                        let single = group.types().len() == 1;
                        shape.types.extend(group.into_types().map(|ty| plain(&ty).filter(|_| single)));
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        shape.add(import.unwrap().ty);
                    }
                }
                Payload::FunctionSection(funcs) => shape.funcs.extend(funcs.into_iter().map(Result::unwrap)),
                Payload::TableSection(tables) => {
                    tables.into_iter().for_each(|t| shape.add(TypeRef::Table(t.unwrap().ty)))
                }
                Payload::MemorySection(memories) => {
                    memories.into_iter().for_each(|m| shape.add(TypeRef::Memory(m.unwrap())))
                }
                Payload::GlobalSection(globals) => {
                    globals.into_iter().for_each(|g| shape.add(TypeRef::Global(g.unwrap().ty)))
                }
                Payload::ExportSection(exports) => {
                    let exports = exports.into_iter().map(Result::unwrap);
                    shape.exports = exports.map(|e| (e.name.to_string(), e.kind, e.index)).collect();
                }
                _ => {}
            }
        }
        shape
    }

    fn add(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => self.funcs.push(ty),
            TypeRef::Table(_) => self.others[0].push(ty),
            TypeRef::Memory(_) => self.others[1].push(ty),
            TypeRef::Global(_) => self.others[2].push(ty),
            TypeRef::Tag(_) => {}
        }
    }

    /// Adds the exports as imports from `module`.
    fn offer(&self, module: &str, types: &mut TypeSection, imports: &mut ImportSection) {
        for (name, kind, index) in &self.exports {
            let ty = match kind {
                ExternalKind::Func | ExternalKind::FuncExact => {
                    let Some(ty) = self.func(*index) else { continue };
                    types.ty().func_type(&RoundtripReencoder.func_type(ty.clone()).unwrap());
                    TypeRef::Func(types.len() - 1)
                }
                ExternalKind::Table => self.others[0][*index as usize],
                ExternalKind::Memory => self.others[1][*index as usize],
                ExternalKind::Global => self.others[2][*index as usize],
                ExternalKind::Tag => continue,
            };
            let concrete = match ty {
                TypeRef::Table(table) => table.element_type.type_index().is_some(),
                TypeRef::Global(global) => is_concrete(global.content_type),
                _ => false,
            };
            if !concrete {
                imports.import(module, name, RoundtripReencoder.entity_type(ty).unwrap());
            }
        }
    }

    /// The type of a function.
    fn func(&self, index: u32) -> Option<&FuncType> {
        self.types[self.funcs[index as usize] as usize].as_ref()
    }

    /// The exported functions that can be lifted without a memory.
    fn liftable(&self) -> impl Iterator<Item = (&str, &FuncType)> {
        self.exports.iter().filter(|(_, kind, _)| *kind == ExternalKind::Func).filter_map(|(name, _, index)| {
            let ty = self.func(*index)?;
            let flat = |ty: &ValType| primitive(*ty).is_some();
            (ty.params().len() <= MAX_PARAMS
                && ty.results().len() <= 1
                && ty.params().iter().chain(ty.results()).all(flat))
            .then_some((name.as_str(), ty))
        })
    }
}

/// A type's function signature, if it is the same in every module.
fn plain(ty: &SubType) -> Option<FuncType> {
    let CompositeInnerType::Func(func) = &ty.composite_type.inner else { return None };
    let known = |ty: &ValType| !is_concrete(*ty);
    (ty.is_final && ty.supertype_idx.is_none() && func.params().iter().chain(func.results()).all(known))
        .then(|| func.clone())
}

fn is_concrete(ty: ValType) -> bool {
    matches!(ty, ValType::Ref(ty) if ty.type_index().is_some())
}

fn primitive(ty: ValType) -> Option<PrimitiveValType> {
    Some(match ty {
        ValType::I32 => PrimitiveValType::S32,
        ValType::I64 => PrimitiveValType::S64,
        ValType::F32 => PrimitiveValType::F32,
        ValType::F64 => PrimitiveValType::F64,
        ValType::V128 | ValType::Ref(_) => return None,
    })
}

/// A generator of pseudo-random numbers (xorshift64*), the same on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..ENTROPY / 8).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}

/// A random module that may import what `available` offers.
fn module(random: &mut Random, config: &Config, available: &[(&str, &Shape)]) -> Vec<u8> {
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    for (name, shape) in available {
        shape.offer(name, &mut types, &mut imports);
    }
    let mut offer = wasm_encoder::Module::new();
    offer.section(&types).section(&imports);
    let config = Config { available_imports: Some(offer.finish()), ..config.clone() };
    let bytes = random.bytes();
    let mut module = Module::new(config, &mut Unstructured::new(&bytes)).unwrap();
    module.ensure_termination(FUEL).unwrap();
    module.to_bytes()
}

/// A component of env, `a` and `b`, and its lifted exports with their types.
fn program(seed: u64, config: &Config) -> (Vec<u8>, Vec<(String, FuncType)>) {
    let mut random = Random::new(seed);
    let env = wat::parse_str(ENV).unwrap();
    let env_shape = Shape::of(&env);
    let a = module(&mut random, config, &[("env", &env_shape)]);
    let a_shape = Shape::of(&a);
    let b = module(&mut random, config, &[("env", &env_shape), ("a", &a_shape)]);
    let b_shape = Shape::of(&b);

    let mut out = wasm_encoder::Component::new();
    import_host(&mut out);
    for module in [&env, &a, &b] {
        out.section(&RawSection { id: wasm_encoder::ComponentSectionId::CoreModule as u8, data: module });
    }
    let mut instances = InstanceSection::new();
    let host: Vec<_> = (0..HOST_FUNCS).map(|i| (format!("h{i}"), ExportKind::Func, i)).collect();
    instances.export_items(host.iter().map(|(name, kind, index)| (name.as_str(), *kind, *index)));
    instances.instantiate(0, [("host", ModuleArg::Instance(0))]);
    instances.instantiate(1, [("env", ModuleArg::Instance(1))]);
    instances.instantiate(2, [("env", ModuleArg::Instance(1)), ("a", ModuleArg::Instance(2))]);
    out.section(&instances);

    let mut lifted = Vec::new();
    for (instance, prefix, shape) in [(1, "env", &env_shape), (2, "a", &a_shape), (3, "b", &b_shape)] {
        for (name, ty) in shape.liftable() {
            // Two of three exports stay unused.
            if name == DIGEST || random.next().is_multiple_of(3) {
                let export = if name == DIGEST { DIGEST.to_string() } else { format!("{prefix}-{}", lifted.len()) };
                lift(&mut out, lifted.len() as u32, instance, name, &export, ty);
                lifted.push((export, ty.clone()));
            }
        }
    }
    (out.finish(), lifted)
}

fn import_host(out: &mut wasm_encoder::Component) {
    let mut types = ComponentTypeSection::new();
    types.function().params([("x", PrimitiveValType::U32)]).result(Some(PrimitiveValType::U32.into()));
    let mut imports = ComponentImportSection::new();
    let mut lowered = CanonicalFunctionSection::new();
    for index in 0..HOST_FUNCS {
        imports.import(format!("host{index}"), ComponentTypeRef::Func(0));
        lowered.lower(index, []);
    }
    out.section(&types).section(&imports).section(&lowered);
}

/// Exports core function `name` of `instance`, as the export number `index`.
fn lift(out: &mut wasm_encoder::Component, index: u32, instance: u32, name: &str, export: &str, ty: &FuncType) {
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Func, name });
    let mut types = ComponentTypeSection::new();
    let params = ty.params().iter().enumerate().map(|(i, ty)| (format!("p{i}"), primitive(*ty).unwrap()));
    let params: Vec<_> = params.collect();
    let result = ty.results().first().map(|ty| primitive(*ty).unwrap().into());
    types.function().params(params.iter().map(|(name, ty)| (name.as_str(), *ty))).result(result);
    let mut lifts = CanonicalFunctionSection::new();
    lifts.lift(HOST_FUNCS + index, 1 + index, []);
    let mut exports = ComponentExportSection::new();
    // Each export adds an item of its own after the function that was lifted.
    exports.export(export, ComponentExportKind::Func, HOST_FUNCS + 2 * index, None);
    out.section(&aliases).section(&types).section(&lifts).section(&exports);
}

/// What can be seen from outside of one use of a component.
#[derive(Debug, PartialEq, Eq)]
struct Behaviour {
    /// The results and the digest of the memory, floats as bits; or the trap.
    outcome: Result<Vec<String>, String>,
    /// The host function and the argument of each call.
    host_calls: Vec<(u32, u32)>,
}

/// Instantiates the component, calls one export twice, and looks at the memory.
fn behaviour(engine: &Engine, component: &Component, export: &str, args: &[Val]) -> Behaviour {
    let mut linker = Linker::<Vec<(u32, u32)>>::new(engine);
    for index in 0..HOST_FUNCS {
        let host = move |mut store: wasmtime::StoreContextMut<'_, Vec<(u32, u32)>>, (x,): (u32,)| {
            store.data_mut().push((index, x));
            Ok((x.wrapping_mul(31).wrapping_add(index),))
        };
        linker.root().func_wrap(&format!("host{index}"), host).unwrap();
    }
    let mut store = Store::new(engine, Vec::new());
    let mut run = || -> wasmtime::Result<Vec<String>> {
        let instance = linker.instantiate(&mut store, component)?;
        let mut results = Vec::new();
        for (export, args) in [(export, args), (export, args), (DIGEST, &[][..])] {
            let func = instance.get_func(&mut store, export).expect("exports never change");
            let mut values = vec![Val::Bool(false); func.ty(&store).results().len()];
            func.call(&mut store, args, &mut values)?;
            results.extend(values.iter().map(|value| match value {
                Val::Float32(x) => format!("f32 {:x}", x.to_bits()),
                Val::Float64(x) => format!("f64 {:x}", x.to_bits()),
                other => format!("{other:?}"),
            }));
        }
        Ok(results)
    };
    let outcome = run().map_err(|error| match error.downcast_ref::<Trap>() {
        Some(trap) => format!("trap: {trap:?}"),
        None => format!("error: {}", error.root_cause()),
    });
    Behaviour { outcome, host_calls: store.into_data() }
}

fn argument(random: &mut Random, ty: ValType) -> Val {
    // Small numbers meet table slots and addresses, large ones meet bounds.
    let bits = random.next();
    let bits = if bits.is_multiple_of(4) { random.next() } else { bits >> 60 };
    match ty {
        ValType::I32 => Val::S32(bits as i32),
        ValType::I64 => Val::S64(bits as i64),
        ValType::F32 => Val::Float32(bits as u32 as f32),
        ValType::F64 => Val::Float64(bits as f64),
        ValType::V128 | ValType::Ref(_) => unreachable!("such functions are not lifted"),
    }
}

/// What wasm-smith may use: all that the engine of the hosts can run.
fn runnable() -> Config {
    Config {
        canonicalize_nans: true,
        exceptions_enabled: false,
        gc_enabled: false,
        max_memories: 3,
        max_memory32_bytes: 4 << 16,
        max_table_elements: 100,
        max_tables: 3,
        memory64_enabled: false,
        memory_max_size_required: true,
        min_element_segments: 1,
        min_exports: 4,
        min_funcs: 8,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        table_max_size_required: true,
        threads_enabled: false,
        ..Config::default()
    }
}

fn validate(bytes: &[u8]) -> Result<(), wasmparser::Error> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).map(drop)
}

/// Strips a program that is known to be valid.
fn strip_checked(seed: u64, bytes: &[u8]) -> (Vec<u8>, u32) {
    validate(bytes).unwrap_or_else(|error| panic!("seed {seed}: the test made an invalid program: {error}"));
    let stripped = strip(bytes).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    if let Some(why) = stripped.report.unchanged_because {
        panic!("seed {seed}: the stage gave up: {why}");
    }
    validate(&stripped.component).unwrap_or_else(|error| panic!("seed {seed}: invalid after stripping: {error}"));
    let removed = stripped.report.modules.iter().map(|m| m.before.functions.saturating_sub(m.after.functions)).sum();
    (stripped.component, removed)
}

#[test]
fn stripped_programs_behave_as_before() {
    let engine = Engine::default();
    let (mut returned, mut trapped, mut removed, mut host_calls) = (0, 0, 0, 0);
    for seed in 0..RUN_SEEDS {
        let (bytes, exports) = program(seed, &runnable());
        let (stripped, gone) = strip_checked(seed, &bytes);
        removed += gone;
        let before = Component::new(&engine, &bytes).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let after = Component::new(&engine, &stripped).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let mut random = Random::new(seed ^ u64::MAX);
        for (export, ty) in &exports {
            let args: Vec<Val> = ty.params().iter().map(|ty| argument(&mut random, *ty)).collect();
            let expected = behaviour(&engine, &before, export, &args);
            assert_eq!(behaviour(&engine, &after, export, &args), expected, "seed {seed}, export {export}, {args:?}");
            host_calls += expected.host_calls.len();
            match expected.outcome {
                Ok(_) => returned += 1,
                Err(_) => trapped += 1,
            }
        }
    }
    // A test of programs that all trap at once, or of which nothing goes, would show little.
    eprintln!("{returned} returned, {trapped} trapped, {host_calls} host calls, {removed} functions removed");
    assert!(returned > RUN_SEEDS && trapped > RUN_SEEDS / 4, "{returned} returned, {trapped} trapped");
    assert!(u64::from(removed) > RUN_SEEDS && host_calls as u64 > RUN_SEEDS, "{removed} removed, {host_calls} calls");
}

#[test]
fn programs_with_every_feature_of_wasm_stay_valid() {
    let config = Config {
        max_memories: 4,
        max_tables: 4,
        min_element_segments: 2,
        min_exports: 4,
        min_funcs: 4,
        wide_arithmetic_enabled: true,
        ..Config::default()
    };
    for seed in 0..VALIDATE_SEEDS {
        strip_checked(seed, &program(seed, &config).0);
    }
}
