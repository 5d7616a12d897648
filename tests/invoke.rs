//! `--invoke`: a function that is no world's entry is called, and its result is one line in WAVE, in this process and in images on every
//! target. Random values of random types come back as they went in, as wasm-wave itself writes them.

use anyhow::{Context, Result, ensure};
use mwasm_aot::app::App;
use mwasm_aot::engine::error;
use mwasm_aot::invoke;
use mwasm_aot::report::Report;
use mwasm_aot::strip::strip;
use mwasm_aot::target::{Arch, Target};
use mwasm_host_core::run::App as Start;
use mwasm_host_core::{State, failure, registry};
use mwasm_host_desktop::linux;
use mwasm_plan::net::Http;
use mwasm_plan::{DEFAULT_STACK_BYTES, Entry, Plan};
use mwasm_ports::Outcome;
use mwasm_ports::fake::Machine as Fake;
use mwasm_tests::machine::Machine;
use mwasm_tests::mwasm;
use mwasm_tests::process::{Ran, run, succeed};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use wasm_wave::value::{Type, Value};
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue};
use wasmtime::component::{Component, Linker, Val};

/// How many calls with random values are made; each one twice, the second time stripped.
const CALLS: u64 = 200;
/// How deep random types are nested.
const DEPTH: u32 = 3;

