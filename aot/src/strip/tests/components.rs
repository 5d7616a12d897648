//! Across modules and components: imports, instances, compositions, types.

use super::super::Outcome;
use super::super::component::Model;
use super::super::strip;
use super::{import, imports, only_module, stripped};

/// wit-component calls a lowered import through a slot of the shim's table, because the import can only be lowered once
/// the memory of the main module exists.
const SHIM: &str = r#"(component
    (import "a" (func $a (param "x" string)))
    (import "b" (func $b (param "x" string)))
    (import "c" (func $c (param "x" string)))
    (core module $shim
        (type $t (func (param i32 i32)))
        (table (export "$imports") 3 3 funcref)
        (func (export "0") (type $t) (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0)))
        (func (export "1") (type $t) (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 1)))
        (func (export "2") (type $t) (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 2))))
    (core module $fixups
        (type $t (func (param i32 i32)))
        (import "" "0" (func (type $t)))
        (import "" "1" (func (type $t)))
        (import "" "2" (func (type $t)))
        (import "" "$imports" (table 3 3 funcref))
        (elem (i32.const 0) func 0 1 2))
    (core module $main
        (type $t (func (param i32 i32)))
        (import "" "a" (func $a (type $t)))
        (import "" "b" (func $b (type $t)))
        (import "" "c" (func $c (type $t)))
        (memory (export "memory") 1)
        (func (export "run") (call $a (i32.const 0) (i32.const 0)) (call $c (i32.const 0) (i32.const 0)))
        (func (export "other") (call $b (i32.const 0) (i32.const 0))))
    (core instance $shim (instantiate $shim))
    (core instance $main (instantiate $main (with "" (instance
        (export "a" (func $shim "0")) (export "b" (func $shim "1")) (export "c" (func $shim "2"))))))
    (core func $la (canon lower (func $a) (memory (core memory $main "memory"))))
    (core func $lb (canon lower (func $b) (memory (core memory $main "memory"))))
    (core func $lc (canon lower (func $c) (memory (core memory $main "memory"))))
    (core instance $fixups (instantiate $fixups (with "" (instance
        (export "$imports" (table $shim "$imports"))
        (export "0" (func $la)) (export "1" (func $lb)) (export "2" (func $lc))))))
    (func (export "run") (canon lift (core func $main "run"))))"#;