/// A library in text form: it gives back what it is given, reads what it was granted, and fails.
const LIBRARY: &str = r#"(component
  (import "wasi:cli/environment@0.2.6" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))))
  (import "wasi:filesystem/types@0.2.6" (instance $files (export "descriptor" (type (sub resource)))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.6" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $own (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $own) string)))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $get-environment (canon lower (func $environment "get-environment")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $get-directories (canon lower (func $preopens "get-directories")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "get-environment" (func $get-environment (param i32)))
    (import "host" "get-directories" (func $get-directories (param i32)))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "fail") (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
    (func (export "nothing"))
    (func (export "echo") (param i32) (result i32) (local.get 0))
    (func (export "environment") (result i32) (call $get-environment (i32.const 8)) (i32.const 8))
    (func (export "directories") (result i32) (call $get-directories (i32.const 8)) (i32.load (i32.const 12))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $memory "memory"))
    (export "get-environment" (func $get-environment))
    (export "get-directories" (func $get-directories))))))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $main "add")))
  (func (export "fail") (result u32) (canon lift (core func $main "fail")))
  (func (export "nothing") (canon lift (core func $main "nothing")))
  (func (export "directories") (result u32) (canon lift (core func $main "directories")))
  (func (export "environment") (result (list (tuple string string)))
    (canon lift (core func $main "environment")
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (type $point' (record (field "x" s32) (field "name" (option string))))
  (type $shape' (variant (case "none") (case "circle" f32) (case "text" string)))
  (type $color' (enum "red" "green" "ok"))
  (type $rights' (flags "read" "write" "run"))
  (type $all' (ALL point' shape' color' rights'))
  (component $ops
    (import "point" (type $point (eq $point'))) (import "shape" (type $shape (eq $shape')))
    (import "color" (type $color (eq $color'))) (import "rights" (type $rights (eq $rights')))
    (type $all' (ALL point shape color rights))
    (import "all" (type $all (eq $all')))
    (import "echo" (func $echo (param "all" $all) (result $all)))
    (export $point-out "point" (type $point)) (export $shape-out "shape" (type $shape))
    (export $color-out "color" (type $color)) (export $rights-out "rights" (type $rights))
    (type $all-out' (ALL point-out shape-out color-out rights-out))
    (export $all-out "all" (type $all-out'))
    (export "echo" (func $echo) (func (param "all" $all-out) (result $all-out))))
  (func $echo (param "all" $all') (result $all')
    (canon lift (core func $main "echo")
      (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (instance $ops (instantiate $ops
    (with "point" (type $point')) (with "shape" (type $shape')) (with "color" (type $color'))
    (with "rights" (type $rights')) (with "all" (type $all')) (with "echo" (func $echo))))
  (export "test:invoke/ops@1.2.0" (instance $ops)))"#;

/// What stands for `(ALL POINT SHAPE COLOR RIGHTS)` in the library: a record of every kind of type.
const ALL: &str = r#"record
    (field "truth" bool)
    (field "small" s8) (field "byte" u8) (field "short" s16) (field "word" u16)
    (field "long" s64) (field "huge" u64) (field "single" f32) (field "double" f64)
    (field "letter" char) (field "text" string) (field "list" (list u16))
    (field "pair" (tuple u8 s64)) (field "points" (list $POINT))
    (field "shapes" (list $SHAPE)) (field "color" $COLOR) (field "rights" $RIGHTS)
    (field "maybe" (option u8)) (field "well" (result u8 (error string))) (field "done" (result))"#;

/// A call with a value of each kind of type, and the line that it prints.
const EVERYTHING: &str = r#"{truth: true, small: -128, byte: 255, short: -2, word: 65535, long: -9223372036854775808, huge: 18446744073709551615, single: 0.1, double: -inf, letter: '\u{1f980}', text: "a \"b\"\n", list: [1, 2, 65535], pair: (7, -7), points: [{x: -1}, {x: 2, name: some("B")}], shapes: [%none, circle(1.5), text("")], color: %ok, rights: {read, run}, maybe: none, well: err("no"), done: ok}"#;
const EVERYTHING_PRINTED: &str = r#"{truth: true, small: -128, byte: 255, short: -2, word: 65535, long: -9223372036854775808, huge: 18446744073709551615, single: 0.1, double: -inf, letter: '🦀', text: "a \"b\"\n", list: [1, 2, 65535], pair: (7, -7), points: [{x: -1}, {x: 2, name: some("B")}], shapes: [%none, circle(1.5), text("")], color: %ok, rights: {read, run}, well: err("no"), done: ok}"#;

/// The library as a file in a folder of its own.
fn library() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("library.wat");
    let mut text = LIBRARY.to_owned();
    while let Some((before, after)) = text.split_once("(ALL ") {
        let (names, after) = after.split_once(')').context("an open bracket in the library")?;
        let mut all = ALL.to_owned();
        for (place, name) in ["$POINT", "$SHAPE", "$COLOR", "$RIGHTS"].into_iter().zip(names.split(' ')) {
            all = all.replace(place, &format!("${name}"));
        }
        text = format!("{before}({all}){after}");
    }
    std::fs::write(&file, text)?;
    Ok((folder, file))
}

/// Calls a function of the library on a machine.
fn call(machine: Machine, library: &Path, call: &str) -> Result<Ran> {
    let mut command = Command::new(mwasm()?);
    match machine {
        Machine::InProcess => run(command.arg("run").arg(library).args(["--invoke", call]), &[]),
        Machine::Microvm => run(command.arg("run").arg(library).args(["--target", "xen", "--invoke", call]), &[]),
        Machine::Virt => run(command.arg("run").arg(library).args(["--target", "arm", "--invoke", call]), &[]),
        _ => {
            let image = library.with_extension("image");
            let arch = if machine == Machine::DesktopAarch64 { "aarch64" } else { "x86_64" };
            command.arg("aot").arg(library).args(["--target", "desktop", "--arch", arch, "--invoke", call, "-o"]);
            succeed(command.arg(&image))?;
            match machine {
                Machine::DesktopAarch64 => run(Command::new("qemu-aarch64").arg(&image), &[]),
                _ => run(&mut Command::new(&image), &[]),
            }
        }
    }
}

fn on(machine: Machine) -> Result<()> {
    let (_folder, library) = library()?;
    let everything = format!("echo({EVERYTHING})");
    let cases = [("add(4294967295, 2)", "1"), (everything.as_str(), EVERYTHING_PRINTED), ("nothing()", "()")];
    for (text, wanted) in cases {
        let ran = call(machine, &library, text)?;
        let found = String::from_utf8_lossy(&ran.stdout);
        ensure!(
            found == format!("{wanted}\n") && ran.code == Some(0),
            "{text} on {}: wanted\n{wanted}\nfound\n{found}{} and {:?}",
            machine.name(),
            ran.errors(),
            ran.code
        );
    }
    let ran = call(machine, &library, "fail()")?;
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.errors());
    ensure!(ran.code == Some(134), "fail() on {}: wanted the code 134, found {:?}: {said}", machine.name(), ran.code);
    ensure!(said.contains("the app trapped") && said.contains("divi"), "fail() on {}: {said}", machine.name());
    Ok(())
}

#[test]
fn in_process() -> Result<()> {
    on(Machine::InProcess)
}

#[test]
fn desktop() -> Result<()> {
    on(Machine::Desktop)
}

#[test]
fn desktop_aarch64() -> Result<()> {
    on(Machine::DesktopAarch64)
}

#[test]
fn xen_on_qemu() -> Result<()> {
    on(Machine::Microvm)
}

#[test]
fn arm() -> Result<()> {
    on(Machine::Virt)
}

#[test]
fn what_an_app_is_given_is_given_to_a_call() -> Result<()> {
    let (folder, library) = library()?;
    let invoke = |call: &str, more: &[&str]| -> Result<String> {
        let ran = succeed(Command::new(mwasm()?).arg("run").arg(&library).args(["--invoke", call]).args(more))?;
        Ok(String::from_utf8(ran.stdout)?)
    };
    ensure!(invoke("environment()", &["--env", "KEY=some value"])? == "[(\"KEY\", \"some value\")]\n");
    let directory = format!("{}::/data", folder.path().display());
    let count = |text: String| text.trim().parse::<u32>().with_context(|| format!("no number: {text}"));
    let without = count(invoke("directories()", &[])?)?;
    let with = count(invoke("directories()", &["--dir", &directory])?)?;
    ensure!(with == without + 1, "{without} directories, and {with} with --dir");
    Ok(())
}

#[test]
fn functions_go_by_their_short_names_and_mistakes_are_explained() -> Result<()> {
    let (_folder, library) = library()?;
    for name in ["echo", "test:invoke/ops.echo", "test:invoke/ops.echo@1.2.0"] {
        let ran = call(Machine::InProcess, &library, &format!("{name}({EVERYTHING})"))?;
        ensure!(ran.code == Some(0), "{name}: {}", ran.errors());
    }
    let mistakes: [(&str, &[&str]); 4] = [
        ("sub(1, 2)", &["no function 'sub'", "add: func(a: u32, b: u32) -> u32", "test:invoke/ops.echo@1.2.0: func("]),
        ("add(1)", &["do not fit", "wanted add: func(a: u32, b: u32) -> u32"]),
        ("add(1, -1)", &["do not fit"]),
        ("add(", &["cannot understand the call"]),
    ];
    for (text, wanted) in mistakes {
        for command in [["run", "--target", "desktop"], ["aot", "--target", "xen"]] {
            let ran = run(Command::new(mwasm()?).args(command).arg(&library).args(["--invoke", text]), &[])?;
            let errors = ran.errors();
            ensure!(ran.code == Some(2), "{text}: wanted the code 2, found {:?}: {errors}", ran.code);
            for wanted in wanted {
                ensure!(errors.contains(wanted), "{text}: wanted {wanted:?}, found {errors}");
            }
        }
    }
    Ok(())
}

/// A generator of pseudo-random numbers (xorshift64*), the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn letter(&mut self) -> char {
        const LETTERS: &[char] = &['a', '"', '\'', '\\', '\n', '\t', '\0', '\u{7f}', 'é', '\u{301}', '\u{200b}', '🦀'];
        match self.below(3) {
            0 => char::from_u32(self.below(0x11_0000) as u32).unwrap_or('x'),
            _ => LETTERS.get(self.below(LETTERS.len() as u64) as usize).copied().unwrap_or('x'),
        }
    }

    fn ty(&mut self, depth: u32) -> Type {
        const SIMPLE: [Type; 13] = [
            Type::BOOL,
            Type::S8,
            Type::U8,
            Type::S16,
            Type::U16,
            Type::S32,
            Type::U32,
            Type::S64,
            Type::U64,
            Type::F32,
            Type::F64,
            Type::CHAR,
            Type::STRING,
        ];
        let several = |random: &mut Self, prefix: &str| -> Vec<String> {
            (0..=random.below(10)).map(|number| format!("{prefix}{number}")).collect()
        };
        let made = match self.below(if depth == 0 { 4 } else { 12 }) {
            0..=3 => SIMPLE.get(self.below(SIMPLE.len() as u64) as usize).cloned(),
            4 | 5 => Some(Type::list(self.ty(depth - 1))),
            6 => {
                Type::record(several(self, "f").into_iter().map(|name| (name, self.ty(depth - 1))).collect::<Vec<_>>())
            }
            7 => Type::tuple((0..=self.below(4)).map(|_| self.ty(depth - 1)).collect::<Vec<_>>()),
            8 => {
                let mut cases: Vec<_> = several(self, "c")
                    .into_iter()
                    .map(|name| (name, (self.below(3) > 0).then(|| self.ty(depth - 1))))
                    .collect();
                cases.push(("none".to_owned(), None));
                Type::variant(cases)
            }
            9 => Some(Type::option(self.ty(depth - 1))),
            10 => {
                let [ok, err] = [0, 1].map(|_| (self.below(3) > 0).then(|| self.ty(depth - 1)));
                Some(Type::result(ok, err))
            }
            _ if self.below(2) == 0 => Type::flags(several(self, "flag").into_iter().chain(several(self, "more"))),
            _ => Type::enum_ty(several(self, "e").into_iter().chain(["some".to_owned()])),
        };
        made.unwrap_or(Type::BOOL)
    }

    fn value(&mut self, ty: &Type) -> Result<Value> {
        let bits = self.next() >> self.below(64);
        Ok(match ty.kind() {
            WasmTypeKind::Bool => Value::make_bool(bits & 1 == 1),
            WasmTypeKind::S8 => Value::make_s8(bits as i8),
            WasmTypeKind::U8 => Value::make_u8(bits as u8),
            WasmTypeKind::S16 => Value::make_s16(bits as i16),
            WasmTypeKind::U16 => Value::make_u16(bits as u16),
            WasmTypeKind::S32 => Value::make_s32(bits as i32),
            WasmTypeKind::U32 => Value::make_u32(bits as u32),
            WasmTypeKind::S64 => Value::make_s64(bits as i64),
            WasmTypeKind::U64 => Value::make_u64(bits),
            WasmTypeKind::F32 => Value::make_f32(f32::from_bits(self.next() as u32)),
            WasmTypeKind::F64 => Value::make_f64(f64::from_bits(self.next())),
            WasmTypeKind::Char => Value::make_char(self.letter()),
            WasmTypeKind::String => {
                Value::make_string((0..self.below(8)).map(|_| self.letter()).collect::<String>().into())
            }
            WasmTypeKind::List => {
                let element = ty.list_element_type().context("a list without elements")?;
                let values = (0..self.below(4)).map(|_| self.value(&element)).collect::<Result<Vec<_>>>()?;
                Value::make_list(ty, values)?
            }
            WasmTypeKind::Record => {
                let fields: Vec<_> = ty.record_fields().collect();
                let values = fields.iter().map(|(name, ty)| Ok((&**name, self.value(ty)?)));
                Value::make_record(ty, values.collect::<Result<Vec<_>>>()?)?
            }
            WasmTypeKind::Tuple => {
                let types: Vec<_> = ty.tuple_element_types().collect();
                Value::make_tuple(ty, types.iter().map(|ty| self.value(ty)).collect::<Result<Vec<_>>>()?)?
            }
            WasmTypeKind::Variant => {
                let cases: Vec<_> = ty.variant_cases().collect();
                let (name, payload) = &cases[self.below(cases.len() as u64) as usize];
                let payload = payload.as_ref().map(|ty| self.value(ty)).transpose()?;
                Value::make_variant(ty, name, payload)?
            }
            WasmTypeKind::Enum => {
                let cases: Vec<_> = ty.enum_cases().collect();
                Value::make_enum(ty, &cases[self.below(cases.len() as u64) as usize])?
            }
            WasmTypeKind::Option => {
                let some = ty.option_some_type().filter(|_| bits & 1 == 1);
                Value::make_option(ty, some.map(|ty| self.value(&ty)).transpose()?)?
            }
            WasmTypeKind::Result => {
                let (ok, err) = ty.result_types().context("a result without types")?;
                let mut payload = |ty: Option<Type>| ty.map(|ty| self.value(&ty)).transpose();
                Value::make_result(ty, if bits & 1 == 1 { Ok(payload(ok)?) } else { Err(payload(err)?) })?
            }
            WasmTypeKind::Flags => {
                let names: Vec<_> = ty.flags_names().collect();
                Value::make_flags(
                    ty,
                    names.iter().filter(|_| self.below(2) == 0).map(|name| &**name).collect::<Vec<_>>(),
                )?
            }
            kind => anyhow::bail!("no value of type {kind}"),
        })
    }
}

/// A type in the text form of components; types that need a name go to `named`.
fn text(ty: &Type, named: &mut Vec<String>) -> String {
    let maybe = |ty: Option<Type>, named: &mut Vec<String>| ty.map(|ty| text(&ty, named)).unwrap_or_default();
    let definition = match ty.kind() {
        WasmTypeKind::List => return format!("(list {})", maybe(ty.list_element_type(), named)),
        WasmTypeKind::Option => return format!("(option {})", maybe(ty.option_some_type(), named)),
        WasmTypeKind::Tuple => {
            let types: Vec<_> = ty.tuple_element_types().map(|ty| text(&ty, named)).collect();
            return format!("(tuple {})", types.join(" "));
        }
        WasmTypeKind::Result => {
            let (ok, err) = ty.result_types().unwrap_or_default();
            let error = err.map(|ty| format!("(error {})", text(&ty, named))).unwrap_or_default();
            return format!("(result {} {error})", maybe(ok, named));
        }
        WasmTypeKind::Record => {
            let fields: Vec<_> =
                ty.record_fields().map(|(name, ty)| format!("(field \"{name}\" {})", text(&ty, named))).collect();
            format!("(record {})", fields.join(" "))
        }
        WasmTypeKind::Variant => {
            let cases: Vec<_> =
                ty.variant_cases().map(|(name, ty)| format!("(case \"{name}\" {})", maybe(ty, named))).collect();
            format!("(variant {})", cases.join(" "))
        }
        WasmTypeKind::Enum => {
            format!("(enum {})", ty.enum_cases().map(|name| format!("{name:?} ")).collect::<String>())
        }
        WasmTypeKind::Flags => {
            format!("(flags {})", ty.flags_names().map(|name| format!("{name:?} ")).collect::<String>())
        }
        kind => return kind.to_string(),
    };
    let number = named.len();
    named.push(format!("(type $d{number} {definition}) (import \"n{number}\" (type $n{number} (eq $d{number})))"));
    format!("$n{number}")
}

/// An app that exports what it imports: a function of these parameters that gives them back.
fn echo(types: &[Type]) -> Result<App> {
    let mut named = Vec::new();
    let params: Vec<String> = types.iter().map(|ty| text(ty, &mut named)).collect();
    let named_params: String =
        params.iter().enumerate().map(|(number, ty)| format!("(param \"p{number}\" {ty})")).collect();
    let text = format!(
        r#"(component {} (import "back" (func $f {named_params} (result (tuple {})))) (export "echo" (func $f)))"#,
        named.join(" "),
        params.join(" ")
    );
    Ok(App { name: "echo".to_owned(), sha256: String::new(), component: wat::parse_str(text)? })
}

/// Runs a component on a machine in memory, with a host that gives back what it is given; gives what it prints.
fn printed(component: &[u8]) -> Result<String> {
    let engine = linux::engine(DEFAULT_STACK_BYTES, &Http::default()).map_err(error)?;
    let component = Component::new(&engine, component).map_err(error)?;
    let mut linker = Linker::<State>::new(&engine);
    registry::register_all(&mut linker).map_err(error)?;
    let back = linker.root().func_new("back", |_, _, params, results| {
        results[0] = Val::Tuple(params.to_vec());
        Ok(())
    });
    back.map_err(error)?;
    let machine = Fake::new(1);
    let plan = Plan { name: "echo", entry: Entry::Run02("wasi:cli/run@0.2.0"), ..Plan::default() };
    let app = Start { component: &component, linker: &linker, plan: &plan, describe: failure::describe };
    let outcome = mwasm_host_core::run(&app, &|| State::new(machine.ports(), &plan));
    let said = String::from_utf8_lossy(&machine.state().err).into_owned();
    ensure!(outcome == Outcome::Exit(0), "it ended with {outcome:?}: {said}");
    Ok(String::from_utf8(machine.state().out.clone())?)
}

#[test]
fn random_values_come_back_as_they_are() -> Result<()> {
    for seed in 1..=CALLS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let types: Vec<Type> = (0..=random.below(3)).map(|_| random.ty(DEPTH)).collect();
        let values = types.iter().map(|ty| random.value(ty)).collect::<Result<Vec<_>>>()?;
        let texts = values.iter().map(wasm_wave::to_string).collect::<Result<Vec<_>, _>>()?.join(", ");
        let place = || format!("seed {seed}: echo({texts})");
        let app = echo(&types).with_context(place)?;
        let call = invoke::read(&app, &format!("echo({texts})")).with_context(place)?;
        let app = call.apply(app, &mut Report::new(Target::Desktop, Arch::X86_64)).with_context(place)?;
        let stripped = strip(&app.component).with_context(place)?;
        ensure!(stripped.report.unchanged_because.is_none(), "{}: {:?}", place(), stripped.report.unchanged_because);
        for component in [&app.component, &stripped.component] {
            let found = printed(component).with_context(place)?;
            ensure!(found == format!("({texts})\n"), "{}: found\n{found}", place());
        }
    }
    Ok(())
}