#[test]
fn an_import_that_nothing_calls_goes_with_its_interface() {
    let stripped = stripped(
        r#"(component
            (import "a:b/used" (instance $used
                (export "go" (func)) (export "stay" (func))))
            (import "a:b/unused" (instance $unused (export "go" (func))))
            (core func $used-go (canon lower (func $used "go")))
            (core func $used-stay (canon lower (func $used "stay")))
            (core func $unused-go (canon lower (func $unused "go")))
            (core module $main
                (import "used" "go" (func $go))
                (import "used" "stay" (func $stay))
                (import "unused" "go" (func $other))
                (func $run (export "run") call $inner)
                (func $inner call $go)
                (func $forgotten call $stay call $other))
            (core instance $i (instantiate $main
                (with "used" (instance (export "go" (func $used-go)) (export "stay" (func $used-stay))))
                (with "unused" (instance (export "go" (func $unused-go))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    assert_eq!(imports(&stripped), ["a:b/used"]);
    let report = &stripped.report;
    assert_eq!(report.modules[0].before.functions, 6);
    assert_eq!(report.modules[0].after.functions, 3);
    let go = report.imports.iter().find(|i| i.kept).unwrap();
    assert_eq!(go.chain, ["export run", "main::run", "main::inner"]);
    assert_eq!(
        import(&stripped, "stay").reason.as_deref(),
        Some("only called from code that nothing reaches, such as main::forgotten")
    );
    let outcomes: Vec<_> = report.interfaces.iter().map(|i| (i.name.as_str(), i.outcome)).collect();
    assert_eq!(outcomes, [("a:b/used", Outcome::Kept), ("a:b/unused", Outcome::Dropped)]);
    assert_eq!(report.bytes_after, stripped.component.len());
}

#[test]
fn slots_that_are_called_by_number_live_and_die_one_by_one() {
    let stripped = stripped(SHIM);
    assert_eq!(imports(&stripped), ["a", "c"]);
    let [shim, fixups, main] = &stripped.report.modules[..] else { panic!("three modules") };
    assert_eq!((shim.before.functions, shim.after.functions), (3, 2));
    assert_eq!((main.before.functions, main.after.functions), (5, 3));
    // The segment loses its middle, and is two.
    assert_eq!((fixups.after.element_segments, fixups.after.elements), (2, 2));
}

#[test]
fn a_shim_that_nobody_calls_is_not_even_instantiated() {
    let stripped =
        stripped(&SHIM.replace("(call $a (i32.const 0) (i32.const 0)) (call $c (i32.const 0) (i32.const 0))", ""));
    assert_eq!(imports(&stripped), Vec::<String>::new());
    let model = Model::parse(&stripped.component).unwrap();
    assert_eq!(model.modules.len(), 1);
    assert_eq!(stripped.report.modules[0].after.bytes, 0);
}

/// The second segment empties slot 0: dropping its null along with the "dead" slot would bring `$f` back, and a call
/// that used to trap would succeed.
#[test]
fn a_start_function_runs_even_if_nothing_is_exported_from_its_module() {
    let stripped = stripped(
        r#"(component
            (import "effect" (func $effect))
            (core func $lowered (canon lower (func $effect)))
            (core module $m (import "" "effect" (func $e)) (func $s call $e) (start $s))
            (core module $never (import "" "effect" (func $e)) (func $s call $e) (start $s))
            (core instance (instantiate $m (with "" (instance (export "effect" (func $lowered)))))))"#,
    );
    assert_eq!(import(&stripped, "effect").chain, ["start of m", "m::s"]);
    assert_eq!(stripped.report.modules[1].after.bytes, 0);
}

#[test]
fn a_module_that_is_instantiated_twice_keeps_what_either_instance_needs() {
    let stripped = stripped(
        r#"(component
            (import "one" (func $one))
            (import "two" (func $two))
            (core func $l1 (canon lower (func $one)))
            (core func $l2 (canon lower (func $two)))
            (core module $m
                (import "" "f" (func $f))
                (func (export "call") call $f)
                (func (export "idle")))
            (core instance $first (instantiate $m (with "" (instance (export "f" (func $l1))))))
            (core instance $second (instantiate $m (with "" (instance (export "f" (func $l2))))))
            (func (export "run") (canon lift (core func $first "call")))
            (func (export "idle") (canon lift (core func $second "idle"))))"#,
    );
    assert_eq!(imports(&stripped), ["one", "two"]);
}

#[test]
fn data_that_one_module_puts_into_the_memory_of_another_stays() {
    let stripped = stripped(
        r#"(component
            (core module $libc
                (memory (export "memory") 1)
                (memory (export "idle") 1))
            (core module $data
                (import "libc" "memory" (memory 1))
                (import "libc" "idle" (memory 1))
                (data (memory 0) (i32.const 0) "read by the app")
                (data (memory 1) (i32.const 0) "read by nobody"))
            (core module $app
                (import "libc" "memory" (memory 1))
                (func (export "run") (result i32) (i32.load (i32.const 0))))
            (core instance $libc (instantiate $libc))
            (core instance (instantiate $data (with "libc" (instance $libc))))
            (core instance $app (instantiate $app (with "libc" (instance $libc))))
            (func (export "run") (result u32) (canon lift (core func $app "run"))))"#,
    );
    let [libc, data, _] = &stripped.report.modules[..] else { panic!("three modules") };
    assert_eq!((libc.after.memories, data.after.memories, data.after.data_segments), (1, 1, 1));
}

#[test]
fn a_composition_asks_the_inner_component_only_for_what_the_outer_one_calls() {
    let stripped = stripped(
        r#"(component
            (import "a:b/host" (instance $host (export "low" (func)) (export "high" (func))))
            (component $provider
                (import "a:b/host" (instance $host (export "low" (func)) (export "high" (func))))
                (core func $low (canon lower (func $host "low")))
                (core func $high (canon lower (func $host "high")))
                (core module $m
                    (import "" "low" (func $low))
                    (import "" "high" (func $high))
                    (func (export "low") call $low)
                    (func (export "high") call $high))
                (core instance $i (instantiate $m (with "" (instance
                    (export "low" (func $low)) (export "high" (func $high))))))
                (func $l (canon lift (core func $i "low")))
                (func $h (canon lift (core func $i "high")))
                (instance $out (export "low" (func $l)) (export "high" (func $h)))
                (export "a:b/api" (instance $out)))
            (component $app
                (import "a:b/api" (instance $api (export "low" (func)) (export "high" (func))))
                (core func $low (canon lower (func $api "low")))
                (core func $high (canon lower (func $api "high")))
                (core module $m
                    (import "" "low" (func $low))
                    (import "" "high" (func $high))
                    (func (export "run") call $low)
                    (func (export "unused") call $high))
                (core instance $i (instantiate $m (with "" (instance
                    (export "low" (func $low)) (export "high" (func $high))))))
                (func (export "run") (canon lift (core func $i "run")))
                (func (export "unused") (canon lift (core func $i "unused"))))
            (instance $p (instantiate $provider (with "a:b/host" (instance $host))))
            (alias export $p "a:b/api" (instance $api))
            (instance $a (instantiate $app (with "a:b/api" (instance $api))))
            (export "run" (func $a "run")))"#,
    );
    assert!(import(&stripped, "low").kept);
    assert!(!import(&stripped, "high").kept);
    assert_eq!(stripped.report.modules[0].after.functions, 2);
    assert_eq!(stripped.report.modules[1].after.functions, 2);
}

/// A function may only be exported along with the types that its signature names, and here nobody asks for `r` itself.
#[test]
fn a_function_of_an_inner_component_brings_the_types_that_it_names() {
    let stripped = stripped(
        r#"(component
            (component $inner
                (core module $m (func (export "f") (param i32)) (func (export "g") (param i32)))
                (core instance $i (instantiate $m))
                (type $r (record (field "x" u32)))
                (func $f (param "r" $r) (canon lift (core func $i "f")))
                (func $g (param "r" $r) (canon lift (core func $i "g")))
                (instance $api (export "r" (type $r)) (export "f" (func $f)) (export "g" (func $g)))
                (export "api" (instance $api)))
            (instance $inner (instantiate $inner))
            (alias export $inner "api" (instance $api))
            (core func $f (canon lower (func $api "f")))
            (core func $g (canon lower (func $api "g")))
            (core module $m
                (import "" "f" (func $f (param i32)))
                (import "" "g" (func $g (param i32)))
                (func (export "run") (call $f (i32.const 0))))
            (core instance $i (instantiate $m (with "" (instance (export "f" (func $f)) (export "g" (func $g))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    assert_eq!(stripped.report.modules[0].after.functions, 1);
}

/// The same where the function's type came in as an import of the component that exports it.
#[test]
fn a_function_brings_the_types_that_were_passed_in_for_it() {
    let stripped = stripped(
        r#"(component
            (component $outer
                (component $inner
                    (import "r" (type $r (sub resource)))
                    (core module $m (func (export "f") (param i32)) (func (export "g") (param i32)))
                    (core instance $i (instantiate $m))
                    (func $f (param "r" (own $r)) (canon lift (core func $i "f")))
                    (func $g (param "t" u32) (canon lift (core func $i "g")))
                    (export $out "r" (type $r))
                    (export "f" (func $f) (func (param "r" (own $out))))
                    (export "g" (func $g)))
                (type $r (resource (rep i32)))
                (instance $i (instantiate $inner (with "r" (type $r))))
                (export "api" (instance $i)))
            (instance $outer (instantiate $outer))
            (alias export $outer "api" (instance $api))
            (core func $f (canon lower (func $api "f")))
            (core module $m
                (import "" "f" (func $f (param i32)))
                (func (export "run") (call $f (i32.const 0))))
            (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    assert_eq!(stripped.report.modules[0].after.functions, 1);
}

#[test]
fn an_exported_component_keeps_its_imports_and_what_the_exports_of_its_modules_reach() {
    let stripped = stripped(
        r#"(component
            (component $inner
                (import "f" (func $f))
                (core func $l (canon lower (func $f)))
                (core module $m
                    (import "" "f" (func $f))
                    (func $unused call $f)
                    (func (export "run")))
                (core instance $i (instantiate $m (with "" (instance (export "f" (func $l))))))
                (func (export "run") (canon lift (core func $i "run"))))
            (export "inner" (component $inner)))"#,
    );
    assert_eq!(only_module(&stripped).1.functions, 2);
}

#[test]
fn a_module_that_something_unknown_instantiates_keeps_what_its_exports_reach() {
    let stripped = stripped(
        r#"(component
            (import "linker" (component $linker
                (import "m" (core module (export "run" (func))))
                (export "run" (func))))
            (core module $m (func $unused) (func (export "run")))
            (instance $i (instantiate $linker (with "m" (core module $m))))
            (export "run" (func $i "run")))"#,
    );
    assert_eq!(only_module(&stripped).1.functions, 1);
}

#[test]
fn a_module_that_is_exported_keeps_its_outside_and_what_others_reach_through_it() {
    let stripped = stripped(
        r#"(component
            (core module $m
                (import "" "called-by-none" (func))
                (import "" "memory" (memory 1))
                (import "" "table" (table $shared 4 funcref))
                (table $private 2 funcref)
                (table $exported (export "table") 2 funcref)
                (memory $own 1)
                (data (i32.const 0) "for the memory of others")
                (data (memory $own) (i32.const 0) "for nobody")
                (data (memory $own) (i32.const 65536) "out of bounds")
                (elem (table $shared) (i32.const 0) func $a)
                (elem (table $private) (i32.const 0) func $b)
                (elem (table $exported) (i32.const 0) func $c)
                (func $a) (func $b) (func $c) (func $unused)
                (func $start)
                (start $start))
            (export "m" (core module $m)))"#,
    );
    let (_, after) = only_module(&stripped);
    assert_eq!(after.functions, 4, "the import, $a, $c and $start");
    assert_eq!((after.tables, after.element_segments), (2, 2));
    assert_eq!((after.memories, after.data_segments), (2, 3), "one segment traps, so its memory has all its segments");
}

#[test]
fn a_resource_keeps_its_destructor() {
    let stripped = stripped(
        r#"(component
            (core module $m
                (func (export "dtor") (param i32))
                (func (export "make") (result i32) i32.const 1)
                (func (export "unused")))
            (core instance $i (instantiate $m))
            (type $r' (resource (rep i32) (dtor (core func $i "dtor"))))
            (export $r "r" (type $r'))
            (func (export "make") (result (own $r)) (canon lift (core func $i "make"))))"#,
    );
    assert_eq!(only_module(&stripped).1.functions, 2);
}

#[test]
fn an_interface_that_lends_only_a_type_is_reported_as_such() {
    let stripped = stripped(
        r#"(component
            (import "a:b/error" (instance $error
                (export "error" (type (sub resource)))
                (export "text" (func))))
            (alias export $error "error" (type $e))
            (import "a:b/io" (instance $io
                (alias outer 1 $e (type $outer))
                (export "error" (type $e (eq $outer)))
                (export "look" (func (param "e" (borrow $e))))
                (export "idle" (func))))
            (core func $look (canon lower (func $io "look")))
            (core module $m
                (import "" "look" (func $look (param i32)))
                (func (export "run") (call $look (i32.const 0))))
            (core instance $i (instantiate $m (with "" (instance (export "look" (func $look))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    let outcomes: Vec<_> = stripped.report.interfaces.iter().map(|i| i.outcome).collect();
    assert_eq!(outcomes, [Outcome::TypesOnly, Outcome::Kept]);
    assert!(!import(&stripped, "idle").kept);
}

/// wasm-encoder 0.254 copies the type index of the cancel built-ins as it is: here it has to fall from 2 to 0.
#[test]
fn types_of_the_cancel_built_ins_are_renumbered() {
    let stripped = stripped(
        r#"(component
            (type (record (field "unused" u32)))
            (type (record (field "unused" u64)))
            (type $s (stream u8))
            (type $f (future u8))
            (core func $sr (canon stream.cancel-read $s))
            (core func $sw (canon stream.cancel-write $s async))
            (core func $fr (canon future.cancel-read $f))
            (core func $fw (canon future.cancel-write $f))
            (core module $m
                (import "" "sr" (func $sr (param i32) (result i32)))
                (import "" "sw" (func $sw (param i32) (result i32)))
                (import "" "fr" (func $fr (param i32) (result i32)))
                (import "" "fw" (func $fw (param i32) (result i32)))
                (func (export "run") (param i32) (result i32)
                    (call $sr (call $sw (call $fr (call $fw (local.get 0)))))))
            (core instance $i (instantiate $m (with "" (instance
                (export "sr" (func $sr)) (export "sw" (func $sw))
                (export "fr" (func $fr)) (export "fw" (func $fw))))))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#,
    );
    assert!(stripped.report.bytes_after < stripped.report.bytes_before);
}

#[test]
fn an_async_export_keeps_its_callback_and_realloc() {
    let stripped = stripped(
        r#"(component
            (core module $libc
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
            (core instance $libc (instantiate $libc))
            (core func $return (canon task.return (result string) (memory (core memory $libc "memory"))))
            (core module $m
                (import "" "return" (func $return (param i32 i32)))
                (func (export "run") (param i32 i32) (result i32)
                    (call $return (i32.const 0) (i32.const 0)) i32.const 0)
                (func (export "callback") (param i32 i32 i32) (result i32) i32.const 0)
                (func (export "unused")))
            (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
            (func (export "run") async (param "x" string) (result string)
                (canon lift (core func $i "run") async (memory (core memory $libc "memory"))
                    (realloc (core func $libc "realloc"))
                    (callback (core func $i "callback")))))"#,
    );
    assert_eq!(stripped.report.modules[0].after.functions, 1);
    assert_eq!(stripped.report.modules[1].after.functions, 3);
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0\x07\xff", b"\0asm\x01\0\0\0"] {
        // An empty input and a core module have no exports to start from; broken ones cannot be read.
        assert!(strip(bytes).is_err(), "{bytes:?}");
    }
}

/// The stage never hands on what does not validate; here the input does not either, which is the simplest way to see it.
#[test]
fn a_component_that_cannot_be_stripped_goes_on_as_it_was() {
    let bytes = wat::parse_str(
        r#"(component
            (import "unused" (func $unused))
            (core module $m (func (export "run") i32.add) (func))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )
    .unwrap();
    let stripped = strip(&bytes).unwrap();
    assert_eq!(stripped.component, bytes);
    let report = &stripped.report;
    assert!(report.unchanged_because.as_ref().unwrap().contains("does not validate"), "{report:?}");
    assert!(import(&stripped, "unused").kept);
    assert_eq!(report.modules[0].after, report.modules[0].before);
}
